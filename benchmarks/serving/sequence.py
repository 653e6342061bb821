"""Latency of the sequence model behind the server: histories of 200, 10,000 items, playlists of 20.

The model is untrained, because its weights do not change how long a request takes.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import target
from benchmarks.serving.process import ending, free_port, start_server, wait_ready
from benchmarks.subprocesses import run_module

ITEMS, GENRES, HISTORY, PLAYLIST = 10_000, 16, 200, 20
NAME = "sequence"
P50_LIMITS = {"next": 10.0, "generate": 150.0}  # ms, one request at a time
SIGNATURES = (*P50_LIMITS, "decode")
WARM_UP_CALLS = 5
NOW = 1_750_000_000  # time of the requests in seconds since 1970 UTC


def run(seconds: float) -> dict[str, Any]:
    """Measure every signature, one request at a time, through the server and in process.

    Args:
        seconds: duration of each measurement.

    Returns:
        For each signature the server's `p50_ms`, `p99_ms` and `rps`, and `in_process_p50_ms`; and `targets`.

    Raises:
        SegueError: the model cannot be made, or the server does not start.
    """
    from serving.client.sync_client import Client
    from serving.server.loader import LoadedModel

    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        make(base / NAME / "1")
        loaded = LoadedModel(base / NAME / "1")
        port, log = free_port(), base / "server.log"
        process = start_server(port, [f"--model_name={NAME}", f"--model_base_path={base / NAME}"], base, log)
        with ending(process), Client(f"127.0.0.1:{port}") as client:
            wait_ready(process, f"127.0.0.1:{port}", (NAME,), log)
            figures = {}
            for signature in SIGNATURES:
                remote = times(partial(ask_server, client, signature), seconds)
                local = times(partial(ask_loaded, loaded, signature), seconds)
                figures[signature] = {
                    "p50_ms": float(np.percentile(remote, 50)),
                    "p99_ms": float(np.percentile(remote, 99)),
                    "rps": 1e3 / float(np.mean(remote)),
                    "in_process_p50_ms": float(np.percentile(local, 50)),
                }
        loaded.close()
    targets = {f"{name}_p50_ms": target(figures[name]["p50_ms"], at_most=ms) for name, ms in P50_LIMITS.items()}
    return {**figures, "targets": targets}


def times(call: Callable[[int], Any], seconds: float) -> list[float]:
    """Make calls one after the other for some seconds; the duration of each in ms."""
    for index in range(WARM_UP_CALLS):
        call(index)
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        call(len(durations))
        durations.append((time.perf_counter() - started) * 1e3)
    return durations


def ask_server(client: Any, signature: str, index: int) -> dict[str, np.ndarray]:
    """Send one request to the server."""
    return client.predict(NAME, inputs(signature, index), signature=signature)


def ask_loaded(model: Any, name: str, index: int) -> list[np.ndarray]:
    """Run the same request on a `LoadedModel`."""
    signature, values = model.signatures[name], inputs(name, index)
    return model.run(signature.feeds, [values[key] for key in signature.inputs], signature.fetches)


def inputs(signature: str, index: int) -> dict[str, np.ndarray]:
    """The inputs of one request of a listener whose 200 entries are an hour apart."""
    rng = np.random.default_rng([2, index])
    empty = np.full((1, 1), "", object)
    history = {
        "history_items": np.array([[f"i{row}" for row in rng.integers(0, ITEMS, HISTORY)]], object),
        "history_actions": np.full((1, HISTORY), "play", object),
        "history_times": (NOW - 3600 * np.arange(1, HISTORY + 1, dtype=np.int64))[None],
        "request_ts": np.array([NOW], np.int64),
        "surface": np.array(["home"], object),
        "content_types": empty,
        "released_after": np.zeros(1, np.int64),
        "market": np.array([""], object),
        "exclude_ids": empty,
        "heard": np.array(["exclude"], object),
    }
    if signature != "generate":
        return {**history, "k": np.array([100], np.int32)}
    wishes = [f"more_{name}" for name in ("genres", "creators", "types")]
    return {
        **history,
        "length": np.array([PLAYLIST], np.int32),
        "temperature": np.ones(1, np.float32),
        "seed": np.array([index], np.int64),
        **dict.fromkeys(wishes, empty),
        **{f"{name}_weights": np.zeros((1, 1), np.float32) for name in wishes},
        "newer": np.zeros(1, np.float32),
        "rarer": np.zeros(1, np.float32),
    }


def make(path: Path) -> None:
    """Write the model in a process of its own.

    Raises:
        SegueError: the process failed; the fix shows the end of its output.
    """
    run_module("benchmarks.serving.sequence", path, ITEMS, timeout=600, quiet=True)


def save(path: Path, count: int) -> None:
    """Save an untrained model of the default width over some items of 16 genres and 1,000 creators."""
    import pyarrow as pa
    import tensorflow as tf

    from events import schema
    from models.fitting.loop import start
    from models.inputs.axes import Axes
    from models.inputs.encoder import Encoder
    from models.sequence.coded import CodedModel
    from models.sequence.codes import Codebook
    from models.sequence.export import export_sequence
    from models.sequence.model import SequenceModel
    from models.training_config import SequenceConfig

    start(0)
    rng = np.random.default_rng(0)
    weights = np.eye(GENRES, dtype=np.float32)[rng.integers(0, GENRES, count)]
    items = pa.table({
        "item_id": [f"i{row}" for row in range(count)],
        "creator_id": [f"c{row % 1000}" for row in range(count)],
        "content_type": [("music", "podcast", "audiobook")[row % 3] for row in range(count)],
        "genre_weights": pa.array(weights.tolist(), pa.list_(pa.float32())),
        "duration_s": pa.array(rng.uniform(60, 3600, count), pa.float32()),
        "release_ts": pa.array(rng.integers(10**9, NOW, count), pa.int64()),
    })  # fmt: skip
    tokens = {name: sorted(set(items[name].to_pylist())) for name in ("item_id", "creator_id", "content_type")}
    tokens |= {"action": list(schema.INTERACTIONS), "surface": list(schema.SURFACES)}
    tokens |= {name: [] for name in ("country", "age_band", "plan", "language")}
    encoder = Encoder(Axes(tokens, GENRES, 3), items)
    counts = np.ones(encoder.catalogue.release_ts.shape[0], np.int64)
    model = SequenceModel(encoder, SequenceConfig(length=HISTORY), counts, timed=True, unseen=True)
    # One call with an empty history builds the model's weights.
    history = {name: tf.zeros([1, HISTORY], tf.int32) for name in ("item", "action", "next_surface", "segment")}
    model.listener_vectors(history | {name: tf.zeros([1, HISTORY], tf.int64) for name in ("time", "next_time")})
    rows = np.arange(1, 1 + count, dtype=np.int32)
    book = Codebook.fit(items["item_id"].to_pylist(), model.item_vectors(rows).numpy(), seed=0)
    coded = CodedModel(model, book)
    coded.head.loss(tf.zeros([1, model.config.dim]), tf.constant([1]), tf.ones([1]))
    export_sequence(coded, book, items, rng.pareto(1, count), [f"g{n}" for n in range(GENRES)], True, {}, path)


if __name__ == "__main__":
    save(Path(sys.argv[1]), int(sys.argv[2]))
