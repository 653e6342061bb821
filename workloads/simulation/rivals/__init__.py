"""The rivals of a simulation's loop: models that are never trained again, models trained every day, and an oracle."""
