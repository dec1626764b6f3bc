"""What leaves songreel for others: lyrics, chapters, pictures, an editor's timeline; lyrics converted.

Imports `upkeep` and below.
"""
