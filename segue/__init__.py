"""The ground floor, which every room may import: settings, errors, files, the clock, verdicts."""
