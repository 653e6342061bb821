"""The aliases of registered models: `champion` names the stable version, `challenger` the candidate."""

from collections.abc import Mapping
from typing import Any

from tracking.registry import registered_name

CHAMPION, CHALLENGER = "champion", "challenger"
Aliases = Mapping[str, Mapping[str, str]]  # model -> alias -> the run that trained the version


def set_aliases(client: Any, aliases: Aliases) -> set[str]:
    """Let the aliases of registered models name the versions that runs have trained, and no others.

    A model whose version is not registered has no such alias: none is better than a wrong one.

    Args:
        client: the `MlflowClient`.
        aliases: the run by model and alias.

    Returns:
        The runs of which MLflow has no version.
    """
    missing = set()
    for model, runs in aliases.items():
        name = registered_name(model)
        of_run: dict[str, int] = {}
        for each in client.search_model_versions(f"name = '{name}'"):
            run = each.tags.get("run_id", "")
            of_run[run] = max(int(each.version), of_run.get(run, 0))
        missing |= set(runs.values()) - of_run.keys()
        before = client.get_registered_model(name).aliases if of_run else {}
        for alias in (CHAMPION, CHALLENGER):
            version = of_run.get(runs.get(alias, ""))
            if version is None and alias in before:
                client.delete_registered_model_alias(name, alias)
            elif version is not None and str(before.get(alias)) != str(version):
                client.set_registered_model_alias(name, alias, str(version))
    return missing
