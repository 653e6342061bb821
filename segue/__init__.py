"""Settings, errors, the clock and the command line: what every room may lean on."""
