"""What a terminal shows while Snakemake renders, as a logger plugin of Snakemake's.

It reads what Snakemake and the jobs tell and computes nothing that they need. It may import all wings
below it, and nobody but the rules and the plugin imports it.
"""
