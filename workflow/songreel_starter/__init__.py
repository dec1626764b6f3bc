"""How songreel's starter pair is made: pictures and words fetched, rendered, composed, and learned from.

Nothing here is needed to render a film, and `songreel` never imports it.
"""
