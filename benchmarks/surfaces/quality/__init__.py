"""What pages are truly worth in a world whose listeners are known, beside peers; and what estimates make of them."""
