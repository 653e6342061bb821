"""The parts of the synthetic world: what there is to hear, who listens, what is shown, what happens."""
