"""One configuration, from YAML or defaults; an unknown name lists the known ones."""

import pytest

from models.training_config import TrainingConfig, load
from segue.errors import InputError


def test_round_trip_through_a_pipeline_parameter():
    config = TrainingConfig(seed=3)
    values = config.to_dict()
    values["seed"] = 3.0  # KFP hands numbers inside dicts over as floats
    values["retrieval"]["epochs"] = float(values["retrieval"]["epochs"])
    assert TrainingConfig.from_dict(values) == config


def test_what_is_left_out_keeps_its_default(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("ranking: {reward: {like: 5}}\nlimits: {auc: 0.6}\n")
    config = load(path)
    assert config.ranking.reward == TrainingConfig().ranking.reward | {"like": 5.0}
    assert config.limits.auc == 0.6
    assert config.retrieval == TrainingConfig().retrieval


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epochs: 3", "There is no setting 'epochs'."),
        ("ranking: {epoch: 3}", "There is no setting 'ranking.epoch'."),
        ("ranking: {epochs: many}", "ranking.epochs takes a value like"),
        ("ranking: {epochs: 2.5}", "ranking.epochs takes a value like"),
        ("ranking: {position_weighting: magic}", "position_weighting is one of tower, inverse_propensity, none"),
        ("sequence: {heads: 0}", "sequence.heads must be above 0"),
        ("sequence: {minutes: .nan}", "sequence.minutes must be above 0"),
        ("sequence: {learning_rate: -1.0}", "sequence.learning_rate must be above 0"),
        ("sequence: {dropout: 1.0}", "sequence.dropout is a share below 1"),
        ("sequence: {heads: 3}", "sequence.heads must divide"),
        ("sequence: {loss: hinge}", "sequence.loss is one of softmax"),
        ("ranking: 3", "ranking must be a mapping"),
        ("- 1", "The configuration must be a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tmp_path, text, says):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says.replace("'", ".")) as error:
        load(path)
    assert error.value.fix


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_minutes_are_not_negative(model):
    with pytest.raises(InputError, match=rf"{model}.minutes must be at least 0. Received -1"):
        TrainingConfig.from_dict({model: {"minutes": -1}})
