"""Assignment: units into buckets, buckets into layers, experiments and arms."""
