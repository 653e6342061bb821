"""The parts of the synthetic world: its catalogue, listeners, logging policy and days."""
