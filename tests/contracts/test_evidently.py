"""Evidently: the names of its metrics and the layout of its results, which the drift verdict reads."""

import pandas as pd
import pytest


@pytest.mark.slow  # the import takes 7 s
def test_a_value_drift_report_has_the_fields_that_the_verdict_reads(tmp_path):
    """If this fails, `segue drift` has no distances or no report."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(numerical_columns=["plays"])
    reference, current = (
        Dataset.from_pandas(pd.DataFrame({"plays": plays}), definition) for plays in ([0.0, 2.0], [1.0, 3.0])
    )
    metric = ValueDrift(column="plays", method="wasserstein", threshold=0.1)
    snapshot = Report([metric]).run(current, reference)
    (result,) = snapshot.dict()["metrics"]
    assert result["config"]["type"].endswith(":ValueDrift")
    assert (result["config"]["column"], result["config"]["method"]) == ("plays", "wasserstein")
    # Each value moves by 1, which is one standard deviation of the reference.
    assert result["value"] == pytest.approx(1.0)
    assert "plays" in snapshot.get_html_str(as_iframe=False)
