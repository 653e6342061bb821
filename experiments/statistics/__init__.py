"""Statistics of experiments: plain functions on arrays with one value for each unit."""
