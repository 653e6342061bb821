"""The pipelines on Kubeflow Pipelines 2: compile, check, submit, follow, list and schedule."""
