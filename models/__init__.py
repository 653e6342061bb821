"""Retrieval and ranking: encoders, training, metrics, baselines and export to SavedModel."""
