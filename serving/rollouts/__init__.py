"""What controllers and gateways share of a roll-out: its state, and the counts of each gateway."""
