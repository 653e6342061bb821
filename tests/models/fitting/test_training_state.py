"""The state of a training: resuming from checkpoints, damaged checkpoints, and checkpoints of another training."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from models.inputs.shards import Shards
from segue.errors import InputError
from tests.models.fitting.small_models import TRAIN, assert_same, fit_small, fit_toy, losses

pytestmark = pytest.mark.slow  # models are trained again and again, which takes 19 s

DATA = "epoch-{}.data-00000-of-00001"


@dataclass
class Killed:
    """Shards whose reader is interrupted in the middle of an epoch."""

    shards: Shards
    epoch: int

    @property
    def rows(self) -> int:
        return self.shards.rows

    def batches(self, batch_size, seed, epoch):
        for index, batch in enumerate(self.shards.batches(batch_size, seed, epoch)):
            if (epoch, index) == (self.epoch, 3):
                raise KeyboardInterrupt
            yield batch


@pytest.mark.parametrize(
    ("epochs", "learning_rate"),
    [
        pytest.param(5, 0.003, id="all epochs"),
        pytest.param(20, 0.01, id="until it stops early, after the fifth"),
    ],
)
@pytest.mark.parametrize("first", [2, 4])
def test_a_resumed_training_equals_an_uninterrupted_training(first, epochs, learning_rate, tmp_path):
    whole = fit_small(epochs, learning_rate=learning_rate)
    fit_small(first, learning_rate=learning_rate, checkpoints=tmp_path)
    resumed = fit_small(epochs, learning_rate=learning_rate, checkpoints=tmp_path)
    assert_same(resumed, whole)
    assert len(whole[1]["loss"]) == 5


def test_an_interrupted_epoch_is_repeated(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_small(5, train=Killed(TRAIN, epoch=2), checkpoints=tmp_path)
    epochs: list[dict] = []
    resumed = fit_small(5, checkpoints=tmp_path, on_epoch=epochs.append)
    assert_same(resumed, fit_small(5))
    assert [figures["epoch"] for figures in epochs] == [3, 4, 5]


def test_a_finished_training_is_restored_without_another_epoch(tmp_path):
    done = fit_small(3, checkpoints=tmp_path)
    epochs: list[dict] = []
    again = fit_small(3, checkpoints=tmp_path, on_epoch=epochs.append)
    assert epochs == []
    assert again[1] == done[1]
    assert_same(again, done)


def checkpoint_files(*epochs: int) -> set[str]:
    """The names of the files in a folder that holds the checkpoints of some epochs."""
    files = {f"epoch-{epoch}.{end}" for epoch in epochs for end in ("index", "data-00000-of-00001")}
    return files | {"training.json", "checkpoint"}


def test_the_two_newest_checkpoints_are_kept(tmp_path):
    fit_toy(best=3.0, epochs=4, checkpoints=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == checkpoint_files(3, 4)


def test_a_checkpoint_that_a_kill_left_unfinished_is_ignored_and_replaced(tmp_path):
    fit_toy(best=9.0, epochs=1, checkpoints=tmp_path)
    # TensorFlow writes into the folder epoch-2_temp and then renames the data, the index, and the list of checkpoints.
    unfinished = tmp_path / "epoch-2_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate1"
    unfinished.parent.mkdir()
    for path in (unfinished, tmp_path / "epoch-2.data-00000-of-00001", tmp_path / "epoch-2.index"):
        path.write_bytes(b"half")
    model, history = fit_toy(best=9.0, epochs=2, checkpoints=tmp_path)
    whole, expected = fit_toy(best=9.0, epochs=2)
    assert (losses(history), float(model.w)) == (losses(expected), float(whole.w))
    assert {path.name for path in tmp_path.iterdir()} == checkpoint_files(1, 2)


def resume_after_damage(folder: Path, best: float) -> int:
    """Resume a toy training, compare it with an uninterrupted one, and return the first epoch that it trained."""
    epochs: list[dict] = []
    model, history = fit_toy(best, epochs=5, checkpoints=folder, on_epoch=epochs.append)
    whole, expected = fit_toy(best, epochs=5)
    assert losses(history) == losses(expected)
    assert float(model.w) == float(whole.w)
    return epochs[0]["epoch"]


@pytest.mark.parametrize(
    ("files", "first_epoch"),
    [
        pytest.param([DATA.format(4)], 4, id="data of the newest"),
        pytest.param(["epoch-4.index"], 4, id="index of the newest"),
        pytest.param([DATA.format(3)], 5, id="data of the older"),
        pytest.param([DATA.format(3), "epoch-4.index"], 1, id="both"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("best", [3.0, 9.0])
def test_a_checkpoint_that_is_cut_short_is_skipped(best, files, first_epoch, share, tmp_path, capsys):
    fit_toy(best, epochs=4, checkpoints=tmp_path)
    for file in files:
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content[: int(share * len(content))])
    assert resume_after_damage(tmp_path, best) == first_epoch
    assert capsys.readouterr().out.count("is damaged and skipped") == {5: 0, 4: 1, 1: 2}[first_epoch]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_checkpoint_with_an_altered_value_is_skipped(share, tmp_path):
    fit_toy(best=3.0, epochs=4, checkpoints=tmp_path)
    content = bytearray((tmp_path / DATA.format(4)).read_bytes())
    content[int(share * len(content))] ^= 1
    (tmp_path / DATA.format(4)).write_bytes(content)
    assert resume_after_damage(tmp_path, best=3.0) == 4


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 5}, "batch_size was 10 and is 5"),
        ({"learning_rate": 0.5}, "learning_rate was 1.0 and is 0.5"),
        ({"seed": 3}, "seed was 0 and is 3"),
    ],
)
def test_checkpoints_of_another_training_are_refused(settings, named, tmp_path):
    fit_toy(best=3.0, epochs=1, checkpoints=tmp_path)
    with pytest.raises(InputError, match=named) as error:
        fit_toy(best=3.0, epochs=2, checkpoints=tmp_path, **settings)
    assert str(tmp_path) in error.value.headline
    assert "Remove the folder" in error.value.fix


def test_checkpoints_with_other_data_or_another_model_are_refused(tmp_path):
    fit_toy(best=3.0, epochs=1, checkpoints=tmp_path, seed=7)
    with pytest.raises(InputError, match=r"rows was 10 and is 640.*weights was"):
        fit_small(1, checkpoints=tmp_path)
