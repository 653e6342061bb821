"""The training configuration: defaults, the round trip through a pipeline parameter, and what YAML may not say."""

import math
from dataclasses import FrozenInstanceError, replace

import pytest

from models.training_config import RetrievalConfig, TrainingConfig, load
from segue.errors import EXIT_USAGE, InputError


def refused(tmp_path, text: str) -> InputError:
    """The error of loading a YAML file with this text."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load(path)
    assert error.value.fix
    assert error.value.exit_code == EXIT_USAGE
    assert "\n" not in str(error.value)
    return error.value


def test_round_trip_through_a_pipeline_parameter():
    config = TrainingConfig.from_dict({
        "seed": 3, "split": [0.7, 0.2, 0.1], "retrieval": {"positives": {"like": 2}}, "search": {"space": {"dim": [8]}},
    })  # fmt: skip

    def as_kfp_sends(value):
        """KFP sends every number within a dict as a float."""
        if isinstance(value, dict):
            return {name: as_kfp_sends(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [as_kfp_sends(inner) for inner in value]
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    read = TrainingConfig.from_dict(as_kfp_sends(config.to_dict()))
    assert read == config
    assert type(read.seed) is type(read.retrieval.dim) is int
    assert type(read.retrieval.positives["like"]) is float


def test_settings_that_are_left_out_keep_their_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("ranking: {reward: {like: 5}}\nlimits: {auc: 0.6}\n")
    config = load(path)
    assert config.ranking.reward == TrainingConfig().ranking.reward | {"like": 5.0}
    assert config.limits.auc == 0.6
    assert config.retrieval == TrainingConfig().retrieval


def test_without_a_file_all_settings_have_their_defaults():
    assert load(None) == TrainingConfig() == TrainingConfig.from_dict({})


def test_a_configuration_is_frozen_and_replaced_with_validation():
    config = RetrievalConfig(dim=8)
    with pytest.raises(FrozenInstanceError):
        config.dim = 16
    assert replace(config, epochs=3) == RetrievalConfig(dim=8, epochs=3)
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        replace(config, dim=0)


def test_two_configurations_do_not_share_their_defaults():
    assert RetrievalConfig().positives is not RetrievalConfig().positives


@pytest.mark.parametrize(
    ("text", "headline", "fix"),
    [
        pytest.param("epochs: 3", "There is no setting 'epochs'.", "seed, split, half_life_days, warm_start", id="top"),
        pytest.param("ranking: {epoch: 3}", "no setting 'ranking.epoch'.", "Did you mean ranking.epochs?", id="typo"),
        pytest.param("rankign: {}", "no setting 'rankign'.", "Did you mean ranking?", id="typo of a section"),
        pytest.param("ranking: {3: 3}", "no setting 'ranking.3'.", "are: dim, batch_size", id="a number as a name"),
        pytest.param(
            "ranking: {reward: {lik: 1}}", "no setting 'ranking.reward.lik'.", "Did you mean ranking.reward.like?",
            id="typo of a head",
        ),
        pytest.param(
            "retrieval: {positives: {choice: 1}}", "no setting 'retrieval.positives.choice'.",
            "are: positive, play, complete", id="a head that is no positive",
        ),
        pytest.param(
            "search: {space: {dims: [1]}}", "no setting 'search.space.dims'.", "Did you mean search.space.dim?",
            id="typo in the search space",
        ),
    ],
)  # fmt: skip
def test_an_unknown_name_lists_the_known_names_and_the_closest(tmp_path, text, headline, fix):
    error = refused(tmp_path, text)
    assert headline in error.headline
    assert fix in error.fix


@pytest.mark.parametrize(
    ("text", "path", "rule", "received"),
    [
        ("ranking: {epochs: many}", "ranking.epochs", "a valid integer", "'many'"),
        ("ranking: {epochs: 2.5}", "ranking.epochs", "a valid integer", "2.5"),
        ("ranking: {epochs: '64'}", "ranking.epochs", "a valid integer", "'64'"),
        ("ranking: {epochs: true}", "ranking.epochs", "a valid integer", "True"),
        ("ranking: {epochs: -1}", "ranking.epochs", "greater than or equal to 1", "-1"),
        ("ranking: {epochs: .inf}", "ranking.epochs", "a valid integer", "inf"),
        ("ranking: {dim: }", "ranking.dim", "a valid integer", "None"),
        ("ranking: {learning_rate: '0.1'}", "ranking.learning_rate", "a valid number", "'0.1'"),
        ("ranking: {learning_rate: yes}", "ranking.learning_rate", "a valid number", "'yes'"),
        ("ranking: {learning_rate: [0.1]}", "ranking.learning_rate", "a valid number", "[0.1]"),
        ("ranking: {position_weighting: magic}", "ranking.position_weighting",
         "'tower', 'inverse_propensity' or 'none'", "'magic'"),
        ("ranking: {reward: {like: .nan}}", "ranking.reward.like", "a finite number", "nan"),
        ("ranking: {reward: 3}", "ranking.reward", "a valid dictionary", "3"),
        ("sequence: {heads: 0}", "sequence.heads", "greater than or equal to 1", "0"),
        ("sequence: {heads: 3}", "sequence.heads", "a divisor of dim, which is 64", "3"),
        ("sequence: {dim: 63}", "sequence.heads", "a divisor of dim, which is 63", "2"),
        ("sequence: {minutes: .nan}", "sequence.minutes", "a finite number", "nan"),
        ("sequence: {minutes: .inf}", "sequence.minutes", "a finite number", "inf"),
        ("sequence: {learning_rate: -1.0}", "sequence.learning_rate", "greater than 0", "-1.0"),
        ("retrieval: {learning_rate: .nan}", "retrieval.learning_rate", "a finite number", "nan"),
        ("ranking: {learning_rate: 100}", "ranking.learning_rate", "less than or equal to 10", "100"),
        ("retrieval: {epochs: 0}", "retrieval.epochs", "greater than or equal to 1", "0"),
        ("ranking: {epochs: 0}", "ranking.epochs", "greater than or equal to 1", "0"),
        ("sequence: {epochs: 1000000}", "sequence.epochs", "less than or equal to 10000", "1000000"),
        ("retrieval: {batch_size: 0}", "retrieval.batch_size", "greater than or equal to 1", "0"),
        ("ranking: {batch_size: 1000000000}", "ranking.batch_size", "less than or equal to 1048576", "1000000000"),
        ("retrieval: {dim: -4}", "retrieval.dim", "greater than or equal to 1", "-4"),
        ("sequence: {dim: 100000}", "sequence.dim", "less than or equal to 4096", "100000"),
        ("sequence: {length: 1000000}", "sequence.length", "less than or equal to 1024", "1000000"),
        ("sequence: {blocks: 500}", "sequence.blocks", "less than or equal to 64", "500"),
        ("sequence: {negatives: 0}", "sequence.negatives", "greater than or equal to 1", "0"),
        ("retrieval: {uniform_negatives: 1e9}", "retrieval.uniform_negatives", "less than or equal to 1048576",
         "1000000000.0"),
        ("ranking: {minutes: 1e300}", "ranking.minutes", "less than or equal to 525600", "1e+300"),
        ("retrieval: {positives: {positive: -1}}", "retrieval.positives.positive", "greater than or equal to 0", "-1"),
        ("ranking: {reward: {like: -1e300}}", "ranking.reward.like", "greater than or equal to -1000000000", "-1e+300"),
        ("limits: {auc: .nan}", "limits.auc", "a finite number", "nan"),
        ("limits: {recall_gain: true}", "limits.recall_gain", "a valid number", "True"),
        ("limits: {slice_examples: 0.5}", "limits.slice_examples", "a valid integer", "0.5"),
        ("seed: true", "seed", "a valid integer", "True"),
        ("sequence: {dropout: 1.0}", "sequence.dropout", "less than 1", "1.0"),
        ("sequence: {action_weight: -0.1}", "sequence.action_weight", "greater than or equal to 0", "-0.1"),
        ("sequence: {loss: hinge}", "sequence.loss", "'softmax', 'sampled_softmax' or 'gbce'", "'hinge'"),
        ("limits: {auc: 55}", "limits.auc", "less than or equal to 1", "55"),
        ("seed: -1", "seed", "greater than or equal to 0", "-1"),
        ("seed: 4294967296", "seed", "less than 4294967296", "4294967296"),
        ("warm_start: 1", "warm_start", "a valid boolean", "1"),
        ("split: [0.8, 0.2]", "split", "a list of three shares", "[0.8, 0.2]"),
        ("split: 0.8", "split", "a list of three shares", "0.8"),
        ("split: [0.8, 0.3, -0.1]", "split[2]", "greater than 0", "-0.1"),
        ("split: [0.8, 0.1, 0.2]", "split", "three shares that sum to 1", "[0.8, 0.1, 0.2]"),
        ("search: {trials: 0}", "search.trials", "greater than or equal to 1", "0"),
        ("search: {model: sequence}", "search.model", "'retrieval' or 'ranking'", "'sequence'"),
        ("search: {space: {dim: 3}}", "search.space.dim", "a valid list", "3"),
        ("ranking: 3", "ranking", "a mapping of settings", "3"),
        ("ranking:", "ranking", "a mapping of settings", "None"),
        ("- 1", "The configuration", "a mapping of settings", "[1]"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_path_the_rule_and_the_value(tmp_path, text, path, rule, received):
    assert refused(tmp_path, text).headline == f"{path} must be {rule}. Received {received}."


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("retrieval: {positives: {positive: 0}}", "retrieval.positives must have a weight other than 0."),
        ("ranking: {reward: {play: 0, complete: 0, skip: 0, like: 0, add: 0, choice: 0}}",
         "ranking.reward must have a weight other than 0."),
        ("search: {space: {dim: []}}", "search.space.dim must have at least 1 item after validation, not 0."),
        ("search: {trials: 100000}", "search.trials must be less than or equal to 1000."),
    ],
)  # fmt: skip
def test_settings_under_which_nothing_could_be_learned_are_refused(tmp_path, text, headline):
    assert refused(tmp_path, text).headline.startswith(headline)


@pytest.mark.parametrize(
    ("text", "headline"),
    [("a: [", "cannot be read"), ("", "is empty"), ("# nothing\n", "is empty"), ("seed: 2026-13-45", "cannot be read")],
    ids=["syntax error", "empty", "only a comment", "an impossible date"],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(tmp_path, text, headline):
    assert headline in refused(tmp_path, text).headline


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.yaml cannot be read"):
        load(tmp_path / "absent.yaml")


def test_every_wrong_setting_is_named(tmp_path):
    error = refused(tmp_path, "seed: -1\nranking: {epochs: many, dim: 0}")
    assert error.headline.startswith("seed must be")
    assert error.fix.endswith("Also wrong: ranking.dim, ranking.epochs.")


@pytest.mark.parametrize("text", ["'64'", "'1e-3'"])
def test_a_quoted_number_is_to_be_written_without_quotes(tmp_path, text):
    assert "without quotes" in refused(tmp_path, f"ranking: {{dim: {text}}}").fix


def test_a_number_with_an_exponent_needs_no_point(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("ranking: {learning_rate: 1e-3}\nretrieval: {learning_rate: 2.5E-2}")
    config = load(path)
    assert (config.ranking.learning_rate, config.retrieval.learning_rate) == (0.001, 0.025)


def test_infinity_is_no_setting_of_a_configuration_built_in_code():
    with pytest.raises(ValueError, match="finite"):
        RetrievalConfig(learning_rate=math.inf)
