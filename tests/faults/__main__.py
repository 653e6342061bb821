"""`python -m tests.faults commands|gateway|rollout|agreement`: rounds of faults, and a table of what they found."""

import random
import signal
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.rollout.site import made
from segue.clock import utc_now
from segue.settings import Home
from tests.faults.commands import make_inputs
from tests.faults.gateway_rounds import plan
from tests.faults.gateway_rounds import run_rounds as run_gateway_rounds
from tests.faults.kill_actions import ACTIONS
from tests.faults.rollout_rounds import DISTURBED
from tests.faults.rollout_rounds import run_rounds as run_rollout_rounds
from tests.faults.rounds import run_rounds
from tests.support.model_servers import save_tf2

MOST_SHOWN = 20  # faults
AREAS = tuple(dict.fromkeys(action.area for action in ACTIONS))
WEIGHTS = {"import": 36, "push": 30, "promote": 20, "run": 6, "serve": 8}  # a round of `run` takes longest


@click.group()
def main() -> None:
    """Disturb Segue at random moments, and check what that leaves."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` the commands would ignore it


rounds_option = click.option("--rounds", default=100, show_default=True, help="Number of rounds.")
seed_option = click.option("--seed", default=1, show_default=True, help="One seed, the same faults.")


@main.command()
@rounds_option
@seed_option
def commands(rounds: int, seed: int) -> None:
    """End import, run, push, promote and serve at random moments, and check what they leave."""
    names = random.Random(seed).choices(list(WEIGHTS), list(WEIGHTS.values()), k=rounds)
    counts: Counter = Counter()
    with TemporaryDirectory(prefix="segue-faults-") as folder:
        save_tf2(Path(folder) / "model", 1.0)
        make_inputs(Path(folder) / "inputs", Path(folder) / "model")
        began = time.monotonic()
        for number, each in enumerate(run_rounds(names, seed, Path(folder) / "inputs", Path(folder) / "rounds"), 1):
            place = f"{number:>4} {each.command:<8} {each.fault:<5} {each.moment:<24}"
            click.echo(f"{place} {'hit' if each.hit else 'ended before'} {time.monotonic() - began:.0f} s")
            for sentence in each.wrong:
                click.echo(f"     {sentence}")
            counts.update([(each.command, "rounds"), (each.command, each.fault)])
            counts.update([(each.command, "hit")] * each.hit + [(each.command, "wrong")] * bool(each.wrong))
    columns = ("rounds", "kill", "term", "hup", "full", "hit", "wrong")
    click.echo("".join(f"{title:>9}" for title in ("", *columns)))
    for name in WEIGHTS:
        click.echo(f"{name:>9}" + "".join(f"{counts[name, column]:>9}" for column in columns))
    raise SystemExit(any(column == "wrong" for _, column in counts))


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Number of rounds at each moment.")
@click.option("--area", type=click.Choice(AREAS), multiple=True, help="Only these; repeatable.  [default: all]")
def agreement(rounds: int, area: tuple[str, ...]) -> None:
    """Kill commands before each of their writes that last; after one invocation all states agree."""
    from tests.faults.agreement import Rounds, run_rounds

    chosen = [each for each in ACTIONS if not area or each.area in area]
    counts: Counter = Counter()
    moments: dict[str, set[str]] = {}
    with TemporaryDirectory(prefix="segue-faults-") as folder:
        for each in run_rounds(Rounds(Path(folder)), chosen, rounds):
            for sentence in each.wrong:
                click.echo(f"{each.action.name}, before {each.moment}: {sentence}")
            moments.setdefault(each.action.name, set()).add(each.moment)
            counts.update([(each.action.name, name) for name in ("rounds", *["hit"] * each.hit)])
            counts.update([(each.action.name, "wrong")] * bool(each.wrong))
    click.echo(f"{'area':<10}{'killed':<32}{'moments':>9}{'rounds':>8}{'hit':>6}{'wrong':>7}")
    for action in chosen:
        columns = [counts[action.name, column] for column in ("rounds", "hit", "wrong")]
        place = f"{action.area:<10}{action.name:<32}{len(moments[action.name]):>9}"
        click.echo(f"{place}{columns[0]:>8}{columns[1]:>6}{columns[2]:>7}")
    total = [sum(counts[action.name, column] for action in chosen) for column in ("rounds", "hit", "wrong")]
    click.echo(f"{'all':<42}{sum(map(len, moments.values())):>9}{total[0]:>8}{total[1]:>6}{total[2]:>7}")
    raise SystemExit(bool(total[2]) or total[0] != total[1])


@main.command()
@click.argument("home", type=click.Path(path_type=Path, exists=True, file_okay=False))
@rounds_option
@seed_option
def gateway(home: Path, rounds: int, seed: int) -> None:
    """Kill the gateway and what it stands on under load, in copies of the trained HOME."""
    done = []
    with TemporaryDirectory(prefix="segue-faults-") as folder:
        for number, each in enumerate(run_gateway_rounds(plan(rounds, seed), seed, Home(home), Path(folder)), 1):
            ledger = each.ledger
            click.echo(
                f"{number:>4} {each.profile:<8} {each.victim:<12} down {each.down:5.1f} s, back {each.back:4.1f} s, "
                f"{len(ledger.requests)} requests, {len(ledger.retried)} retried, {len(ledger.events)} events"
            )
            for sentence in each.wrong:
                click.echo(f"     {sentence}")
            done.append(each)
    click.echo(f"{'':24}{'rounds':>8}{'requests':>10}{'retried':>9}{'events':>8}{'back s':>8}{'wrong':>7}")
    for pair in sorted({(each.profile, each.victim) for each in done}):
        some = [each for each in done if (each.profile, each.victim) == pair]
        requests, retried, events = (
            sum(len(getattr(each.ledger, name)) for each in some) for name in ("requests", "retried", "events")
        )
        slowest, wrong = max(each.back for each in some), sum(bool(each.wrong) for each in some)
        place = f"{pair[0]:<10}{pair[1]:<14}{len(some):>8}{requests:>10}"
        click.echo(f"{place}{retried:>9}{events:>8}{slowest:>8.1f}{wrong:>7}")
    raise SystemExit(any(each.wrong for each in done))


@main.command()
@click.option("--rounds", default=20, show_default=True, help="Promotions and rollbacks together, in turn.")
@click.option("--requests", default=20_000, show_default=True, help="Calls and pages, at least.")
def rollout(rounds: int, requests: int) -> None:
    """Promote candidates and take them back under load, on a model server and a gateway with tiny models."""
    with TemporaryDirectory(prefix="segue-faults-") as folder:
        found = run_rollout_rounds(made(Path(folder) / "home", utc_now()), rounds, requests, click.echo)
    for sentence in found.wrong[:MOST_SHOWN]:
        click.echo(f"     {sentence}")
    click.echo(f"{found.promotions} promotions, {len(found.back)} rollbacks, {len(found.wrong)} faults")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.answered.items()))
    click.echo(f"{sum(found.answered.values())} answers: {kinds}; {found.fallbacks} pages with another fallback")
    for how in DISTURBED:
        seconds = [each for name, each in found.back if name == how]
        if seconds:
            click.echo(f"rollback, {how or 'undisturbed'}: {len(seconds)}, longest {max(seconds):.2f} s")
    raise SystemExit(bool(found.wrong))


if __name__ == "__main__":
    main()
