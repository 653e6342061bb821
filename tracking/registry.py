"""Register SavedModels in MLflow: each registered model has versions, and aliases that name two of them.

The alias `champion` names the served version of a model. `challenger` names its newest candidate until it is served.
"""

from pathlib import Path

CHALLENGER, CHAMPION = "challenger", "champion"


def registered_name(model: str) -> str:
    """Return a model's name in the registry."""
    return f"segue-{model}"


def register(tracking_uri: str, run_id: str, saved_models: dict[str, Path], tags: dict[str, str]) -> dict[str, str]:
    """Keep a run's SavedModels as new versions, and make each the challenger of its model.

    Args:
        tracking_uri: MLflow's tracking URI.
        run_id: MLflow's id of the run, which keeps the files.
        saved_models: SavedModel folders by model.
        tags: tags of the new versions.

    Returns:
        The new version of each model.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    versions = {}
    for model, path in saved_models.items():
        name = registered_name(model)
        client.log_artifacts(run_id, str(path), artifact_path=model)
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{client.get_run(run_id).info.artifact_uri}/{model}"
        version = client.create_model_version(name, source, run_id, tags=tags).version
        client.set_registered_model_alias(name, CHALLENGER, version)
        versions[model] = str(version)
    return versions


def make_champions(tracking_uri: str, versions: dict[str, str], store_version: int) -> None:
    """Make registered versions the champions, once the model store's label `stable` points to them.

    Args:
        tracking_uri: MLflow's tracking URI.
        versions: the new champion of each model, from `register`.
        store_version: the version of the same models in the model store, kept as the tag `store_version`.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    for model, version in versions.items():
        name = registered_name(model)
        client.set_model_version_tag(name, version, "store_version", str(store_version))
        client.set_registered_model_alias(name, CHAMPION, version)
        client.delete_registered_model_alias(name, CHALLENGER)
