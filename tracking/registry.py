"""Register SavedModels in MLflow: each registered model has versions."""

from pathlib import Path
from typing import Any


def registered_name(model: str) -> str:
    """Return a model's name in the registry."""
    return f"segue-{model}"


def register(
    client: Any, run_id: str, saved_models: dict[str, Path], tags: dict[str, str], store_version: int
) -> dict[str, str]:
    """Keep a run's SavedModels as new versions.

    A version that an earlier call made of the same run is kept.

    Args:
        client: the `MlflowClient`.
        run_id: MLflow's id of the run, which keeps the files.
        saved_models: SavedModel folders by model.
        tags: tags of the new versions.
        store_version: the version of the same models in the model store, kept as the tag `store_version`.

    Returns:
        The version of each model.
    """
    earlier = {each.name: str(each.version) for each in client.search_model_versions(f"run_id = '{run_id}'")}
    versions = {}
    for model, path in saved_models.items():
        name = registered_name(model)
        if name in earlier:
            versions[model] = earlier[name]
            continue
        client.log_artifacts(run_id, str(path), artifact_path=model)
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{client.get_run(run_id).info.artifact_uri}/{model}"
        tagged = tags | {"store_version": str(store_version)}
        versions[model] = str(client.create_model_version(name, source, run_id, tags=tagged).version)
    return versions
