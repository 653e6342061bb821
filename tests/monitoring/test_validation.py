"""Validation of the newest span against a reference: schema, values and distances."""

import numpy as np
import pandas as pd
import pytest

from segue.errors import InputError
from segue.verdict import Verdict

pytestmark = pytest.mark.slow  # the import of TFDV takes 7 to 16 s


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "surface": rng.choice(["home", "search"], 1000),
            "duration_s": rng.normal(200, 30, 1000).astype(np.float32),
            "country": np.where(rng.random(1000) < 0.2, None, "SE"),
        }
    )


def verdict(current: pd.DataFrame, reference: pd.DataFrame, folder, **how) -> Verdict:
    from monitoring.validation import make_reference, validate

    return validate(current, make_reference(reference, **how), folder / "page.html")


def test_the_same_span_passes_and_the_page_is_written(frame, tmp_path):
    judged = verdict(frame, frame, tmp_path)
    assert judged.passed, judged.reason
    assert judged.figures["distances"]["surface"] == 0
    assert "facets" in (tmp_path / "page.html").read_text()


def test_a_number_that_some_rows_of_the_newest_span_lack_passes(frame, tmp_path):
    """Items that nobody has played yet have no statistics; the reference had none of them."""
    current = frame.assign(duration_s=frame["duration_s"].mask(np.arange(len(frame)) % 10 == 0))
    judged = verdict(current, frame, tmp_path)
    assert judged.passed, judged.reason


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("surface", lambda c: c.str.upper()),
        ("duration_s", lambda c: c * 1000),  # milliseconds instead of seconds
        ("country", lambda c: "SE-" + c),
    ],
)
def test_a_column_whose_values_changed_is_named(frame, tmp_path, column, change):
    judged = verdict(frame.assign(**{column: change(frame[column])}), frame, tmp_path)
    assert not judged.passed
    assert list(judged.figures["anomalies"]) == [column]
    assert column in judged.reason


def test_a_category_that_only_the_older_examples_have_is_known(frame, tmp_path):
    current = frame.assign(country=np.where(np.arange(len(frame)) % 5 == 0, "IS", "SE"))
    assert list(verdict(current, frame, tmp_path).figures["anomalies"]) == ["country"]
    judged = verdict(current, frame, tmp_path, earlier=current)
    assert judged.passed, judged.reason


def test_a_few_new_values_are_no_anomaly(frame, tmp_path):
    surface = frame["surface"].where(frame.index >= 20, "library")  # 2 %
    assert verdict(frame.assign(surface=surface), frame, tmp_path).passed


def test_a_missing_column_is_named(frame, tmp_path):
    judged = verdict(frame.drop(columns="duration_s"), frame, tmp_path)
    assert list(judged.figures["anomalies"]) == ["duration_s"]


def test_distances_within_one_log_are_measured_but_not_judged(frame, tmp_path):
    longer = frame.assign(duration_s=frame["duration_s"] * 1000)
    judged = verdict(longer, frame, tmp_path, judge_distance=False)
    assert judged.passed
    assert judged.figures["distances"]["duration_s"] > 0.8


def test_a_reference_round_trips(frame, tmp_path):
    from monitoring.validation import load_reference, make_reference, save_reference

    assert load_reference(tmp_path / "absent") is None
    reference = make_reference(frame)
    save_reference(reference, tmp_path / "kept")
    assert load_reference(tmp_path / "kept") == reference


def test_an_empty_reference_is_refused(frame):
    from monitoring.validation import make_reference

    with pytest.raises(InputError, match="needs rows"):
        make_reference(frame.head(0))
