"""The steps that train and learn."""
