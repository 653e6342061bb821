"""The sequence benchmark: what is held out, who may know it, and what it says; no speed is asserted."""

import contextlib
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.sequence import benchmark, sasrec
from benchmarks.sequence.benchmark import MODELS, measure, run
from benchmarks.sequence.data import nothing_but, plain, read, split
from cli.bench import bench
from models.sequence.histories import Histories
from segue.errors import InputError

SMALL = {"dim": 16, "blocks": 1, "batch_size": 8, "learning_rate": 0.01}  # of Segue's model, which learns 10 items soon


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
    ("lines", "said"),
    [(("u1 a", "u2"), "line 2 has 'u2' alone"), (("u1 a", "u2 b", "u1 c"), "'u1' is in lines 1 and 3")],
    ids=["no item", "twice"],
)
def test_lines_that_break_the_format(tmp_path, lines, said):
    with pytest.raises(InputError, match=said):
        plain(write_lines(tmp_path / "log.tsv", *lines))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_bytes("u1 caf\xe9 b c".encode("latin-1"))
    with pytest.raises(InputError, match="must be text in UTF-8"):
        plain(path)


def test_nobody_to_ask(tmp_path):
    with pytest.raises(InputError, match="the most that one has is 2"):
        read(str(write_lines(tmp_path / "log.tsv", "u1 a b", "u2 c a")), 0)


def test_the_last_two_choices_are_held_out():
    # Entries 3 and 5 of the first listener were not chosen; the second has too few choices to be asked about.
    item = np.array([1, 2, 3, 4, 5, 6, 1, 2], np.int32)
    known = Histories.of_items([item[:6], item[6:]])
    known.target[[3, 5]] = False
    found = split("log", known, nothing_but([str(n) for n in range(1, 7)]))
    assert found.test.item.tolist() == [4]  # items are numbered from 0: entry 4 has item 5
    assert found.validation.item.tolist() == [2]
    assert found.training.item.tolist() == [1, 2, 1, 2]
    assert found.known(found.test).toarray().tolist() == [[1, 1, 1, 1, 0, 0]]
    assert found.known(found.validation).toarray().tolist() == [[1, 1, 0, 0, 0, 0]]
    assert found.unseen


def test_items_may_be_had_again_where_they_are():
    known = Histories.of_items([np.array([1, 1, 2, 1, 2, 1], np.int32)])
    assert not split("log", known, nothing_but(["1", "2"])).unseen
    # One entry each to learn from says nothing about repetitions.
    replay = Histories.of_items([np.full(3, n, np.int32) for n in (1, 2)])
    assert not split("log", replay, nothing_but(["1", "2"])).unseen


def test_figures_of_places():
    found = measure(np.array([0, 2, 9, 10]), seed=0)
    assert found["hr@10"] == 0.75
    assert found["ndcg@10"] == pytest.approx((1 + 1 / 2 + 1 / np.log2(11)) / 4)
    assert found["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 10 + 1 / 11) / 4)
    assert found["intervals"]["hr@10"] == {"low": 0.25, "high": 1.0}


def test_sasrec_has_its_authors_setting_for_the_kind_of_log():
    few, many = (
        split("log", Histories.of_items([np.arange(1, n, dtype=np.int32)] * 2), nothing_but(list(map(str, range(n)))))
        for n in (9, 60)
    )
    assert sasrec.setting_of(few) == sasrec.SPARSE
    assert sasrec.setting_of(many) == sasrec.LONG


@pytest.mark.slow
def test_a_model_that_cannot_be_trained_takes_nothing_from_the_others(tmp_path):
    # One entry of each is left to learn from: a next one is known of nobody.
    path = write_lines(tmp_path / "log.tsv", "u1 a b c", "u2 b a d", "u3 d e a")
    models = ("popularity", "sasrec_one_negative", "segue_dense")
    found = run(str(path), lambda line: None, models, settings=SMALL | {"length": 4, "epochs": 1})
    assert set(found["models"]) == {"popularity", "segue_dense"}
    assert "two entries before those held out" in found["left_out"]["sasrec_one_negative"]
    with pytest.raises(InputError, match="No model could be trained: SASRec learns"):
        run(str(path), lambda line: None, ("sasrec_one_negative",))


def test_a_negative_is_nothing_that_the_listener_had():
    known = split("log", Histories.of_items([np.arange(1, 9, dtype=np.int32)] * 2), nothing_but(list("abcdefgh")))
    rows = sasrec.examples(known, 200)
    assert rows.item[0][-5:].tolist() == [1, 2, 3, 4, 5]
    assert rows.next_item[0][-5:].tolist() == [2, 3, 4, 5, 6]
    assert rows.next_item[0][:-5].max() == 0
    drawn = next(rows.batches(2, 0, 0))["negative"]
    assert set(drawn.ravel().tolist()) == {7, 8}


@pytest.mark.slow
def test_the_command(tmp_path, monkeypatch):
    # Everybody goes round ten items, each beginning elsewhere: what comes next is what no count of items tells.
    lines = [f"u{n} " + " ".join(f"i{(n + k) % 10}" for k in range(8)) for n in range(60)]
    path = write_lines(tmp_path / "log.tsv", *lines)
    monkeypatch.setattr(sasrec, "EPOCHS", 3)  # its quality is not judged here
    monkeypatch.setattr(benchmark, "READ", SMALL | {"length": 12, "epochs": 12})
    # The runner replaces sys.stdout, which the command redirects below Python.
    monkeypatch.setattr("cli.quiet.stdout_to_stderr", lambda: contextlib.redirect_stdout(sys.stderr))
    command = ["sequence", "--data", str(path), "--minutes", "1", "--json"]
    done = CliRunner().invoke(bench, command, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["models"]) == set(MODELS)
    assert found["data"]["candidates"] == "all items but those of the history"
    for figures in found["models"].values():
        assert {"hr@10", "ndcg@10", "mrr", "intervals", "train_seconds", "validation_ndcg@10"} <= set(figures)
        assert 0 <= figures["intervals"]["mrr"]["low"] <= figures["mrr"] <= figures["intervals"]["mrr"]["high"]
    dense = found["models"]["segue_dense"]
    # Three items are left for each to have next: by chance 0.71.
    assert dense["ndcg@10"] > 0.9 > found["models"]["popularity"]["ndcg@10"]
    assert dense["best_epoch"] <= dense["epochs"]
    assert dense["config"]["attention"] == "softmax"


def test_an_unknown_model_is_named():
    done = CliRunner().invoke(bench, ["sequence", "--data", "nano", "--models", "bert"])
    assert isinstance(done.exception, InputError)
    assert "'bert'" in str(done.exception)
