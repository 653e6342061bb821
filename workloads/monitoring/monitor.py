"""Monitor: check the newest day, decide whether to retrain, and tell MLflow and people."""

from collections.abc import Callable
from datetime import datetime

from events import dataset
from events.journal.journal import has_journal
from monitoring.report import Report
from monitoring.retraining import Decision
from monitoring.rules import Rules
from monitoring.windows import HOUR, MATURITY
from segue.clock import utc_now
from segue.lock import locked
from segue.settings import Home
from serving.store.split import read_split
from stores import parts
from stores.settings import settings
from workloads.monitoring import decide, refresh, tell, watch
from workloads.operating.overview import StateOf
from workloads.outcome import outcome
from workloads.run import Run


def step(run: Run) -> bool:
    """Return whether the decision is to retrain; the journal is collected. The rules are those of the code.

    The features of the day are brought online first.

    Args:
        run: the pipeline run.
    """
    with run.step(__name__, reads=(parts.DATA, parts.REPORTS, parts.MODELS)) as result:
        result["refreshed"] = refresh.step(run.home, utc_now())
        report, decision, untold = monitor(run.home, Rules(), utc_now(), outcome, print)
        result.update(report=report.to_dict(), decision=decision.to_dict(), **untold)
        return decision.action == "retrain"


def monitor(
    home: Home, rules: Rules, at: datetime, state_of: StateOf, say: Callable[[str], None]
) -> tuple[Report, Decision, dict[str, str]]:
    """Check the newest day, decide and tell. One process at a time does so in a home.

    A log is checked at its end at the latest; one into which a journal is collected, now.

    Args:
        home: the home.
        rules: the rules.
        at: the time of the check, UTC.
        state_of: says how a run is doing.
        say: says an alert.

    Returns:
        The report; the decision; and why not all was told, if so: `not_tracked` and `not_alerted`.

    Raises:
        InputError: the log cannot be checked, or a report or the decisions so far are damaged.
        UnavailableError: another process decides.
    """
    with locked(home.monitor_lock, "segue monitor", utc_now()):
        report = watch.step(home, min(at, end_of_log(home)))
        decision = decide.step(home, rules, at, state_of, roll_out(home))
        reasons = {"not_tracked": tell.track(home), "not_alerted": tell.alert(home, say)}
        return report, decision, {name: reason for name, reason in reasons.items() if reason}


def end_of_log(home: Home) -> datetime:
    """Return when the outcomes of an imported log's last hour are mature; now where a journal goes on with the log.

    That an imported log ends is no outage, nor is a time that is still to come.
    """
    if has_journal(home, settings()):
        return utc_now()
    last = datetime.fromisoformat(dataset.load(home.data).manifest["span"]["last"])
    return last.replace(minute=0, second=0, microsecond=0) + HOUR + MATURITY


def roll_out(home: Home) -> str:
    """Return why a training waits for the roll-out that runs; empty if none runs."""
    split = read_split(home.models)
    if split and split.open:
        return f"Roll-out {split.number} is {split.phase}; a new version would wait for its end."
    return ""
