"""Which versions are served, by version policies, labels and folders.

The rules and texts are those of TF Serving's sources/storage_path/file_system_storage_path_source.cc,
core/basic_manager.cc, model_servers/server_core.cc and model_servers/get_model_status_impl.cc.
"""

import threading

import pytest
from grpc import StatusCode

from segue.errors import SegueError
from serving.protocol.config_files import ModelConfig
from serving.server.label_rules import LABELS_FOLLOW, LABELS_UNUSED
from tests.serving.server.conftest import save, spoil
from tests.support.failures import grpc_failure

SECONDS = 20
UNAVAILABLE_LABEL = "Request to assign label to version {} of model m, which is not currently available for inference"


def test_policies_and_their_change_by_reload(base, serve, eventually):
    for version in (2, 3, 10):
        save(base / str(version), float(version))
    caller = serve()
    # Numbers are compared, not texts; by default the latest version is served.
    assert caller.states() == {10: "AVAILABLE"}
    assert grpc_failure(caller.statuses, 3) == (StatusCode.NOT_FOUND, "Could not find version 3 of model m")

    caller.reload(latest=2)
    assert caller.states() == {10: "AVAILABLE", 3: "AVAILABLE"}
    caller.reload(all=True)
    assert [entry[0] for entry in caller.statuses()] == [10, 3, 2, 1]
    assert set(caller.states().values()) == {"AVAILABLE"}

    caller.reload(specific=[1, 3])
    eventually(lambda: caller.states() == {10: "END", 3: "AVAILABLE", 2: "END", 1: "AVAILABLE"})
    assert caller.factor() == 3.0
    assert caller.factor(version=1) == 1.0
    assert grpc_failure(caller.factor, version=10) == (
        StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(m, 10)",
    )
    assert caller.statuses(10) == [(10, "END", 0, "")]


@pytest.mark.parametrize("name", ["absent", ""])
def test_the_status_of_an_unknown_model(serve, name):
    text = f"Could not find any versions of model {name}"

    assert grpc_failure(serve().statuses, name=name) == (StatusCode.NOT_FOUND, text)


def test_num_versions_0_counts_as_1(base, serve):
    save(base / "2", 2.0)
    caller = serve(ModelConfig("m", base, "all"))

    caller.reload(latest=0)
    assert caller.factor() == 2.0
    assert grpc_failure(caller.factor, version=1)[0] is StatusCode.NOT_FOUND


def test_a_specific_version_that_comes_later(base, serve, eventually, caplog):
    caller = serve(ModelConfig("m", base, "specific", specific=(1, 4)))
    assert (
        "Version 4 of servable m, which was requested to be served as a 'specific' version in the servable's "
        "version policy, was not found in the file system" in caplog.text
    )

    save(base / "3", 3.0)
    save(base / "4", 4.0)
    eventually(lambda: caller.states() == {4: "AVAILABLE", 1: "AVAILABLE"})


def test_labels_by_tf_servings_default(base, serve):
    save(base / "2", 2.0)
    caller = serve(ModelConfig("m", base, "all"))

    assert grpc_failure(caller.reload, {"stable": 1, "canary": 9}, all=True) == (
        StatusCode.FAILED_PRECONDITION,
        UNAVAILABLE_LABEL.format(9),
    )
    assert grpc_failure(caller.factor, label="stable") == (
        StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    )
    caller.reload({"stable": 1, "canary": 2}, all=True)
    assert (caller.factor(label="stable"), caller.factor(label="canary")) == (1.0, 2.0)
    caller.reload({"stable": 2}, all=True)
    assert caller.factor(label="stable") == 2.0
    assert grpc_failure(caller.factor, label="canary")[1] == "Unrecognized servable version label: canary"


def test_labels_at_the_start_by_tf_servings_default(base, serve):
    with pytest.raises(SegueError, match=UNAVAILABLE_LABEL.format(1)):
        serve(ModelConfig("m", base, labels={"stable": 1}))


def test_with_the_rule_unused_a_new_label_may_name_a_version_that_is_not_loaded(base, serve, eventually):
    caller = serve(ModelConfig("m", base, labels={"stable": 1, "next": 2}), labels=LABELS_UNUSED)

    assert caller.factor(label="stable") == 1.0
    assert grpc_failure(caller.factor, label="next") == (
        StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(m, 2)",
    )
    moved = {"stable": 3, "next": 2}
    assert grpc_failure(caller.reload, moved) == (StatusCode.FAILED_PRECONDITION, UNAVAILABLE_LABEL.format(3))
    assert caller.factor(label="stable") == 1.0
    caller.reload({"stable": 1, "next": 2, "later": 3})  # `next` does not move, `later` is new
    save(base / "2", 2.0)
    eventually(lambda: 2 in caller.states() and caller.states()[2] == "AVAILABLE")
    assert caller.factor(label="next") == 2.0


def test_with_the_rule_follow_labels_move_when_their_versions_are_loaded(base, serve, eventually):
    caller = serve(ModelConfig("m", base, labels={"stable": 1}), labels=LABELS_FOLLOW)

    caller.reload({"stable": 2, "canary": 2})
    assert caller.factor(label="stable") == 1.0
    assert grpc_failure(caller.factor, label="canary")[1] == "Unrecognized servable version label: canary"
    save(base / "2", 2.0)
    eventually(lambda: caller.factor(label="stable") == 2.0)
    assert caller.factor(label="canary") == 2.0


def test_with_0_seconds_folders_are_searched_at_the_start_only(base, serve):
    before = [thread.name for thread in threading.enumerate()].count("segue-serving-poll")
    caller = serve(file_system_poll_wait_seconds=0)

    assert [thread.name for thread in threading.enumerate()].count("segue-serving-poll") == before
    save(base / "2", 2.0)
    assert caller.factor() == 1.0


def test_only_folders_whose_names_are_numbers_are_versions(base, serve):
    save(base / "00000123", 123.0)
    for name in ("-200", "201x", "tmp-202", ".203", "2e2", "\u0662"):
        spoil(base / name)
    (base / "204").write_text("a file")
    caller = serve(ModelConfig("m", base, "all"))

    assert caller.states() == {123: "AVAILABLE", 1: "AVAILABLE"}
    assert caller.factor() == 123.0


def test_of_two_folders_with_the_same_number_the_last_by_name_is_served(base, serve):
    save(base / "01", 7.0)

    assert serve().factor() == 1.0


def test_a_model_keeps_answering_when_its_base_path_vanishes(base, serve, eventually, caplog):
    caller = serve()
    base.rename(base.with_name("elsewhere"))

    eventually(lambda: f"Could not find base path {base} for servable m" in caplog.text)
    assert caller.factor() == 1.0
    base.with_name("elsewhere").rename(base)
    save(base / "2", 2.0)
    eventually(lambda: caller.factor() == 2.0)
