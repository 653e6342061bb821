"""The player: pages of the gateway for a person, and the read endpoints that only these pages need."""
