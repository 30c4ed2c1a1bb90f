"""Trials: a scenario played on the virtual clock, with no socket and no waiting, and judged at its end.

scenario (TOML, command line, Python) ──runner──> facts ──> verdict ──remedies──> the same seed again, changed
"""
