"""The steps of a search: its plan, its trials, and the choice among them."""
