"""The drift verdict, computed by Evidently. All tests are in one module, because its import takes 7 s."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from monitoring.drift import DriftLimits, compare
from monitoring.evidently_pages import Workspace
from segue.errors import InputError
from segue.files import TEMPORARY, read_json, write_json
from segue.settings import MODEL_CARD, Home
from segue.verdict import Verdict
from serving.store.model_store import push

pytestmark = pytest.mark.slow  # the import of Evidently takes 5 s

ROWS = 2_000
LIMITS = DriftLimits()


def window(seed: int = 0) -> pd.DataFrame:
    """Return a window of three features and one prediction, independent of each other."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "plays_7d": rng.normal(10.0, 2.0, ROWS),
        "plan": rng.choice(["free", "paid"], ROWS, p=[0.8, 0.2]),
        "hour": rng.integers(0, 24, ROWS),
        "prediction_play": rng.beta(2, 5, ROWS),
    })  # fmt: skip


def drifted(verdict: Verdict) -> list[str]:
    """The names of the drifted columns."""
    return [name for name, column in verdict.figures["columns"].items() if column["drifted"]]


def test_evidentlys_own_pages_have_each_comparison_once(tmp_path):
    compare(window(), window(1), LIMITS, None, tmp_path / "snapshots")
    workspace = Workspace(tmp_path / "workspace", tmp_path / "snapshots")
    workspace.add_new()
    compare(window(), window(2), LIMITS, None, tmp_path / "snapshots")
    workspace.add_new()
    assert len(workspace.evidently.list_runs(workspace.project.id)) == 2


def test_identical_windows_have_not_drifted():
    verdict = compare(window(), window(), LIMITS, None)
    assert verdict.passed
    assert {column["score"] for column in verdict.figures["columns"].values()} == {0.0}
    assert verdict.reason == ("No prediction drifted; 0 of 3 feature columns drifted (0%; under 30%).")
    assert verdict.figures["rows"] == {"reference": ROWS, "current": ROWS}


def test_two_samples_of_one_distribution_have_not_drifted():
    assert drifted(compare(window(1), window(2), LIMITS, None)) == []


def test_a_shifted_number_is_named_with_its_distance():
    # Every value moves by one standard deviation of the reference, so the distance is 1.
    current = window().assign(plays_7d=lambda f: f["plays_7d"] + f["plays_7d"].std(ddof=0))
    verdict = compare(window(), current, LIMITS, None)
    assert verdict.figures["columns"]["plays_7d"] == {
        "score": pytest.approx(1.0),
        "method": "wasserstein",
        "threshold": 0.1,
        "drifted": True,
    }
    assert drifted(verdict) == ["plays_7d"]
    assert verdict.figures["share_drifted"] == pytest.approx(1 / 3)
    assert not verdict.passed  # one of three is over the default 30 %


def test_a_smaller_share_of_drifted_columns_is_no_drifted_window():
    current = window().assign(plays_7d=lambda f: f["plays_7d"] + 10)
    verdict = compare(window(), current, DriftLimits(share=0.5), None)
    assert drifted(verdict) == ["plays_7d"]
    assert verdict.passed


def test_a_changed_mix_is_named_with_its_distance():
    # The plans have nothing in common, so the Jensen-Shannon distance has its maximum, sqrt(ln 2).
    verdict = compare(window().assign(plan="free"), window().assign(plan="paid"), LIMITS, None)
    assert drifted(verdict) == ["plan"]
    assert verdict.figures["columns"]["plan"]["score"] == pytest.approx(np.sqrt(np.log(2)))


def test_one_drifted_prediction_is_a_drifted_window():
    current = window().assign(prediction_play=lambda f: f["prediction_play"] / 2)
    verdict = compare(window(), current, LIMITS, None)
    assert not verdict.passed
    assert verdict.figures["predictions_drifted"] == ["prediction_play"]
    assert verdict.reason.startswith("The model's predictions drifted (prediction_play); 0 of 3")


def test_a_feature_that_goes_missing_is_drift():
    current = window().assign(plays_7d=np.nan)
    assert drifted(compare(window(), current, LIMITS, None)) == ["plays_7d is null"]


def test_null_only_and_constant_columns_that_stay_the_same_are_no_drift():
    frame = window().assign(never=np.nan, always=7.0, one_word="x")
    verdict = compare(frame, frame, LIMITS, None)
    assert drifted(verdict) == []
    assert {"never is null", "always", "one_word"} <= set(verdict.figures["columns"])


def test_predictions_alone_can_be_compared():
    frame = window()[["prediction_play"]]
    assert compare(frame, frame, LIMITS, None).figures["share_drifted"] == 0.0


def test_one_row_is_enough_to_compare():
    assert compare(window().head(1), window().head(1), LIMITS, None).figures["rows"]["current"] == 1


def test_a_long_window_is_sampled_by_the_seed():
    limits = DriftLimits(sample_rows=500, seed=3)
    first, again = (compare(window(1), window(2), limits, None) for _ in range(2))
    assert first == again
    other = compare(window(1), window(2), DriftLimits(sample_rows=500, seed=4), None)
    assert other.figures["columns"] != first.figures["columns"]
    assert first.figures["rows"] == {"reference": ROWS, "current": ROWS}


def test_the_page_is_evidentlys_report_of_all_columns(tmp_path):
    html = tmp_path / "reports" / "drift.html"
    compare(window(1), window(2), LIMITS, html)
    text = html.read_text(encoding="utf-8")
    assert "Dataset Drift" in text
    assert all(name in text for name in window())
    assert not list(html.parent.glob(f"{TEMPORARY}*"))


@pytest.mark.parametrize("limits", [{"share": 0.0}, {"share": 1.1}, {"distance": 0.0}, {"sample_rows": 0}])
def test_a_limit_out_of_its_range_is_an_error(limits):
    with pytest.raises(InputError):
        DriftLimits(**limits)


class TestCommand:
    """`segue drift`."""

    @pytest.fixture
    def call(self, tmp_path, monkeypatch):
        """Write two windows to files, run the command on them, and return its result."""
        from cli.drift import drift

        monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))

        def run(current: pd.DataFrame, *more: str):
            window().to_parquet(tmp_path / "reference.parquet")
            current.to_parquet(tmp_path / "current.parquet")
            paths = [f"--{name}={tmp_path / name}.parquet" for name in ("reference", "current")]
            return CliRunner().invoke(drift, [*paths, *more], catch_exceptions=False)

        return run

    def test_json_output_is_the_saved_verdict(self, call, tmp_path):
        result = call(window().assign(plan="paid"), "--json")
        assert result.exit_code == 0
        verdict = json.loads(result.stdout)
        assert drifted(Verdict.from_dict(verdict)) == ["plan"]
        assert verdict == read_json(tmp_path / "home" / "reports" / "drift.json")
        assert (tmp_path / "home" / "reports" / "drift.html").stat().st_size > 0

    def test_the_table_has_the_worst_column_first(self, call):
        lines = call(window().assign(hour=0)).stdout.splitlines()
        names = [line.split()[1] for line in lines if line.startswith("│")]
        assert names[0] == "hour"
        assert set(names) == set(window().columns)

    def test_a_file_that_is_not_parquet_is_an_error(self, tmp_path):
        from cli.drift import drift

        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(InputError, match="is no Parquet file"):
            CliRunner().invoke(
                drift,
                [f"--reference={tmp_path / 'notes.txt'}", f"--current={tmp_path / 'absent'}"],
                catch_exceptions=False,
            )

    def test_without_paths_it_compares_the_windows_of_the_home(self, call, tmp_path, monkeypatch):
        from cli.drift import drift

        monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
        with pytest.raises(InputError, match="No version of the model 'ranking' is served yet"):
            CliRunner().invoke(drift, [], catch_exceptions=False)
        home, saved = Home(tmp_path / "home"), tmp_path / "saved"
        write_json(saved / MODEL_CARD, {"run_id": "r1"})
        (saved / "saved_model.pb").touch()
        push(home.models, {"ranking": saved})
        with pytest.raises(InputError, match=r"r1\.parquet; it is not there"):
            CliRunner().invoke(drift, [], catch_exceptions=False)
        for path in (home.reference("r1"), home.current_window):
            path.parent.mkdir(parents=True, exist_ok=True)
            window().to_parquet(path)
        result = CliRunner().invoke(drift, ["--json"], catch_exceptions=False)
        assert json.loads(result.stdout)["passed"] is True
