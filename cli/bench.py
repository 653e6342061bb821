"""`segue bench`: quality, speed and memory beside a named peer, in one run."""

from typing import Any

import click

from cli.output import json_option, print_json, print_table


@click.group()
def bench() -> None:
    """Measure quality, speed and memory beside a named peer, in one run."""


@bench.command()
@click.option("--size", type=click.Choice(["nano", "small", "large"]), default="large", show_default=True)
@json_option
def features(size: str, as_json: bool) -> None:
    """From raw events to the point-in-time training set, beside plain pandas."""
    from benchmarks.features.benchmark import CONTESTANTS, run

    found = run(size)
    if as_json:
        print_json(found)
        return
    columns = ("features_seconds", "join_seconds", "total_seconds", "events_per_second", "peak_memory_mb")
    print_table(
        f"{found['events']:,} events to {found['examples']:,} examples",
        ("", *(name.replace("_", " ") for name in columns)),
        [[name, *(f"{found[name][column]:,.1f}" for column in columns)] for name in CONTESTANTS],
    )
    click.echo(
        f"{found['speedup']:.1f} times as fast in {found['memory_ratio']:.2f} of the memory; "
        f"equal values: {'yes' if found['equal_values'] else 'no: ' + ', '.join(found['different_columns'])}"
    )


@bench.command()
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True, help="For each figure.")
@json_option
def serving(seconds: float, as_json: bool) -> None:
    """`segue serve` beside the in-process call and a naive peer, at 1, 8 and 32 requests in flight; and the sequence
    model's `next`, `decode` and `generate`, one request at a time, beside the in-process call."""
    from benchmarks.serving.benchmark import FIGURES, IN_FLIGHT, MODELS, run

    found = run(seconds, say)
    if as_json:
        print_json(found)
        return
    for model in MODELS:
        print_table(
            f"{model}, by requests in flight",
            ("", *map(str, IN_FLIGHT)),
            [[name.replace("_", " "), *(f"{found[model][name][str(n)]:,.2f}" for n in IN_FLIGHT)] for name in FIGURES],
        )
    figures = ("p50_ms", "p99_ms", "rps", "in_process_p50_ms")
    print_table(
        "sequence, one request at a time: a history of 200, 10,000 items, playlists of 20",
        ("", *(name.replace("_", " ") for name in figures)),
        [[name, *(f"{measured[figure]:,.2f}" for figure in figures)] for name, measured in found["sequence"].items()],
    )
    print_targets(found["targets"])
    click.echo("batching: " + ", ".join(f"{name} {value}" for name, value in found["batching"].items()))


@bench.command("serving-soak")
@click.option("--minutes", type=click.FloatRange(1, 24 * 60), default=10.0, show_default=True)
@json_option
def serving_soak(minutes: float, as_json: bool) -> None:
    """A server under load at 80 % of its peak whose models are replaced every 20 s."""
    from benchmarks.serving.soak import run

    found = run(minutes, say)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['requests']:,} requests at {found['rate_rps']:,.0f} a second, {found['reloads']} reloads, "
        f"{found['failures']} failures; memory {found['rss_first_mb']:,.0f} MiB after the first reload, "
        f"{found['rss_last_mb']:,.0f} after the last, {found['rss_max_mb']:,.0f} at most"
    )
    for when in ("during_reloads", "between"):
        p50, p99 = found["p50_ms"][when], found["p99_ms"][when]
        click.echo(f"{when.replace('_', ' ')}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    for text, times in found["failure_texts"].items():
        click.echo(f"{times} times: {text}")
    print_targets(found["targets"])


@bench.command("serving-kill")
@click.option("--rounds", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def serving_kill(rounds: int, seed: int, as_json: bool) -> None:
    """kill -9 at random times during pushes and reloads: what answers after the restart."""
    from benchmarks.serving.kill import run

    found = run(rounds, seed, say)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['rounds']} rounds, {found['pushes']} pushes; the pusher was killed {found['pusher_kills']} times "
        f"({found['kills_within_a_push']} within a push), the server {found['server_kills']} times; "
        f"it answered again after {found['slowest_restart_seconds']:.1f} s at most; "
        f"{len(found['failures'])} failures"
    )
    for text in found["failures"]:
        click.echo(text)


@bench.command()
@click.option("--data", required=True, help="A folder of MovieLens, Last.fm or imported files; or nano, small, large.")
@click.option(
    "--models",
    default="",
    help="Some of segue, segue_retrieval, popularity, item_knn, ease, als, tfrs_tutorial, separated by commas; "
    "all without it.",
)
@click.option("--splits", default="", help="Some of time,random_75_25,random_80_20; all without it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
def retrieval(data: str, models: str, splits: str, seed: int, as_json: bool) -> None:
    """What retrieval and both stages find, beside co-occurrence models and the TensorFlow Recommenders tutorial."""
    from benchmarks.retrieval.benchmark import MODELS, SPLITS, run
    from cli.quiet import stdout_to_stderr

    with stdout_to_stderr():
        found = run(data, say, names(models) or MODELS, names(splits) or SPLITS, seed)
    if as_json:
        print_json(found)
        return
    for split, measured in found["splits"].items():
        print_retrieval(f"{found['data']}, {split}", measured)
    if found["targets"]:
        print_targets(found["targets"], digits=4)


@bench.command()
@click.option(
    "--data",
    required=True,
    help="A file of `user item item …` lines, a folder with sequences.tsv or as `bench retrieval` takes; or `small`.",
)
@click.option(
    "--models",
    default="",
    help="Some of popularity, item_knn, ease, sasrec_one_negative, segue_dense, segue_generative, separated by commas; "
    "all without it.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="About how long a model trains: both of Segue's heads together (60 without it), SASRec (without it until "
    "validation gains nothing); the others take no notice.",
)
@click.option("--attention", help="Of Segue's model, in place of the default: softmax or pointwise.")
@click.option("--loss", help="Of Segue's model, in place of the default: softmax, sampled_softmax or gbce.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 8), default=0, show_default=True)
@json_option
def sequence(
    data: str, models: str, minutes: float | None, attention: str | None, loss: str | None, seed: int, as_json: bool
) -> None:
    """What plays next, leave-one-out over all items: the sequence model beside SASRec and co-occurrence models."""
    from benchmarks.sequence.benchmark import MODELS, run
    from cli.quiet import stdout_to_stderr

    given = {name: value for name, value in (("attention", attention), ("loss", loss)) if value}
    with stdout_to_stderr():
        found = run(data, say, names(models) or MODELS, minutes, given, seed)
    if as_json:
        print_json(found)
        return
    figures = ("hr@10", "ndcg@10", "mrr")
    print_table(
        f"{found['data']['name']}: {found['data']['requests']:,} listeners, {found['data']['items']:,} items",
        ("", *figures, "training", "epochs"),
        [
            [
                name,
                *(with_interval({"mean": m[figure]} | m["intervals"][figure]) for figure in figures),
                f"{m['train_seconds']:,.1f} s",
                m.get("epochs", ""),
            ]
            for name, m in found["models"].items()
        ],
    )
    for name, reason in found["left_out"].items():
        click.echo(f"{name} is left out: {reason}")


@bench.command()
@click.option("--repeats", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
def counterfactual(repeats: int, seed: int, as_json: bool) -> None:
    """How often the intervals of the counterfactual estimators hold the truth, on fresh synthetic logs."""
    from benchmarks.counterfactual import ESTIMATORS, run

    found = run(repeats, seed)
    if as_json:
        print_json(found)
        return
    columns = ("covered", "mean", "bias", "mean_width", "mean_effective_sample_size")
    for name, policy in found["policies"].items():
        print_table(
            f"{name}: truly {policy['true_value']:.4f}, {found['repeats']} logs of {found['rows']:,.0f} rows",
            ("", *(column.replace("_", " ") for column in columns), "covered with wrong propensities"),
            [
                [
                    estimator,
                    *(policy[estimator][column] for column in columns),
                    found["coverage_with_wrong_propensities"][name][estimator],
                ]
                for estimator in ESTIMATORS
            ],
        )


@bench.command("training-memory")
@click.option("--size", type=click.Choice(["nano", "small", "large"]), default="large", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
def training_memory(size: str, seed: int, as_json: bool) -> None:
    """Peak memory of training retrieval as the log, the batch and the catalogue grow."""
    from benchmarks.training_memory import run

    found = run(size, seed)
    if as_json:
        print_json(found)
        return
    columns = ("days", "batch_size", "items", "examples", "peak_memory_mb", "seconds")
    print_table(
        "training retrieval for one epoch",
        [column.replace("_", " ") for column in columns],
        [[f"{one[column]:,.0f}" for column in columns] for one in found["runs"]],
    )
    click.echo(
        f"{found['examples_growth']:.1f} times the examples take {found['memory_growth']:.2f} times the memory; "
        f"at most {found['peak_memory_mb']:,.0f} MiB, the limit is {found['limit_mb']:,} "
        f"({'holds' if found['holds'] else 'DOES NOT HOLD'})"
    )


def names(given: str) -> tuple[str, ...]:
    """`"a, b"` as `("a", "b")`."""
    return tuple(part.strip() for part in given.split(",") if part.strip())


def print_retrieval(title: str, measured: dict[str, Any]) -> None:
    """Print a split: what each model finds, what it costs, and what the slices of the time split say."""
    models = {name: figures for name, figures in measured.items() if "train_seconds" in figures}
    first: dict[str, Any] = next(iter(models.values()), {})
    shown = [name for name, value in first.items() if isinstance(value, dict) and "low" in value]
    quality, cost = [], []
    for name, figures in models.items():
        quality.append([name, *(with_interval(figures[figure]) for figure in shown)])
        speed = f"{figures['examples_per_second']:,.0f}"
        cost.append([name, figures["coverage"], f"{figures['train_seconds']:,.1f}", speed])
    print_table(title, ("", *(figure.replace("_", " ") for figure in shown)), quality)
    print_table("", ("", "coverage", "training s", "examples/s"), cost)
    for name in ("new_items", "new_users"):
        found = measured.get(name, {"examples": 0})
        if found["examples"]:
            recalls = {model: figures["recall@100"] for model, figures in found.items() if isinstance(figures, dict)}
            random = {"random": found["random_recall@100"]} if "random_recall@100" in found else {}
            each = ", ".join(f"{model} {recall:.4f}" for model, recall in {**recalls, **random}.items())
            click.echo(f"{name.replace('_', ' ')}: recall@100 of {found['examples']:,} requests: {each}")
    for name, reason in measured["left_out"].items():
        click.echo(f"{name} is left out: {reason}")


def with_interval(figure: dict[str, float]) -> str:
    """A mean with half of its 95 % interval."""
    return f"{figure['mean']:.3f} ±{(figure['high'] - figure['low']) / 2:.3f}"


def say(line: str) -> None:
    """Show progress where it does not mix with results."""
    click.echo(line, err=True)


def print_targets(targets: dict[str, dict[str, Any]], digits: int = 2) -> None:
    """Print figures beside their limits."""
    rows = []
    for name, found in targets.items():
        limit = f"at least {found['at_least']:g}" if "at_least" in found else f"at most {found['at_most']:g}"
        rows.append((name.replace("_", " "), f"{found['value']:,.{digits}f}", limit, "yes" if found["holds"] else "NO"))
    print_table("targets", ("", "measured", "limit", "holds"), rows)
