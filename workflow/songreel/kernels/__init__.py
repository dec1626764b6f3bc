"""Arithmetic that is quick on a device: what is only for a GPU or a CPU, and the cutouts, which both have.

Imports only `ground`; `fused` is imported on GPUs alone.
"""
