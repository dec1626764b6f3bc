"""Files of timed lyrics, by families of formats: what is read of them, and how they are written.

All readers give the `Line`s that a CSV file gives. A text is literal; only what a format itself takes for
markup is taken out of it.
"""
