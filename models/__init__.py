"""Retrieval, ranking and the sequence model: encoders, training, metrics, baselines and export to SavedModel."""
