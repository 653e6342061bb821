"""`segue bench`: measure quality, speed and memory beside a named peer, in one run."""

from collections.abc import Callable

import click

from cli.bench_output import print_retrieval, print_targets, with_interval
from cli.bench_rollout import rollout
from cli.output import json_option, print_json, print_table
from cli.surfaces.bench_gateway import gateway
from cli.surfaces.bench_surfaces import surfaces
from segue.terminal import say

size_option: Callable = click.option(
    "--size",
    type=click.Choice(["nano", "small", "large"]),
    default="large",
    show_default=True,
    help="Size of the synthetic world.",
)
seed_option: Callable = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of worlds, samples and trainings.",
)


@click.group()
def bench() -> None:
    """Measure quality, speed and memory beside a named peer, in one run."""


for command in (gateway, rollout, surfaces):
    bench.add_command(command)


@bench.command()
@size_option
@json_option
def features(size: str, as_json: bool) -> None:
    """Time the way from raw events to the point-in-time training set.

    Segue and plain pandas make the same training set; the command compares their seconds, memory and values.
    """
    from benchmarks.features.benchmark import CONTESTANTS, run

    result = run(size)
    if as_json:
        print_json(result)
        return
    columns = ("features_seconds", "join_seconds", "total_seconds", "events_per_second", "peak_memory_mb")
    print_table(
        f"{result['events']:,} events to {result['examples']:,} examples",
        ("", *(name.replace("_", " ") for name in columns)),
        [[name, *(f"{result[name][column]:,.1f}" for column in columns)] for name in CONTESTANTS],
    )
    if not result["equal_values"]:
        say("columns with different values: " + ", ".join(result["different_columns"]))
    print_targets(result["targets"])


@bench.command("import")
@click.option(
    "--events", type=click.IntRange(1000), default=10_000_000, show_default=True, help="Number of events in the log."
)
@seed_option
@json_option
def import_(events: int, seed: int, as_json: bool) -> None:
    """Time the import of an own log as Parquet, CSV and CSV.gz.

    Segue, plain DuckDB and plain pandas check the same log and store it by day, each in a process of its own.
    """
    from benchmarks.importing.benchmark import CONTESTANTS, run

    result = run(events, say_progress, seed)
    if as_json:
        print_json(result)
        return
    columns = ("seconds", "cpu_seconds", "peak_memory_mb")
    for name, measured in result["formats"].items():
        print_table(
            f"{name}: {result['events']:,} events",
            ("", *(column.replace("_", " ") for column in columns)),
            [[contestant, *(f"{measured[contestant][c]:,.1f}" for c in columns)] for contestant in CONTESTANTS],
        )
    print_targets(result["targets"])


@bench.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 600),
    default=5.0,
    show_default=True,
    help="Seconds of measuring for each figure.",
)
@json_option
def serving(seconds: float, as_json: bool) -> None:
    """Measure requests per second and latency of `segue serve`.

    Retrieval and ranking are called with 1, 8 and 32 requests in flight, beside the in-process call and a naive
    model server. The sequence model's `next`, `decode` and `generate` are called one request at a time, beside the
    in-process call.
    """
    from benchmarks.serving.benchmark import FIGURES, IN_FLIGHT, MODELS, run

    result = run(seconds, say_progress)
    if as_json:
        print_json(result)
        return
    for model in MODELS:
        print_table(
            f"{model}, by requests in flight",
            ("", *map(str, IN_FLIGHT)),
            [[name.replace("_", " "), *(f"{result[model][name][str(n)]:,.2f}" for n in IN_FLIGHT)] for name in FIGURES],
        )
    figures = ("p50_ms", "p99_ms", "rps", "in_process_p50_ms")
    print_table(
        "sequence, one request at a time: a history of 200, 10,000 items, playlists of 20",
        ("", *(name.replace("_", " ") for name in figures)),
        [[name, *(f"{measured[figure]:,.2f}" for figure in figures)] for name, measured in result["sequence"].items()],
    )
    print_targets(result["targets"])
    say("batching: " + ", ".join(f"{name} {value}" for name, value in result["batching"].items()))


@bench.command("serving-soak")
@click.option(
    "--minutes",
    type=click.FloatRange(1, 24 * 60),
    default=10.0,
    show_default=True,
    help="Minutes of load.",
)
@json_option
def serving_soak(minutes: float, as_json: bool) -> None:
    """Put `segue serve` under load while its models are replaced.

    The load is 80 % of the server's peak, and the models are replaced every 20 s. No request may fail, and memory may
    not grow by more than 10 %.
    """
    from benchmarks.serving.soak import run

    result = run(minutes, say_progress)
    if as_json:
        print_json(result)
        return
    say(
        f"{result['requests']:,} requests at {result['rate_rps']:,.0f} per second, {result['reloads']} reloads, "
        f"{result['failures']} failures; memory {result['rss_first_mb']:,.0f} MiB after the first reload, "
        f"{result['rss_last_mb']:,.0f} after the last, {result['rss_max_mb']:,.0f} at most"
    )
    for when in ("during_reloads", "between"):
        p50, p99 = result["p50_ms"][when], result["p99_ms"][when]
        say(f"{when.replace('_', ' ')}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    for text, times in result["failure_texts"].items():
        say(f"{times} times: {text}")
    print_targets(result["targets"])


@bench.command("serving-kill")
@click.option(
    "--rounds", type=click.IntRange(1), default=100, show_default=True, help="Number of rounds of kill and restart."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the times and of the processes to kill.")
@json_option
def serving_kill(rounds: int, seed: int, as_json: bool) -> None:
    """Kill the pusher and the model server with SIGKILL at random times.

    The kills fall into pushes and reloads. After each restart the newest complete version must answer.
    """
    from benchmarks.serving.kill import run

    result = run(rounds, seed, say_progress)
    if as_json:
        print_json(result)
        return
    say(
        f"{result['rounds']} rounds, {result['pushes']} pushes; the pusher was killed {result['pusher_kills']} times "
        f"({result['kills_within_a_push']} within a push), the server {result['server_kills']} times; "
        f"the slowest restart took {result['slowest_restart_seconds']:.1f} s until the first answers"
    )
    for text in result["failures"]:
        say(text)
    print_targets(result["targets"])


@bench.command()
@click.option(
    "--data",
    required=True,
    help="A folder of MovieLens, Last.fm or imported files, or a synthetic world: nano, demo, small or large.",
)
@click.option(
    "--models",
    default="",
    help="The models to run, separated by commas: segue, segue_retrieval, popularity, item_knn, ease, als, "
    "tfrs_tutorial. Default: all.",
)
@click.option(
    "--splits",
    default="",
    help="The splits to run, separated by commas: time, random_75_25, random_80_20. Default: all.",
)
@seed_option
@json_option
def retrieval(data: str, models: str, splits: str, seed: int, as_json: bool) -> None:
    """Measure the quality of retrieval and of both stages.

    Segue's models are trained beside popularity, item-kNN, EASE, ALS and the TensorFlow Recommenders tutorial, on the
    same splits.
    """
    from benchmarks.retrieval.benchmark import MODELS, SPLITS, run
    from cli.quiet import stdout_to_stderr

    with stdout_to_stderr():
        result = run(data, say_progress, names(models) or MODELS, names(splits) or SPLITS, seed)
    if as_json:
        print_json(result)
        return
    for split, measured in result["splits"].items():
        print_retrieval(f"{result['data']}, {split}", measured)
    print_targets(result["targets"], digits=4)


@bench.command()
@click.option(
    "--data",
    required=True,
    help="A file of lines `user item item …`, a folder with sequences.tsv, a folder of MovieLens, Last.fm or imported "
    "files, or a synthetic world: nano, demo, small or large.",
)
@click.option(
    "--models",
    default="",
    help="The models to run, separated by commas: popularity, item_knn, ease, sasrec_one_negative, segue_dense, "
    "segue_generative. Default: all.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Minutes of training: for both heads of Segue's model together (default 60), and for SASRec (by default it "
    "trains until validation gains nothing). The other models ignore it.",
)
@click.option("--attention", help="Attention of Segue's model: softmax or pointwise. Default: the model's own.")
@click.option("--loss", help="Loss of Segue's model: softmax, sampled_softmax or gbce. Default: the model's own.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 8),
    default=0,
    show_default=True,
    help="Seed of worlds, samples and trainings.",
)
@json_option
def sequence(
    data: str, models: str, minutes: float | None, attention: str | None, loss: str | None, seed: int, as_json: bool
) -> None:
    """Measure how well the sequence model predicts what plays next.

    Each listener's last choice is held out and ranked among all items. Segue's model is trained beside SASRec,
    popularity, item-kNN and EASE.
    """
    from benchmarks.sequence.benchmark import MODELS, run
    from cli.quiet import stdout_to_stderr

    settings = {name: value for name, value in (("attention", attention), ("loss", loss)) if value}
    with stdout_to_stderr():
        result = run(data, say_progress, names(models) or MODELS, minutes, settings, seed)
    if as_json:
        print_json(result)
        return
    figures = ("hr@10", "ndcg@10", "mrr")
    print_table(
        f"{result['data']['name']}: {result['data']['requests']:,} listeners, {result['data']['items']:,} items",
        ("", *figures, "training", "epochs"),
        [
            [
                name,
                *(with_interval({"mean": measured[figure]} | measured["intervals"][figure]) for figure in figures),
                f"{measured['train_seconds']:,.1f} s",
                measured.get("epochs", ""),
            ]
            for name, measured in result["models"].items()
        ],
    )
    for name, reason in result["left_out"].items():
        say(f"{name} is left out: {reason}")
    print_targets(result["targets"], digits=4)


@bench.command()
@click.option("--repeats", type=click.IntRange(1), default=100, show_default=True, help="Number of synthetic logs.")
@seed_option
@json_option
def counterfactual(repeats: int, seed: int, as_json: bool) -> None:
    """Check the 95 % intervals of the counterfactual estimators.

    On many synthetic logs, the command counts how often the intervals of IPS, SNIPS and doubly robust contain the
    true value of a policy.
    """
    from benchmarks.counterfactual import ESTIMATORS, run

    result = run(repeats, seed)
    if as_json:
        print_json(result)
        return
    columns = ("covered", "mean", "bias", "mean_width", "mean_effective_sample_size")
    for name, policy in result["policies"].items():
        print_table(
            f"{name}: true value {policy['true_value']:.4f}, {result['repeats']} logs of {result['rows']:,.0f} rows",
            ("", *(column.replace("_", " ") for column in columns), "covered with wrong propensities"),
            [
                [
                    estimator,
                    *(policy[estimator][column] for column in columns),
                    result["coverage_with_wrong_propensities"][name][estimator],
                ]
                for estimator in ESTIMATORS
            ],
        )
    print_targets(result["targets"])


@bench.command()
@click.option("--tests", type=click.IntRange(10), default=1000, show_default=True, help="Simulated tests of each kind.")
@click.option(
    "--rows",
    type=click.IntRange(0),
    default=10_000_000,
    show_default=True,
    help="Exposed rows of the log whose scorecard is timed; 0 leaves it out.",
)
@seed_option
@json_option
def experiments(tests: int, rows: int, seed: int, as_json: bool) -> None:
    """Check what experiments promise: errors, power, coverage, and the speed of a scorecard.

    Many simulated tests with daily looks, with and without an effect; tea-tasting, spotify-confidence and plain pandas
    are the peers.
    """
    from benchmarks.experiments.benchmark import run
    from cli.bench_output import print_experiments

    result = run(tests, rows, say_progress, seed)
    if as_json:
        print_json(result)
        return
    print_experiments(result)
    print_targets(result["targets"], digits=4)


@bench.command("training-memory")
@size_option
@seed_option
@json_option
def training_memory(size: str, seed: int, as_json: bool) -> None:
    """Measure the peak memory of training retrieval as the log, the batch and the catalogue grow."""
    from benchmarks.training_memory import run

    result = run(size, seed)
    if as_json:
        print_json(result)
        return
    columns = ("days", "batch_size", "items", "examples", "peak_memory_mb", "seconds")
    print_table(
        "training retrieval for one epoch",
        [column.replace("_", " ") for column in columns],
        [[f"{figures[column]:,.0f}" for column in columns] for figures in result["runs"]],
    )
    say(f"{result['examples_growth']:.1f} times the examples take {result['memory_growth']:.2f} times the memory")
    print_targets(result["targets"])


def names(option: str) -> tuple[str, ...]:
    """Split an option's value at its commas: `"a, b"` becomes `("a", "b")`."""
    return tuple(part.strip() for part in option.split(",") if part.strip())


def say_progress(line: str) -> None:
    """Print a line of progress to stderr, so that it does not mix with the result on stdout."""
    say(line, err=True)
