"""The canonical tables, the importers that fill them, labels, and the split by global time."""
