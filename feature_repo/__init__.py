"""Feast's repository, and the feature transformations behind it as Ibis expressions."""
