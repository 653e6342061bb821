"""Benchmarks of the surfaces: what listeners are shown, beside named peers."""
