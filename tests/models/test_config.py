"""What a training run may be told."""

import json

import pytest

from models.config import TrainingConfig, load
from segue.errors import InputError


def test_a_configuration_survives_json():
    config = TrainingConfig.from_dict({"seed": 3, "split": [0.6, 0.2, 0.2], "ranking": {"epochs": 2}})
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_what_is_left_out_keeps_its_default():
    config = TrainingConfig.from_dict({"retrieval": {"dim": 8}})
    assert config.retrieval.dim == 8
    assert config.retrieval.epochs == TrainingConfig().retrieval.epochs
    assert config.ranking == TrainingConfig().ranking


def test_one_reward_leaves_the_others():
    config = TrainingConfig.from_dict({"ranking": {"reward": {"skip": -2}}})
    assert config.ranking.reward == {"play": 1.0, "skip": -2.0, "like": 2.0}


def test_pipeline_parameters_bring_integers_as_floats():
    config = TrainingConfig.from_dict({"seed": 1.0, "ranking": {"epochs": 3.0}})
    assert (config.seed, config.ranking.epochs) == (1, 3)
    assert isinstance(config.ranking.epochs, int)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"sede": 1}, "no setting 'sede'", id="unknown"),
        pytest.param({"ranking": {"epoch": 1}}, "no setting 'ranking.epoch'", id="unknown below"),
        pytest.param({"ranking": 3}, "ranking must be a mapping", id="a number for a section"),
        pytest.param([], "The configuration must be a mapping", id="a list"),
        pytest.param({"seed": 1.5}, "seed takes a value like 0. Received 1.5", id="half a seed"),
        pytest.param({"seed": "x"}, "seed takes a value like 0", id="a word for a number"),
        pytest.param({"ranking": {"reward": 1}}, "ranking.reward takes a value", id="a number for a mapping"),
        pytest.param({"split": 0.8}, "split takes a value", id="a number for shares"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_it(values, message):
    with pytest.raises(InputError) as caught:
        TrainingConfig.from_dict(values)
    assert message in caught.value.headline
    assert caught.value.fix


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="dim, batch_size, learning_rate, epochs"):
        TrainingConfig.from_dict({"retrieval": {"width": 1}})


def test_a_file_is_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("seed: 7\nlimits:\n  auc: 0.6\n")
    assert (load(path).seed, load(path).limits.auc) == (7, 0.6)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_the_defaults(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert load(path) == load(None) == TrainingConfig()


@pytest.mark.parametrize("text", [None, "seed: [1"], ids=["no such file", "no YAML"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, text):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="cannot be read"):
        load(path)
