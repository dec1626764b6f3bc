"""The storyboard: a page that shows a film line by line, and what it knows.

It computes nothing that a job has not kept: whoever deletes it loses nothing.
"""
