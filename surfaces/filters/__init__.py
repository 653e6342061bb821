"""Filters of candidates, one file each; `surfaces.filters.every` lists them."""
