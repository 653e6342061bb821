"""Commands of what listeners see: the gateway and single recommendations."""
