"""The simulation: the listeners of a world use the gateway day by day, and the models learn from what they served."""
