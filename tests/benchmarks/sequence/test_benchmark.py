"""The sequence benchmark: its file format, the held-out choices, its contestants and its result.

No test asserts a speed.
"""

import contextlib
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.sequence import benchmark, sasrec
from benchmarks.sequence.benchmark import MODELS, measure, run
from benchmarks.sequence.data import ids_only, plain, read, split
from cli.bench import bench
from models.sequence.histories import Histories
from segue.errors import InputError

SMALL = {"dim": 16, "blocks": 1, "batch_size": 8, "learning_rate": 0.01}  # learns an order of ten items within seconds


def write_lines(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "lines",
    [
        ("u1\ta b c", "u2\tc a"),
        ("u1 a b c", "u2 c a"),
        ("user_id\titem_ids", "u1\ta b c", "", "u2\tc a"),
        ("", "user_id\titem_ids", "u1\ta b c", "u2\tc a"),
        ("user_id:token item_ids:token_seq", "u1 a b c", "u2 c a"),
        ("\ufeffuser_id\titem_ids", "u1\ta b c", "u2\tc a"),
        ("\ufeffu1\ta b c\r", "u2\tc a\r"),
        ("user:1\ta b c", "user:2\tc a"),
        ("Ann Lee\ta b c", "Ann Roe\tc a"),
        ("u1\ta\tb\tc", "u2\tc\ta"),
    ],
    ids=[
        "tab", "blanks", "header and an empty line", "an empty line first", "types", "mark and header", "Windows",
        "a first listener named like a header", "listeners with blanks", "tabs throughout",
    ],
)  # fmt: skip
def test_plain_files(tmp_path, lines):
    ids, sequences = plain(write_lines(tmp_path / "log.tsv", *lines))
    assert ids == ["a", "b", "c"]
    assert [s.tolist() for s in sequences] == [[1, 2, 3], [3, 1]]


def test_ids_may_hold_any_other_white_space(tmp_path):
    ids, _ = plain(write_lines(tmp_path / "log.tsv", "u1\tAC\u00a0DC b\u3000c"))
    assert ids == ["AC\u00a0DC", "b\u3000c"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [(("u1 a", "u2"), "line 2 has only 'u2'"), (("u1 a", "u2 b", "u1 c"), "'u1' is in lines 1 and 3")],
    ids=["no item", "twice"],
)
def test_a_line_that_breaks_the_format_is_named(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        plain(write_lines(tmp_path / "log.tsv", *lines))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_bytes("u1 caf\xe9 b c".encode("latin-1"))
    with pytest.raises(InputError, match="must be UTF-8 text"):
        plain(path)


def test_a_log_without_three_choices_of_a_listener_is_refused(tmp_path):
    with pytest.raises(InputError, match="No listener has more than 2"):
        read(str(write_lines(tmp_path / "log.tsv", "u1 a b", "u2 c a")), 0)


def test_the_last_two_choices_are_held_out():
    # Entries 3 and 5 of the first listener are not choices; the second listener has too few choices for a request.
    item = np.array([1, 2, 3, 4, 5, 6, 1, 2], np.int32)
    histories = Histories.of_items([item[:6], item[6:]])
    histories.target[[3, 5]] = False
    data = split("log", histories, ids_only([str(n) for n in range(1, 7)]))
    assert data.test.item.tolist() == [4]  # items are numbered from 0: entry 4 has item 5
    assert data.validation.item.tolist() == [2]
    assert data.training.item.tolist() == [1, 2, 1, 2]
    assert data.history_items(data.test).toarray().tolist() == [[1, 1, 1, 1, 0, 0]]
    assert data.history_items(data.validation).toarray().tolist() == [[1, 1, 0, 0, 0, 0]]
    assert data.unseen


def test_items_of_the_history_are_candidates_where_listeners_repeat_items():
    histories = Histories.of_items([np.array([1, 1, 2, 1, 2, 1], np.int32)])
    assert not split("log", histories, ids_only(["1", "2"])).unseen
    # One training entry per listener cannot show whether items repeat, so repetition is assumed.
    single_entries = Histories.of_items([np.full(3, n, np.int32) for n in (1, 2)])
    assert not split("log", single_entries, ids_only(["1", "2"])).unseen


def test_figures_of_ranks():
    figures = measure(np.array([0, 2, 9, 10]), seed=0)
    assert figures["hr@10"] == 0.75
    assert figures["ndcg@10"] == pytest.approx((1 + 1 / 2 + 1 / np.log2(11)) / 4)
    assert figures["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 10 + 1 / 11) / 4)
    assert figures["intervals"]["hr@10"] == {"low": 0.25, "high": 1.0}


def test_sasrec_takes_its_authors_setting_for_sparse_and_for_long_logs():
    sparse, long = (
        split("log", Histories.of_items([np.arange(1, n, dtype=np.int32)] * 2), ids_only(list(map(str, range(n)))))
        for n in (9, 60)
    )
    assert sasrec.setting_of(sparse) == sasrec.SPARSE
    assert sasrec.setting_of(long) == sasrec.LONG


@pytest.mark.slow
def test_a_model_that_cannot_be_trained_does_not_stop_the_others(tmp_path):
    # Each listener has one training entry, and so no next item to learn.
    path = write_lines(tmp_path / "log.tsv", "u1 a b c", "u2 b a d", "u3 d e a")
    models = ("popularity", "sasrec_one_negative", "segue_dense")
    result = run(str(path), lambda line: None, models, settings=SMALL | {"length": 4, "epochs": 1})
    assert set(result["models"]) == {"popularity", "segue_dense"}
    assert "two entries before those held out" in result["left_out"]["sasrec_one_negative"]
    with pytest.raises(InputError, match="No model could be trained: SASRec learns"):
        run(str(path), lambda line: None, ("sasrec_one_negative",))


def test_negatives_are_items_that_the_listener_never_had():
    data = split("log", Histories.of_items([np.arange(1, 9, dtype=np.int32)] * 2), ids_only(list("abcdefgh")))
    rows = sasrec.examples(data, 200)
    assert rows.item[0][-5:].tolist() == [1, 2, 3, 4, 5]
    assert rows.next_item[0][-5:].tolist() == [2, 3, 4, 5, 6]
    assert rows.next_item[0][:-5].max() == 0
    negatives = next(rows.batches(2, 0, 0))["negative"]
    assert set(negatives.ravel().tolist()) == {7, 8}


@pytest.mark.slow
def test_the_command_prints_every_model(tmp_path, monkeypatch):
    # All listeners go round the same ten items from different starts, so only the order of items predicts the next.
    lines = [f"u{n} " + " ".join(f"i{(n + k) % 10}" for k in range(8)) for n in range(60)]
    path = write_lines(tmp_path / "log.tsv", *lines)
    monkeypatch.setattr(sasrec, "EPOCHS", 3)  # its quality is not judged here
    monkeypatch.setattr(benchmark, "SETTINGS", SMALL | {"length": 12})
    monkeypatch.setattr(benchmark, "EPOCHS", 12)
    # The runner replaces sys.stdout, which the command redirects below Python.
    monkeypatch.setattr("cli.quiet.stdout_to_stderr", lambda: contextlib.redirect_stdout(sys.stderr))
    command = ["sequence", "--data", str(path), "--minutes", "1", "--json"]
    done = CliRunner().invoke(bench, command, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["models"]) == set(MODELS)
    assert set(result["targets"]) == {"first_hr@10", "first_ndcg@10"}
    assert result["data"]["candidates"] == "all items but those of the history"
    for figures in result["models"].values():
        assert {"hr@10", "ndcg@10", "mrr", "intervals", "train_seconds", "validation_ndcg@10"} <= set(figures)
        assert 0 <= figures["intervals"]["mrr"]["low"] <= figures["mrr"] <= figures["intervals"]["mrr"]["high"]
    dense = result["models"]["segue_dense"]
    # Each listener has three candidates left, so a random order reaches an NDCG@10 of 0.71.
    assert dense["ndcg@10"] > 0.9 > result["models"]["popularity"]["ndcg@10"]
    assert dense["best_epoch"] <= dense["epochs"]
    assert dense["config"]["attention"] == "softmax"


def test_an_unknown_model_is_refused():
    done = CliRunner().invoke(bench, ["sequence", "--data", "nano", "--models", "bert"])
    assert isinstance(done.exception, InputError)
    assert "'bert'" in str(done.exception)
