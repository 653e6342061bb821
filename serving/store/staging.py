"""A version's folder comes and goes in one rename: until it is whole, and while it goes, its name is temporary."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue import files
from segue.errors import InputError
from serving.protocol import config_files as config
from serving.store import versions


def check(saved_models: Mapping[str, Path]) -> None:
    """Whether these can be pushed.

    Raises:
        InputError: no models, a model name that is no plain file name, or a folder without a SavedModel.
    """
    if not saved_models:
        raise InputError("A push takes at least one model. Received none.", "Give a name and a SavedModel.")
    for name, source in saved_models.items():
        if not config.MODEL_NAME.fullmatch(name):
            raise InputError(
                f"A model name has letters, digits, _ . and -, and begins with none of the last three. "
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
    """Warm-up requests as the `PredictionLog` messages that a version's folder holds.

    Args:
        warmup: model name -> requests for `serving_default`, each input name -> array.
        saved_models: what is pushed.

    Raises:
        InputError: requests for a model that is not pushed, more than a server replays, or an input that no
            tensor can hold.
    """
    if not warmup:
        return {}
    from serving.protocol import prediction_log  # brings numpy along
    from serving.protocol.tensors import TensorError

    for name, requests in warmup.items():
        if name not in saved_models:
            raise InputError(
                f"Warm-up requests are for models that are pushed. Received some for {name!r}.",
                f"The models are: {', '.join(saved_models)}.",
            )
        if len(requests) > prediction_log.MAX_WARMUP_RECORDS:
            raise InputError(
                f"A version has at most {prediction_log.MAX_WARMUP_RECORDS} warm-up requests, or TF Serving does "
                f"not load it. Received {len(requests)} for {name}.",
                "A handful is enough.",
            )
    try:
        return {
            name: [prediction_log.predict_log(name, inputs) for inputs in requests]
            for name, requests in warmup.items()
            if requests
        }
    except TensorError as error:
        raise InputError(
            f"A warm-up request holds tensors: {error}.", "Give arrays of the signature's dtypes."
        ) from None


def stage(folder: Path, version: int, source: Path, warmup: Sequence[Any]) -> Path:
    """Copy a SavedModel under a temporary name into its model's folder; a rename to `version` makes it one.

    Args:
        folder: the model's.
        version: the number that it will have.
        source: the SavedModel.
        warmup: `PredictionLog` messages, in place of the SavedModel's own if there are any.
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
    """Remove a version's folder. Renamed first: half a version must not have its number."""
    doomed = folder.with_name(f"{files.TEMPORARY}{folder.name}-old")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def remove_leftovers(root: Path) -> None:
    """Remove what a killed writer left under temporary names."""
    for path in [*root.glob(f"{files.TEMPORARY}*"), *root.glob(f"*/{files.TEMPORARY}*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
