"""Feast's repository, and the feature transformations behind its views as Ibis expressions."""
