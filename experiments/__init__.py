"""Experiments: who sees which arm, what it did to listeners, and what to decide."""
