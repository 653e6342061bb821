"""The stages of a request in reading order, each with a deadline, a fallback, a switch and a metric."""
