"""What a rule's job does, and with whom it shares a machine: locks, GPU leases, the scheduler, latents on
disk.

Imports `planning` and below.
"""
