"""The drift part of `segue bench rollout`: what is decided in quiet weeks, and after planted changes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from benchmarks.results import Say, machine, target
from benchmarks.rollout.drift_peers import PEERS, impressions, of_window
from benchmarks.rollout.drift_world import SITE, Site
from events.world.config import DRIFTS
from monitoring.report import Check, Report
from monitoring.retraining import Decision, Training, decide
from monitoring.rules import Rules
from monitoring.windows import DAY
from segue.verdict import Verdict

QUIET_WINDOWS = 100
PLANTED, AFTER, IN_TIME = 1, 5, 3  # the window of a change; windows from then on; those in which it is to be noticed
LAST_TRAINING = 10 * DAY  # before the first window: later than the cool-down, earlier than the schedule
SEGUE, WEEKLY, NEVER = "segue", "weekly", "never"
EACH_WINDOW = Rules(windows={"drift": 1})  # a peer asks for a training in one window
RULES = {
    SEGUE: Rules(),
    **dict.fromkeys(PEERS, EACH_WINDOW),
    WEEKLY: Rules(windows={}, schedule_days=7, cooldown_days=0),
    NEVER: Rules(windows={}, schedule_days=10_000),
}


def run(worlds: int, say: Say, seed: int = 0) -> dict[str, Any]:
    """Decide over windows of worlds without a change, and with each of them.

    All contestants have the same schedule, cool-down and budget (`monitoring.rules`), except for `weekly` and `never`;
    each training is pushed.

    Args:
        worlds: Worlds of each change; a quarter as many without a change, and at least one.
        say: Prints progress.
        seed: The first seed.

    Returns:
        `quiet`: contestant -> for each world `decisions` beyond the schedule and `failed` windows. `planted`:
        contestant -> change -> in how many worlds it was `noticed` in time, with the right `cause`, and `retrained`.
        `worlds`, `in_time` and `windows` (numbers of windows), `site`, `machine`.
    """
    quiet_worlds = max(worlds // 4, 1)
    quiet: dict[str, list[dict[str, int]]] = {name: [] for name in RULES}
    for number in range(quiet_worlds):
        say(f"quiet world {number + 1} of {quiet_worlds}: {QUIET_WINDOWS} windows")
        for name, reports, decisions in contested(Site.generate(QUIET_WINDOWS, None, 0, seed + number)):
            asked = sum(each.action != "wait" and each.cause != "schedule" for each in decisions)
            quiet[name].append({"decisions": asked, "failed": sum(bool(each.failed) for each in reports)})
    planted = {name: {drift: {"noticed": 0, "cause": 0, "retrained": 0} for drift in DRIFTS} for name in RULES}
    for drift in DRIFTS:
        say(f"{drift}: {worlds} worlds")
        for number in range(worlds):
            for name, _, decisions in contested(Site.generate(PLANTED + AFTER, drift, PLANTED, seed + number)):
                for figure, holds in noticed(decisions[PLANTED:], drift).items():
                    planted[name][drift][figure] += holds
    return {
        "quiet": quiet,
        "planted": planted,
        "worlds": worlds,
        "in_time": IN_TIME,
        "windows": QUIET_WINDOWS,
        "site": SITE,
        "machine": machine("numpy", "scipy", "evidently"),
    }


def contested(site: Site) -> Iterator[tuple[str, list[Report], list[Decision]]]:
    """Yield each contestant with its reports and decisions on all windows of a site."""
    windows = len(site.sums.totals) - site.windows(0).days + 1
    shown = impressions(site)
    instants = [site.at(number) for number in range(windows)]
    own = [site.report(number) for number in range(windows)]
    reports = {SEGUE: own, WEEKLY: [], NEVER: []}
    for name, peer in PEERS.items():
        reports[name] = [peer_report(own[n], peer(*of_window(shown, site, n))) for n in range(windows)]
    for name, rules in RULES.items():
        yield name, reports[name], decided(reports[name], rules, instants)


def peer_report(own: Report, drifted: bool) -> Report:
    """Return the report of a peer on the windows of another report."""
    reason = "The columns drifted." if drifted else "The columns have not drifted."
    check = Check("drift", "drift", "retrain", Verdict(not drifted, reason))
    return Report(own.reference, own.current, (check,), "drift" if drifted else None, reason)


def decided(reports: Sequence[Report], rules: Rules, instants: Sequence[datetime]) -> list[Decision]:
    """Return the decision after each window; a decision to retrain is carried out at once, and pushed."""
    trainings = [Training(instants[0] - LAST_TRAINING, "pushed")]
    history: list[Decision] = []
    for number, at in enumerate(instants, 1):
        decision = decide(reports[:number], history, trainings, rules, at)
        history.append(decision)
        if decision.action == "retrain":
            trainings.append(Training(at, "pushed"))
    return history


def noticed(decisions: Sequence[Decision], drift: str) -> dict[str, bool]:
    """Return whether the decisions since a change noticed it in time, with the right cause, and retrained.

    Args:
        decisions: Of the windows from the change on.
        drift: The change.
    """
    acted = [each for each in decisions[:IN_TIME] if each.action != "wait" and each.cause != "schedule"]
    return {
        "noticed": bool(acted),
        "cause": bool(acted) and acted[0].cause == drift,
        "retrained": any(each.action == "retrain" for each in decisions),
    }


def targets(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the targets of a run."""
    planted, worlds = result["planted"][SEGUE], result["worlds"]
    most = max(each["decisions"] for each in result["quiet"][SEGUE])
    return {
        "most_decisions_in_quiet_windows": target(most, at_most=3),
        **{f"{drift}_noticed": target(planted[drift]["cause"] / worlds, at_least=0.95) for drift in DRIFTS},
        "outage_retrained": target(planted["outage"]["retrained"] / worlds, at_most=0),
    }
