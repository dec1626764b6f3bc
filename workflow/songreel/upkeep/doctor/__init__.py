"""`songreel doctor`: whether this machine and this folder can make the film, a line for each thing it takes.

Downloads nothing. One fault hides no other: torch is imported by a process of its own (`probe`), and each
look is guarded (`checks.guarded`).
"""
