"""One run in full: its steps, the figures of its gates, the tables of its evaluation, and its reports."""

from pathlib import Path
from typing import Any

from models.evaluation import report
from segue.errors import InputError
from segue.files import read_json
from segue.near_names import check_known
from segue.settings import Home, RunFolder
from workloads.operating.overview import StateOf, brief, gates

# The artifacts of steps that a browser shows by themselves. The page of data validation is none of them: it fetches its
# viewer from other hosts.
PAGES = {"drift": "detect-drift"}


def run_named(home: Home, name: str) -> RunFolder:
    """Return the folder of a run.

    Raises:
        InputError: there is no such run.
    """
    check_known("run", name, [folder.path.name for folder in home.run_folders()])
    return home.run(name)


def run_detail(run: RunFolder, state_of: StateOf) -> dict[str, Any]:
    """Return all that is on record of a run.

    Args:
        run: its folder.
        state_of: says how a run is doing.

    Returns:
        The run's state with its `steps`, as `brief`; `pipeline`; `why` it was started, if somebody said so; `gates`;
        `tables` of the evaluation and the `sentences` on its gains; `reports`, the names that `report_file` takes.
    """
    state = state_of(run)
    request = read_json(run.request) if run.request.is_file() else {}
    evaluation = read_json(run.evaluation) if run.evaluation.is_file() else None
    return {
        **state,
        **brief(state),
        "pipeline": request.get("pipeline", ""),
        "why": request.get("why", ""),
        "gates": gates(state) if request.get("pipeline") == "training" else [],
        "tables": tables(evaluation) if evaluation else [],
        "sentences": report.gains(evaluation) if evaluation else [],
        "reports": [name for name in ("evaluation", "log", *PAGES) if report_file(run, name) is not None],
    }


def tables(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of an evaluation: `title`, `columns` and `rows`. The slices are TensorFlow Model Analysis'."""
    head = evaluation["analysis"]["head"]
    shown = {
        "Retrieval on held-out time": (report.RETRIEVAL_COLUMNS, report.retrieval_rows(evaluation)),
        "Ranking on held-out time": (report.RANKING_COLUMNS, report.ranking_rows(evaluation)),
        f"Slices: AUC of {head}, recall@100 of retrieval": (report.SLICE_COLUMNS, report.slice_rows(evaluation)),
        "Off-policy estimates": (report.OFF_POLICY_COLUMNS, report.off_policy_rows(evaluation)),
    }
    return [{"title": title, "columns": columns, "rows": rows} for title, (columns, rows) in shown.items() if rows]


def report_file(run: RunFolder, name: str) -> Path | None:
    """Return the file of a report: `evaluation` (Markdown), `log` (text), or `drift` (HTML); None if it is not there.

    Raises:
        InputError: there is no such report.
    """
    files = {"evaluation": run.evaluation_page, "log": run.log}
    if name in PAGES:
        path = next(run.artifacts.glob(f"*/{PAGES[name]}/page"), None)
    elif name in files:
        path = files[name]
    else:
        raise InputError(f"A report is evaluation, log or drift. Received {name!r}.", "Name one of these.")
    return path if path is not None and path.is_file() else None
