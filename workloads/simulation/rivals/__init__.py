"""The rivals of a simulation's loop: models that are never trained again, other sites, and an oracle."""
