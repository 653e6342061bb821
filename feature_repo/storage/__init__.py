"""Where Feast keeps its state: a registry file that is replaced as a whole, and the servers of a cluster."""
