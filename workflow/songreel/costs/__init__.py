"""What work has cost, what the next will cost, what a job asks for, and how fast a machine is.

Imports `jobs` and below.
"""
