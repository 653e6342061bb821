"""Roll-out: prove a new model on a slice of the listeners, and promote it or take it back."""
