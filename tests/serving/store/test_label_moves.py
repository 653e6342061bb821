"""The configuration with which a server loads new versions while its labels stay."""

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.protocol.config_files import parse_config, render_config
from serving.store.label_moves import between, labelled, named


def config(models, standby=None):
    return text_format.Parse(render_config(models, "/models", standby), ModelServerConfig())


def test_the_labels_are_the_old_ones_and_the_versions_those_of_both():
    old = config({"ranking": {"stable": 2}, "gone": {"stable": 1}}, {"ranking": [1]})
    new = config({"ranking": {"stable": 3, "canary": 4}, "new": {"stable": 4}}, {"ranking": [2]})
    entries = parse_config(text_format.MessageToString(between(old, new)))
    assert {entry.name: (entry.specific, dict(entry.labels)) for entry in entries} == {
        "ranking": ((1, 2, 3, 4), {"stable": 2}),
        "new": ((4,), {}),
    }


def test_nothing_comes_before_the_first_configuration():
    new = config({"ranking": {"stable": 1}})
    (entry,) = parse_config(text_format.MessageToString(between(ModelServerConfig(), new)))
    assert (entry.specific, dict(entry.labels)) == ((1,), {})


def test_each_labelled_version_is_listed_once():
    assert labelled(config({"b": {"stable": 2, "best": 2}, "a": {"stable": 1, "canary": 3}}, {"a": [7]})) == [
        ("a", 1),
        ("a", 3),
        ("b", 2),
    ]


def test_the_versions_to_load_are_those_with_labels_and_those_on_standby():
    assert named(config({"b": {"stable": 2}, "a": {"stable": 1, "canary": 3}}, {"a": [7]})) == {
        ("b", 2),
        *(("a", version) for version in (1, 3, 7)),
    }
