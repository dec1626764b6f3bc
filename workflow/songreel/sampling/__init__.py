"""The optimisation: decode, cut, embed, compare, step; and the memory that it takes. Pure: no files, no
workflow.

Imports `models` and below.
"""
