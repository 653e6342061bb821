"""The checks of a window: what they measure, their limits, and their verdicts."""
