"""From a screenplay and a config to ids: what to optimise, what to draw, what to join, and what is wrong with
any of it.

Imports `drawing` and below; opens no GPU and renders nothing.
"""
