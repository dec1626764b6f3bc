"""What leaves songreel for other programs: lyrics, chapters, an editor's timeline; and lyrics converted.

Imports `upkeep` and below.
"""
