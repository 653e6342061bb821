"""How a version is loaded: retries, warm-up, and a server that stops during a load.

The rules and texts are those of TF Serving's core/loader_harness.cc, core/basic_manager.cc, util/retrier.cc,
model_servers/server_core.cc and servables/tensorflow/saved_model_warmup_util.cc.
"""

import logging
import threading
import time

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from serving.protocol import prediction_log
from serving.protocol.config_files import ModelConfig
from serving.protocol.status import StatusError
from serving.run_server import ModelServer
from serving.server.manager import ModelManager, Retries
from serving.server_config import ServerConfig
from tests.serving.server.conftest import Caller, save, spoil
from tests.support.failures import grpc_failure

SECONDS = 20


def warm_up(folder, count, steps=0, **more):
    """Write `count` warm-up requests into the folder of a version."""
    inputs = {"x": np.array(1.0, np.float32), "steps": np.array(steps, np.int64)}
    log = prediction_log.predict_log("m", inputs)
    log.predict_log.request.model_spec.signature_name = more.get("signature", "")
    prediction_log.write(folder / prediction_log.WARMUP_FILE, [log] * count)


def test_a_broken_version_is_tried_again_and_then_given_up(base, serve, eventually, caplog):
    caller = serve(retries=Retries(limit=2, seconds=0.4))
    spoil(base / "2")
    eventually(lambda: caller.states().get(2) == "LOADING")
    assert caller.factor() == 1.0
    eventually(lambda: caller.states()[2] == "END")

    (broken,) = caller.statuses(2)
    assert broken[2] != 0
    assert "SavedModel" in broken[3]
    save(base / "3", 3.0)  # the server loads version 3, and does not try version 2 again
    eventually(lambda: caller.factor() == 3.0)
    assert caplog.text.count("Loading servable: {name: m version: 2} failed: ") == 3
    assert caller.statuses(2) == [broken]


def test_a_broken_version_is_loaded_once_its_files_are_repaired(base, serve, eventually):
    caller = serve()
    spoil(base / "2")
    eventually(lambda: caller.states().get(2) == "END")
    save(base / "whole", 2.0)

    (base / "whole" / "saved_model.pb").replace(base / "2" / "saved_model.pb")
    eventually(lambda: caller.factor() == 2.0)
    assert caller.statuses(2) == [(2, "AVAILABLE", 0, "")]


def test_the_pause_between_two_tries(base):
    now, tries = [0.0], []

    def load(name, version, folder):
        tries.append(now[0])
        raise StatusError(StatusCode.DATA_LOSS, "broken")

    manager = ModelManager(load, Retries(limit=2, seconds=30.0), clock=lambda: now[0])
    with pytest.raises(StatusError) as caught:
        manager.reload([ModelConfig("m", base)], lambda seconds: now.__setitem__(0, now[0] + seconds))
    manager.close()

    assert tries == [0.0, 30.0, 60.0]
    assert caught.value.code is StatusCode.UNKNOWN
    assert caught.value.text == (
        "1 model(s) did not become available: {{{name: m version: 1} due to error: DATA_LOSS: broken}, }"
    )


def test_a_version_answers_only_after_its_warm_up(tmp_path, base, serve, eventually, caplog):
    caplog.set_level(logging.INFO, "segue.serving")
    caller = serve(warmup_iterations=2)
    save(tmp_path / "2", 2.0)
    warm_up(tmp_path / "2", 3, steps=60_000)
    (tmp_path / "2").rename(base / "2")

    eventually(lambda: caller.states().get(2) == "LOADING")
    assert caller.factor() == 1.0
    assert grpc_failure(caller.factor, version=2)[0] is StatusCode.NOT_FOUND
    eventually(lambda: caller.factor() == 2.0)
    text = caplog.text
    warm = text.index("Number of warmup records read: 3.")
    assert text.index("Loading servable version {name: m version: 2}") < warm
    assert warm < text.index("Successfully loaded servable version {name: m version: 2}")
    assert f"No warmup data file found at {base / '1' / prediction_log.WARMUP_FILE}" in text


def test_a_warm_up_request_that_fails_fails_the_load(tmp_path, base, serve, eventually):
    caller = serve()
    save(tmp_path / "2", 2.0)
    warm_up(tmp_path / "2", 1, signature="absent")
    (tmp_path / "2").rename(base / "2")

    eventually(lambda: caller.states().get(2) == "END")
    code = StatusCode.FAILED_PRECONDITION.value[0]
    assert caller.statuses(2) == [(2, "END", code, 'Serving signature key "absent" not found.')]
    assert caller.factor() == 1.0


def test_warm_up_may_be_switched_off(base, serve):
    warm_up(base / "1", 1, signature="absent")

    assert serve(warmup_iterations=0).factor() == 1.0


def test_a_server_that_stops_does_not_wait_for_a_long_warm_up(tmp_path, base, eventually):
    save(tmp_path / "2", 2.0)
    warm_up(tmp_path / "2", 1_000, steps=60_000)  # would take minutes
    before = set(threading.enumerate())
    server = ModelServer(ServerConfig(models=[ModelConfig("m", base)], file_system_poll_wait_seconds=0.05))
    with server, grpc.insecure_channel(server.address) as channel:
        (tmp_path / "2").rename(base / "2")
        eventually(lambda: Caller(channel, base).states().get(2) == "LOADING")
        began = time.monotonic()
        server.stop()

    assert time.monotonic() - began < SECONDS
    ours = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("segue-serving")]
    assert not [thread for thread in ours if thread.is_alive()]
