"""The canonical tables, the importers that fill them, and the splits by global time."""
