"""`python -m tests.faults --rounds 100 --seed 1`: rounds of fault injection, and a table of what they found."""

import random
import signal
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.faults.commands import make_inputs
from tests.faults.rounds import run_rounds
from tests.support.model_servers import save_tf2

WEIGHTS = {"import": 36, "push": 30, "promote": 20, "run": 6, "serve": 8}  # a round of `run` takes longest


@click.command()
@click.option("--rounds", default=100, show_default=True, help="Number of rounds.")
@click.option("--seed", default=1, show_default=True, help="One seed, the same faults.")
def main(rounds: int, seed: int) -> None:
    """End import, run, push, promote and serve at random moments, and check what they leave."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` the commands would ignore it
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


if __name__ == "__main__":
    main()
