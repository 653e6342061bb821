"""Importers of public data sets, one a file, each on the layout that its publisher distributes."""
