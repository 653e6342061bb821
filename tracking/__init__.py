"""MLflow keeps each run with its settings and figures, and each registered model with its versions and aliases."""
