"""songreel turns a song's lyrics into a music video, one cached segment per line."""

__version__ = "0.1.0"
