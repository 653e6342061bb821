"""Arms of experiments as configuration of the surfaces: what they may set, and what they set for a request."""
