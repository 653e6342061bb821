"""Watch the models' data: validation before training, drift after the push, and the decision to retrain."""
