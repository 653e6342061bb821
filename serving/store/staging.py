"""Add and remove the folder of a version by one rename, so that an incomplete version never has a version's name."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue import files
from segue.errors import InputError
from serving.protocol import config_files
from serving.store import versions

OF_VERSION = re.compile(re.escape(files.TEMPORARY) + r"[0-9]+(-.*)?")  # the unfinished folder of a version


def check(saved_models: Mapping[str, Path]) -> None:
    """Check that models can be pushed.

    Raises:
        InputError: there are no models, a name is invalid, or a folder has no SavedModel.
    """
    if not saved_models:
        raise InputError(
            "A push takes at least one model. Received none.", "Give a name and the folder of a SavedModel."
        )
    for name, source in saved_models.items():
        if not config_files.MODEL_NAME.fullmatch(name):
            raise InputError(
                f"A model name has letters, digits, '_', '.' and '-', and begins with a letter or a digit. "
                f"Received {name!r}.",
                "Rename the model.",
            )
        if not any((Path(source) / file).is_file() for file in ("saved_model.pb", "saved_model.pbtxt")):
            raise InputError(
                f"A SavedModel is a folder with saved_model.pb; {source} (model {name}) has none.",
                "Give the folder that the export wrote.",
            )


def warmup_logs(
    warmup: Mapping[str, Sequence[Mapping[str, Any]]], saved_models: Mapping[str, Path]
) -> dict[str, list[Any]]:
    """Turn warm-up requests into `PredictionLog` messages, which the server reads from the folder of a version.

    Args:
        warmup: model name -> requests for `serving_default` (input name -> array).
        saved_models: the models that are pushed.

    Raises:
        InputError: requests are for a model that is not pushed or more than a server replays, or an input is an array
            that no tensor can hold.
    """
    if not warmup:
        return {}
    from serving.protocol import prediction_log  # imports numpy, which a push without warm-up does not need
    from serving.protocol.tensors import TensorError

    for name, requests in warmup.items():
        if name not in saved_models:
            raise InputError(
                f"Warm-up requests must be for a model that is pushed. Received requests for {name!r}.",
                f"The pushed models are: {', '.join(saved_models)}.",
            )
        if len(requests) > prediction_log.MAX_WARMUP_RECORDS:
            raise InputError(
                f"A version has at most {prediction_log.MAX_WARMUP_RECORDS} warm-up requests; TF Serving does not load "
                f"a version with more. Received {len(requests)} for {name}.",
                "Give fewer requests; 10 are enough.",
            )
    try:
        return {
            name: [prediction_log.predict_log(name, inputs) for inputs in requests]
            for name, requests in warmup.items()
            if requests
        }
    except TensorError as error:
        raise InputError(
            f"A warm-up request cannot be sent: {error}.", "Give arrays of the signature's dtypes."
        ) from None


def stage(folder: Path, version: int, source: Path, warmup: Sequence[Any]) -> Path:
    """Copy a SavedModel into the folder of its model under a temporary name; the caller renames it to `version`.

    Args:
        folder: the folder of the model.
        version: the version number that the copy will have.
        source: the SavedModel.
        warmup: `PredictionLog` messages; if there are any, they replace those of the SavedModel.

    Returns:
        The folder of the copy.
    """
    folder.mkdir(exist_ok=True)
    staged = folder / f"{files.TEMPORARY}{version}"
    shutil.copytree(source, staged, ignore=shutil.ignore_patterns(versions.CHECKSUMS))
    if warmup:
        from serving.protocol import prediction_log

        prediction_log.write(staged / prediction_log.WARMUP_FILE, warmup)
    versions.write_checksums(staged)
    return staged


def remove(folder: Path) -> None:
    """Remove the folder of a version. It is renamed first, so that a half-removed folder has no version's name."""
    doomed = folder.with_name(f"{files.TEMPORARY}{folder.name}-old")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def remove_leftovers(root: Path) -> None:
    """Remove the files and folders that a killed push or copy left under temporary names.

    Beside them the store's folder may hold what others are writing at this moment, such as decisions.
    """
    files.remove_unfinished(root, "models.config")
    for path in [root / f"{files.TEMPORARY}models.config", *root.glob(f"*/{files.TEMPORARY}*")]:
        if path.parent == root or OF_VERSION.fullmatch(path.name):
            files.remove(path)
