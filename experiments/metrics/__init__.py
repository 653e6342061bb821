"""Metrics: named Ibis expressions, and the one pass that turns a log into sums for each unit."""
