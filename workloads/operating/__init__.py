"""How the loop of a home is doing, read from its files, and what an operator may do: for commands and for pages."""
