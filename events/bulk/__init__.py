"""Work on tables that may be larger than memory: kept in a temporary file, and read and written a batch at a time."""
