"""What everything else stands on: errors and files, paths and progress, how a process stops, how much memory
there is.

Imports nothing of songreel's but itself.
"""
