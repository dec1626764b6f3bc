"""Settings of other programs, Deforum's and Parseq's, as screenplays: their prompts, cuts and camera.

Imports `planning` and below. What has no counterpart is told, what reaches for Python is refused.
"""
