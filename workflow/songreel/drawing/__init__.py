"""From keyframes to a film: frames, ffmpeg, sound, subtitles and chapters, and the seal on what was made.

Imports `models` and below.
"""
