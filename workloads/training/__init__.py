"""The steps that train a model, and the served models that they start from."""
