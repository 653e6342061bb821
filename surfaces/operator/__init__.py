"""The operator's page: how the loop is doing, in a browser, and the few things that a person may do about it."""
