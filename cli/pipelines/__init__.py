"""`segue run`, `segue runs` and `segue compile`: pipelines on this machine or on a cluster."""
