"""What a rule's job does, and with whom it shares a machine: claims, GPU leases, the scheduler, latents on
disk.

Imports `planning` and below.
"""
