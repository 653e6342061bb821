"""The life cycle's steps as KFP components: typed inputs and outputs, and calls into the rooms."""
