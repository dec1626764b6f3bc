"""What a terminal shows while Snakemake renders: a logger plugin of Snakemake's, and plain lines where no terminal is.

It reads what Snakemake and the jobs tell and computes nothing that they need; it may import all wings below it.
"""
