"""Drift between two windows of served traffic, and whether it asks for retraining."""
