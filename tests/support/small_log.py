"""A log of six events, as `tests/feature_repo/conftest.py` reads it."""

ITEMS = "a music rock 2026-01-03\nb podcast pop -"
# Snapshots end with day 3. On day 4, which is still running, u goes on and w appears.
LOG = """
    u a 0 12:00 play s1
    u b 3 12:00 skip s2
    v a 2 12:00 play s3
    u a 4 09:00 like s4
    u b 4 09:05 skip s4
    w b 4 10:00 play s5
"""
