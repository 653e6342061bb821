"""The model store: versions of models on disk, and labels that say which version answers.

The layout is TF Serving's: `<root>/<model>/<version>/saved_model.pb` and `<root>/models.config`. A push has two steps:
first every model is copied completely under its new version number, then one rename of `models.config` moves the labels
of all models. If the push is killed at any moment, the old versions are served or the new ones, never a mixture.

`stable` labels the version that callers ask for. `canary` labels a candidate beside it; without a candidate it names
what is stable, so that its callers are always answered. A request that has no label goes to the newest loaded version,
as in TF Serving: to the candidate if there is one.

One push or promotion at a time works on the store, as long as files are copied and servers load. A way back does not
wait for it: the lock of `models.config` is held for one write only.

This module does not import TensorFlow.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue import files
from segue.errors import InputError, UnavailableError
from segue.lock import latched
from segue.near_names import check_known
from serving.store import staging
from serving.store.chosen_versions import canaries, check_whole, having
from serving.store.label_file import CONFIG, Labels, config_text, entries, labels_in, rendered
from serving.store.moving import Announce, locked, point, put_back, relabel
from serving.store.rollback_targets import last_pushed, rollback_targets
from serving.store.versions import CANARY, STABLE, models, versions

WarmUp = Mapping[str, Sequence[Mapping[str, Any]]]


def push(
    root: Path,
    saved_models: Mapping[str, Path],
    keep: int = 5,
    warmup: WarmUp | None = None,
    label: str | None = STABLE,
) -> int:
    """Add a new version of each given model, and move a label to the new versions: of all models or of none.

    A push to `stable` leaves a candidate its label, and a push to `canary` does not move `stable`.

    Args:
        root: the model store; it is created if it does not exist.
        saved_models: model name -> folder of its SavedModel.
        keep: how many of the newest versions of each model are kept. Labelled versions, and the version that `rollback`
            would return to, are kept in any case.
        warmup: model name -> requests for `serving_default` (input name -> array), which the server runs once before
            the version is available.
        label: `stable` or `canary`; None for versions that wait without a label, and that no server loads.

    Returns:
        The new version number, the same for all models: 1 + the highest number of any model in the store.

    Raises:
        InputError: no models, an invalid model name, a folder without a SavedModel, `keep` below 1, another label, or
            invalid warm-up requests (see `staging.warmup_logs`).
    """
    if keep < 1:
        raise InputError(f"A push keeps at least 1 version. Received keep={keep}.", "Give keep=1 or more.")
    if label not in (STABLE, CANARY, None):
        raise InputError(
            f"A push moves the label {STABLE} or {CANARY}. Received {label!r}.", "Move other labels with `promote`."
        )
    staging.check(saved_models)
    logs = staging.warmup_logs(warmup or {}, saved_models)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        # Versions without a label count too: a push that was killed may have left the next number of some models taken.
        version = 1 + max((v for name in models(root) for v in versions(root, name)), default=0)
        staged = {
            name: staging.stage(root / name, version, source, logs.get(name, ()))
            for name, source in saved_models.items()
        }
        for name, folder in staged.items():
            folder.rename(root / name / str(version))
        with latched(root / CONFIG):
            before = config_text(root)
            after = labels_in(before)
            if label is not None:
                for name in saved_models:
                    point(after.setdefault(name, {}), label, version)
            files.write_text(root / CONFIG, rendered(root, before, after))
            for name in saved_models:
                _prune(root, name, keep)
    return version


def labels(root: Path) -> Labels:
    """Model -> label -> version, read from `models.config`; empty before the first push."""
    return labels_in(config_text(root))


def stable(root: Path) -> dict[str, Path]:
    """Model -> folder of its `stable` version; empty before the first push."""
    return {
        name: Path(root) / name / str(model_labels[STABLE])
        for name, model_labels in labels(root).items()
        if STABLE in model_labels
    }


def served(root: Path, model: str) -> Path:
    """The folder of the `stable` version of a model.

    Raises:
        InputError: the model has no `stable` version yet.
    """
    folders = stable(root)
    if model not in folders:
        raise InputError(f"No version of the model {model!r} is served yet.", "Run `segue run training` first.")
    return folders[model]


def promote(
    root: Path, version: int | None = None, label: str = STABLE, announce: Announce | None = None
) -> dict[str, int]:
    """Move a label to a version, in every model that has the version.

    Without a version, `stable` moves to the canary of each model that has one. A candidate keeps the label `canary`;
    where `canary` names what is stable, it goes along with `stable`.

    Args:
        root: the model store.
        version: the version number; None for the version of the canary.
        label: the label to move.
        announce: moves the labels in a running server first; None writes the file only.

    Returns:
        Model -> version, for the models whose label was moved.

    Raises:
        InputError: no model has the version, or one of them is not whole (its files have changed since the push); there
            is no candidate; or no version is given for a label other than `stable`.
        UnavailableError: another command moved the labels while the server loaded the version.
        SegueError: the error that `announce` raised. No label has moved.
    """
    if version is None and label != STABLE:
        raise InputError(
            f"Only {STABLE} can do without a version: it moves to the canary. Received {label!r} alone.",
            "Give the version.",
        )
    if not label:
        raise InputError("A label has at least one character. Received an empty label.", "Give the label a name.")
    begun: Labels | None = None
    chosen: dict[str, int] = {}

    def edit(now: Labels) -> Labels:
        nonlocal begun, chosen
        if begun is None:
            begun = {name: dict(names) for name, names in now.items()}
            chosen = canaries(root, now) if version is None else having(root, version)
            for name, number in chosen.items():
                check_whole(root, name, number)
        elif now != begun:
            raise UnavailableError(
                "The labels were moved by another command while the server loaded the version.",
                "Look at them with `segue models list`, and decide again.",
            )
        for name, number in chosen.items():
            point(now.setdefault(name, {}), label, number)
        return now

    relabel(root, edit, announce)
    return chosen


def rollback(root: Path) -> tuple[str, Mapping[str, int | None]]:
    """Undo the last push or promotion in one write: take the candidate back if there is one, else move `stable` back.

    With a candidate, `canary` moves to what is stable. Without one, the models of the last push return to the version
    that was `stable` before. If that version is not known or not whole (its files have changed), they return to the
    newest older version that is whole in all of them. Two groups of models do not move: those whose `stable` is older
    than the newest `stable`, because they were not part of the last push, and those that have no older version.

    Args:
        root: the model store.

    Returns:
        The label that moved, and model -> its new version; None where nothing is stable, so the label was removed.

    Raises:
        InputError: there is no candidate, and no older version is whole.
    """
    moved: dict[str, int | None] = {}
    label = CANARY

    def edit(now: Labels) -> Labels:
        nonlocal label
        for name, names in now.items():
            if CANARY in names and names[CANARY] != names.get(STABLE):
                moved[name] = names.get(STABLE)
                del names[CANARY]
                names.update({CANARY: names[STABLE]} if STABLE in names else {})
        if moved:
            return now
        label = STABLE
        back = rollback_targets(root, entries(config_text(root)), now)
        if not back:
            current = ", ".join(f"{name} {now[name][STABLE]}" for name in last_pushed(now)) or "not set"
            raise InputError(
                f"There is no older whole version to roll back to in {root}: {STABLE} is {current}.",
                "List the versions with `segue models list`; then promote one, or push a good model.",
            )
        for name, version in back.items():
            point(now[name], STABLE, version)
        moved.update(back)
        return now

    put_back(root, edit)
    return label, moved


def drop(root: Path, label: str, announce: Announce | None = None) -> dict[str, None]:
    """Remove a label from every model that has it, and return model -> None for these. The versions stay in the store.

    Raises:
        InputError: no model has the label, or it is `stable` or `canary`.
        SegueError: the error that `announce` raised. The label stays.
    """
    if label in (STABLE, CANARY):
        raise InputError(
            f"Callers ask for the label {label}, so it can move but not be dropped.",
            "Move it: `segue models promote VERSION` or `segue models rollback`.",
        )
    check_known("label", label, {name for names in labels(root).values() for name in names})
    without = [name for name, names in labels(root).items() if label in names]
    relabel(root, lambda now: {n: {k: v for k, v in names.items() if k != label} for n, names in now.items()}, announce)
    return dict.fromkeys(without)


def _prune(root: Path, name: str, keep: int) -> None:
    """Remove the versions of a model that are neither among the `keep` newest nor named by `models.config`."""
    entry = entries(config_text(root)).get(name)
    named = {*entry.specific, *entry.labels.values()} if entry else set()
    for version in set(versions(root, name)[:-keep]) - named:
        staging.remove(root / name / str(version))
