"""The moves of a roll-out: the state is written first, the labels of the model store follow it.

    start      starting  → canary names the candidate        → running
    take back  share 0   → canary names the stable version   → draining → the candidate may be unloaded → taken back
    promote    promoting → stable names the candidate        → promoted
    add items  canary and stable name the versions with the items → the versions before may be unloaded

Labels move and are never dropped while callers use them. The labels that a state wants are a function of the state, so
a move that a crash interrupted is finished by calling `settle`, which every command does. The way back waits neither
for a server nor for another command that moves labels (`serving.store.moving`). A candidate that is taken back keeps
the label `draining`, which no caller uses, until the requests that pinned its version have ended: a server unloads a
version that no label names. A candidate that a version with added items replaces keeps the label `replaced` as long.

On a cluster the state is in Redis and the labels are in the object store. They are published before the state goes on,
so no share goes up ahead of its labels, and a share of 0 waits for no object store.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from rollout.decision import Decision
from rollout.move_record import MOVES, record_move
from rollout.plan import Plan
from rollout.rollout import Phase, Rollout, Versions, ramped, settled, with_items
from rollout.state_file import State, change, read
from segue.errors import InputError, UnavailableError
from serving.store import model_store, moving
from serving.store.chosen_versions import canaries, check_whole, having
from serving.store.label_file import Labels
from serving.store.moving import Announce, point
from serving.store.versions import CANARY, STABLE
from stores import parts
from workloads.operating.decisions import record_cut_off

DRAINING, REPLACED = "draining", "replaced"
STILL: tuple[Phase, ...] = ("running", "held", "promoted")  # whose labels have moved, unless items were added
BACK: tuple[Phase, ...] = ("taking back", "draining", "taken back")
ITEMS_ADDED = "items added"  # the record of a move that has ended
SEGUE = "segue"  # who decides where no person does


def start(
    root: Path, version: int | None, plan: Plan, by: str, at: datetime, announce: Announce | None = None
) -> State:
    """Start the roll-out of a version, in every model that has it.

    Args:
        root: The model store.
        version: The version; None for the canary of each model.
        plan: The plan.
        by: Who starts it.
        at: The time now, UTC.
        announce: Moves the labels of a running server first, or after a way back; None writes the files only.

    Raises:
        InputError: A roll-out runs; there is no such version, or nothing is stable yet; the version is stable or not
            whole.
        SegueError: The server refused; the next command tries again.
    """
    settle(root, at, announce)
    labels = model_store.labels(root)
    control = {model: names[STABLE] for model, names in labels.items() if STABLE in names}
    if not control:
        raise InputError("A candidate is compared with what is stable. Nothing is.", "Run `segue run training` first.")
    chosen = canaries(root, labels) if version is None else having(root, version)
    candidate = {model: number for model, number in chosen.items() if control.get(model) != number}
    if not candidate:
        raise InputError(
            f"A candidate differs from what is stable. Received {named(chosen)}, which is stable.",
            "Name another version: `segue models list` shows them.",
        )

    for model, number in candidate.items():
        check_whole(root, model, number)

    def begun(state: State) -> State:
        if state.rollout is not None and not state.rollout.ended:
            raise InputError(
                f"One roll-out at a time. Number {state.rollout.number} is {state.rollout.phase}.",
                "Wait for its end, or end it: `segue rollout abort`.",
            )
        number = state.rollout.number + 1 if state.rollout else 1
        begins = Rollout(number, candidate, control, plan, "starting", at)
        return state.recorded(begins, "start", by, f"{named(candidate)} beside {named(control)}.", at)

    change(root, begun)
    return settle(root, at, announce)


def add_items(
    root: Path,
    before: Mapping[str, Versions],
    after: Mapping[str, Versions],
    why: str,
    by: str,
    at: datetime,
    announce: Announce | None = None,
) -> State:
    """Let versions with added items take the places of both sides of the roll-out that runs, which goes on with them.

    Args:
        root: The model store, which has the versions.
        before: The versions that the items were added to, by label and model.
        after: Those with the items.
        why: What was added.
        by: Who adds the items.
        at: The time now, UTC.
        announce: As in `start`.

    Raises:
        InputError: The stable version is no longer the control of the roll-out.
        UnavailableError: Another decision or other items came meanwhile. Nothing has moved.
        SegueError: The server refused; the next command moves the labels.
    """

    changed = UnavailableError("The roll-out was changed while items were added to its models.", "Add them again.")

    def begun(state: State) -> State:
        rollout = state.rollout
        if rollout is None or not rollout.active or {STABLE: rollout.control, CANARY: rollout.candidate} != before:
            raise changed
        check_comparison(rollout, model_store.labels(root))
        candidate, control = rollout.candidate | after[CANARY], rollout.control | after[STABLE]
        reason = f"{why}: {named(candidate)} follows {named(rollout.candidate)}, beside {named(control)}."
        return replace(
            state.recorded(with_items(rollout, candidate, control), "add items", by, reason, at), last=state.last
        )

    begins = change(root, begun)
    state = settle(root, at, announce)
    if ITEMS_ADDED not in [record.action for record in state.history[len(begins.history) :]]:
        raise changed  # the candidate was taken back while a server loaded the versions
    return state


def act(root: Path, decision: Decision, by: str, at: datetime, announce: Announce | None = None) -> State:
    """Carry out a decision about the roll-out that runs. A repeated decision changes nothing.

    Args:
        root: The model store.
        decision: The decision.
        by: Who decides.
        at: The time now, UTC.
        announce: As in `start`.

    Raises:
        InputError: No roll-out runs; or it is to go on, and the stable version is no longer its control.
        SegueError: The server refused. The share is written by then; the next command moves the labels.
    """
    try:
        change(root, lambda state: decided(state, decision, by, at, model_store.labels(root)))
    except InputError:
        settle(root, at, announce)  # what an interrupted command left is finished in any case
        raise
    return settle(root, at, announce)


def decided(state: State, decision: Decision, by: str, at: datetime, labels: Labels) -> State:
    """Return the state after a decision.

    Raises: as `act`.
    """
    rollout, action = state.rollout, decision.action
    phases: Mapping[str, Phase] = {
        "hold": "held",
        "resume": "running",
        "promote": "promoting",
        "take back": "taking back",
    }
    if rollout is not None and (action, rollout.phase) in (
        ("hold", "held"),
        ("resume", "running"),
        ("promote", "promoting"),
        ("take back", "taking back"),
        ("take back", "draining"),
    ):
        return state
    if rollout is None or not (rollout.active or (action == "take back" and not rollout.ended)):
        phase = f"Number {rollout.number} is {rollout.phase}" if rollout else "There was none yet"
        raise InputError(
            f"Only a roll-out that runs can be decided about. {phase}.", "Start one: `segue rollout start`."
        )
    if action in ("ramp", "promote"):
        check_comparison(rollout, labels)
    rollout = replace(rollout, evidence=dict(decision.evidence) or rollout.evidence)
    if action == "ramp":
        return state.recorded(ramped(rollout, decision.requests, at), action, by, decision.reason, at)
    if action in phases:
        return state.recorded(replace(rollout, phase=phases[action]), action, by, decision.reason, at)
    return state.noted(rollout, action, by, decision.reason, at)


def check_comparison(rollout: Rollout, labels: Labels) -> None:
    """Check that the control of a roll-out is stable.

    Raises:
        InputError: Another version is; or the labels are moving to versions with added items.
    """
    if rollout.replacing:
        raise InputError(
            "A candidate goes on once the labels name the versions with added items. A server may be loading them.",
            "Decide again when they are loaded.",
        )
    if {model: labels.get(model, {}).get(STABLE) for model in rollout.control} != rollout.control:
        raise InputError(
            f"A candidate goes on only beside the version that it is compared with. {named(rollout.control)} was "
            "stable, and another version is now.",
            "Take it back: `segue rollout abort`.",
        )


def settle(root: Path, at: datetime, announce: Announce | None = None) -> State:
    """Finish what is left of a move, and return the state. With nothing left nothing changes.

    Raises:
        SegueError: The server refused.
    """
    state = read(root)
    while state.rollout is not None:
        seen = followed(root, announce)
        after = change(root, partial(gone_on, seen=seen, at=at))
        if after == state:
            break
        state = after
    return state


def followed(root: Path, announce: Announce | None) -> Rollout:
    """Move the labels to where the roll-out wants them, and return the roll-out as it was then."""
    rollout, labels = newest(root), model_store.labels(root)
    if rollout.phase in STILL and rollout.replaced is None and wanted(rollout, labels) == labels:
        return rollout

    def follow(labels: Labels) -> Labels:
        nonlocal rollout
        rollout = newest(root)  # where the labels are written, because another decision may have come meanwhile
        return wanted(rollout, labels)

    def move() -> None:
        record_cut_off(root)
        now = model_store.labels(root)
        if rollout.phase in BACK:
            moving.put_back(root, follow, announce)
        elif wanted(rollout, now) != now:  # else a command that moves other labels is not waited for
            moving.relabel(root, follow, announce)
        if rollout.phase in MOVES:  # published with the labels; a killed command leaves no move without a record
            record_move(root, read(root), rollout.phase, wanted(rollout, model_store.labels(root)))

    parts.change_folder(root, parts.MODELS, move)
    return rollout


def newest(root: Path) -> Rollout:
    """Return the newest roll-out, which there is."""
    rollout = read(root).rollout
    assert rollout is not None
    return rollout


def gone_on(now: State, seen: Rollout, at: datetime) -> State:
    """Return the state after the labels were moved for a roll-out; unchanged if another decision has come since."""
    moved = seen.number, seen.phase, seen.candidate, seen.replaced
    rollout = now.rollout
    if rollout is None or (rollout.number, rollout.phase, rollout.candidate, rollout.replaced) != moved:
        return now
    after = settled(rollout, at)
    if after.phase != rollout.phase:
        action: str = after.phase
    elif rollout.replacing and not after.replacing:
        action = ITEMS_ADDED
    else:
        return replace(now, rollout=after)
    return replace(now.recorded(after, action, SEGUE, REASONS[action], at), last=now.last)


REASONS: Mapping[str, str] = {
    "running": "The canary names the candidate.",
    "promoted": "The labels have moved.",
    "draining": "The canary names what is stable; requests on the candidate end.",
    "taken back": "No label names the candidate.",
    ITEMS_ADDED: "The labels name the versions with the items.",
}


def wanted(rollout: Rollout, labels: Labels) -> Labels:
    """Return the labels that a roll-out wants, by model; those of others stay."""
    after = {model: dict(names) for model, names in labels.items()}
    replaced = rollout.replaced
    for model, names in after.items():
        names.pop(REPLACED, None)
        if replaced is None:
            continue
        if replaced.candidate.get(model) in labels[model].values():
            names[REPLACED] = replaced.candidate[model]
        if rollout.active and rollout.replacing and (model, names.get(STABLE)) in replaced.control.items():
            point(names, STABLE, rollout.control[model])
    for model, version in rollout.candidate.items():
        names = after.setdefault(model, {})
        if rollout.phase in ("starting", "running", "held"):
            names[CANARY] = version
        elif rollout.phase == "promoting":
            if names.get(STABLE) == rollout.control.get(model):  # else it has moved, or a push has overtaken it
                names[STABLE] = version
            names[CANARY] = names[STABLE]
        elif rollout.phase == "taking back":  # once it drains, `stable` and `canary` are free for others
            if version in names.values():  # else a push has ended the canary, and the version may be gone
                names[DRAINING] = version
            if names.get(STABLE) == version:  # a promotion that did not come to its end had moved it
                del names[STABLE]
                if model in rollout.control:
                    names[STABLE] = rollout.control[model]
            if STABLE in names:
                names[CANARY] = names[STABLE]
            else:
                names.pop(CANARY, None)  # a model that was new with the candidate has nothing to return to
        elif rollout.phase == "taken back":
            names.pop(DRAINING, None)
    return after


def named(versions: Mapping[str, int]) -> str:
    """Say versions of models: `ranking 3, retrieval 3`."""
    return ", ".join(f"{model} {version}" for model, version in sorted(versions.items()))
