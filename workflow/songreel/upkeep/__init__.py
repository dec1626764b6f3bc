"""What is damaged, what can be removed, and who is at work meanwhile.

Imports `jobs` and below.
"""
