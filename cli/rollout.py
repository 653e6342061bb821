"""`segue rollout`: roll out a version beside the stable one, and promote it or take it back."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.models import finish, home_with_models, label_mover, server_option
from cli.output import json_option, print_json
from cli.rounds import rounds
from segue.clock import utc_now
from segue.terminal import say

if TYPE_CHECKING:
    from rollout.decision import Action
    from rollout.plan import Plan
    from rollout.state_file import State
    from segue.settings import Home
    from serving.store.moving import Announce

by_option: Callable = click.option("--by", help="Who decides.  [default: the user of this machine]")
reason_option: Callable = click.option("--reason", required=True, help="Why, for those who read it later.")


@click.group()
def rollout() -> None:
    """Roll out a version beside the stable one: start, watch, decide.

    The state is `rollout.json` in the model store, or in Redis on a cluster. The gateway splits its listeners by it;
    other callers get what the labels `canary` and `stable` name. `look` decides; a person may decide at any time.
    """


@rollout.command()
@click.argument("version", type=int, required=False)
@click.option(
    "--plan",
    "file",
    type=click.Path(path_type=Path),
    help="YAML with stages, margins and risks.  [default: rollout/plan.py]",
)
@by_option
@server_option
@json_option
def start(version: int | None, file: Path | None, by: str | None, server: str | None, as_json: bool) -> None:
    """Roll out VERSION, or the canary: the label `canary` names it, and `stable` stays."""
    from rollout import plan

    chosen = plan.read(file) if file is not None else plan.Plan()
    show(started(version, chosen, by or getuser(), label_mover(server)), as_json)


@rollout.command()
@json_option
def status(as_json: bool) -> None:
    """Show the newest roll-out, what its cohorts and its shadow were answered, and the last decision about it.

    Nothing is changed.
    """
    from dataclasses import asdict

    from rollout.state_file import read
    from segue.settings import Home
    from serving.rollouts.kept_counts import counts_keeping
    from surfaces.cohorts.counts import read_counts

    home = Home.from_env()
    state = read(home.models)
    with closing(counts_keeping(home.rollout_counts)) as keeping:
        answers = read_counts(keeping, state.rollout.number) if state.rollout else {}
    if as_json:
        print_json({**to_dict(state), "answers": {name: asdict(each) for name, each in answers.items()}})
        return
    show(state, as_json)
    for name, each in sorted(answers.items()):
        # A caller that counts beside the gateways may have no requests yet, and need not count seconds.
        pace = f", {each.seconds / each.requests * 1e3:.0f} ms on average" if each.seconds else ""
        overlap = f", overlap {each.overlap / each.requests:.0%}" if each.overlap else ""
        say(
            f"{name.replace('_', ' ')}: {each.requests:,} requests, {each.errors:,} errors, {each.slow:,} slow"
            f"{pace}{overlap}"
        )


@rollout.command()
@reason_option
@by_option
@server_option
@json_option
def hold(reason: str, by: str | None, server: str | None, as_json: bool) -> None:
    """Keep the share as it is, until `resume`. A candidate that does harm is taken back all the same."""
    show(decided("hold", reason, by, server), as_json)


@rollout.command()
@reason_option
@by_option
@server_option
@json_option
def resume(reason: str, by: str | None, server: str | None, as_json: bool) -> None:
    """Let a roll-out go on that a person holds."""
    show(decided("resume", reason, by, server), as_json)


@rollout.command()
@reason_option
@by_option
@server_option
@json_option
def promote(reason: str, by: str | None, server: str | None, as_json: bool) -> None:
    """Make the candidate stable at once, without waiting for the evidence. `segue models rollback` undoes it."""
    show(decided("promote", reason, by, server), as_json)


@rollout.command()
@reason_option
@by_option
@server_option
@json_option
def abort(reason: str, by: str | None, server: str | None, as_json: bool) -> None:
    """Take the candidate back: its share is 0 at once, then `canary` names what is stable.

    After a drain of 15 seconds no label names the candidate. If the command is interrupted, repeat it.
    """
    from rollout import moves
    from rollout.rollout import DRAIN
    from segue.settings import Home

    state = decided("take back", reason, by, server)
    if state.rollout is not None and state.rollout.phase == "draining":
        left = (state.rollout.since + DRAIN - utc_now()).total_seconds()
        say(f"The share is 0; requests on the candidate end within {max(0.0, left):.0f} s.", err=True)
        time.sleep(max(0.0, left))
        home, mover = Home.from_env(), label_mover(server)
        state = moves.settle(home.models, utc_now(), mover)
        finish(home, mover)
    show(state, as_json)


@rollout.command()
@click.option(
    "--every",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Look again and again, with so many seconds between two looks, until the command is ended.",
)
@server_option
@json_option
def look(every: float | None, server: str | None, as_json: bool) -> None:
    """Look at both cohorts, decide, and carry the decision out: go on, promote, or take the candidate back.

    If no roll-out runs and no earlier one has tried the canary, its roll-out starts by the usual plan.
    Errors and slow answers are those that the gateways counted; reward and skips are those of the events that
    `segue data collect` has brought. One process at a time looks. It may be killed at any moment: the next look
    finishes what it began.
    """
    from rollout.controller import alone, step
    from segue.settings import Home

    home, mover = Home.from_env(), label_mover(server)
    brought: dict[str, int] = {}

    def once() -> None:
        try:
            bring(home, brought)
            show(step(home, utc_now(), mover), as_json)
            finish(home, mover)
        finally:
            lock.touch()  # its time says to a probe when the last look ended

    with alone(home, utc_now()) as lock:
        rounds(once, every)


@rollout.command()
@json_option
def history(as_json: bool) -> None:
    """List all that happened to roll-outs, oldest first."""
    from rollout.state_file import read
    from segue.settings import Home

    state = read(Home.from_env().models)
    if as_json:
        print_json(state.to_dict()["history"])
        return
    for each in state.history:
        say(
            f"{each.rollout}  {each.at:%Y-%m-%d %H:%M:%S}  {each.action}, share {100 * each.share:.3g}%, by {each.by}: "
            f"{each.reason}"
        )


def decided(action: "Action", reason: str, by: str | None, server: str | None) -> "State":
    """Carry out a person's decision.

    Raises:
        InputError: The reason is empty, or no roll-out runs.
    """
    from rollout import moves
    from rollout.decision import Decision
    from segue.errors import InputError
    from segue.settings import Home

    if not reason.strip():
        raise InputError("A decision says why. The reason is empty.", "Give --reason.")
    # To take a candidate back waits for no object store: the share is 0 first.
    home, mover = Home.from_env() if action == "take back" else home_with_models(), label_mover(server)
    with finished(home, mover):
        return moves.act(home.models, Decision(action, reason), by or getuser(), utc_now(), mover)


def started(version: int | None, plan: "Plan", by: str, mover: "Announce | None" = None) -> "State":
    """Start a roll-out, as `rollout.moves.start` does, on the newest models."""
    from rollout import moves

    home = home_with_models()
    with finished(home, mover):
        return moves.start(home.models, version, plan, by, utc_now(), mover)


@contextmanager
def finished(home: "Home", mover: "Announce | None") -> Iterator[None]:
    """Finish what is left of a move after the block, also if it is refused: a killed command may have left more."""
    from segue.errors import InputError

    try:
        yield
    except InputError:
        finish(home, mover)
        raise
    finish(home, mover)


def bring(home: "Home", brought: dict[str, int]) -> None:
    """Bring what a look reads from the object store of a cluster. If it fails later on, a look goes by what it has.

    Args:
        home: The home.
        brought: As in `stores.parts.bring_newer`.

    Raises:
        UnavailableError: The object store does not answer, and nothing was brought before.
    """
    from segue.errors import UnavailableError
    from stores.parts import DATA, MODELS, bring_newer

    try:
        bring_newer(home, brought, DATA, MODELS)
    except UnavailableError as error:
        if not brought:
            raise
        say(f"{error.headline} {error.fix}", err=True)


def show(state: "State", as_json: bool) -> None:
    """Print the newest roll-out."""
    now = state.rollout
    if as_json:
        print_json(to_dict(state))
        return
    if now is None:
        say("No roll-out was started.")
        return
    from rollout.moves import named

    say(f"Roll-out {now.number} of {named(now.candidate)} beside {named(now.control)}: {now.phase}.")
    if not now.ended:
        stage = (
            f"Share {100 * now.share:.3g}%, stage {now.stage} of {len(now.plan.stages)}"
            if now.stage
            else "In the shadow"
        )
        say(f"{stage}, since {now.since:%Y-%m-%d %H:%M:%S} UTC.")
    if state.last is not None:
        say(f"{state.last.at:%Y-%m-%d %H:%M:%S} {state.last.action}, by {state.last.by}: {state.last.reason}")


def to_dict(state: "State") -> dict[str, Any]:
    """The newest roll-out as JSON types, with what follows from it."""
    values, now = state.to_dict(), state.rollout
    derived = {"salt": now.salt, "share": now.share} if now else {}
    return {"rollout": values["rollout"] and {**values["rollout"], **derived}, "last": values["last"]}
