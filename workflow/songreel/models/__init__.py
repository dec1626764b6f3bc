"""The networks and where their weights come from: catalogue, download, checkpoints of any house, VQGAN and
CLIP.

Imports `kernels` and below.
"""
