"""A drift verdict from two files to two files."""

from pathlib import Path

import pandas as pd

from monitoring.drift import DriftLimits, compare
from segue.errors import InputError
from segue.files import write_json
from segue.verdict import Verdict

TIME = "ts"


def compare_files(reference: Path, current: Path, verdict_file: Path, page: Path) -> Verdict:
    """Compare two Parquet frames; write the verdict as JSON and Evidently's report as HTML.

    Raises:
        InputError: a file is missing or is no Parquet.
    """
    frames = [read(path).drop(columns=TIME, errors="ignore") for path in (reference, current)]
    verdict = compare(frames[0], frames[1], DriftLimits(), page)
    write_json(verdict_file, verdict.to_dict())
    return verdict


def read(path: Path) -> pd.DataFrame:
    """A frame of features and predictions."""
    if not Path(path).is_file():
        raise InputError(
            f"A drift comparison needs the frame {path}; it is not there.",
            "Run `segue run training`, then `segue run monitoring`, or name Parquet files.",
        )
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is no Parquet file: {error}.", "Name a Parquet file.") from None
