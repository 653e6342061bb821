"""The steps of the pipelines as KFP components: typed inputs and outputs, and one call into `workloads`."""
