"""Experiments measured: errors and power on simulated listeners, peers, and the speed of a scorecard."""
