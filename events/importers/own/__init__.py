"""Your own logs: the formats and dialects of their files, the columns mapped to the contract, ids for their rows."""
