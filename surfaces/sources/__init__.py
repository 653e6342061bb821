"""Sources of candidates, one file each; `surfaces.sources.every` lists them."""
