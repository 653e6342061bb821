"""The flags of `segue serve` become a configuration, a warning or an error; and the command starts a server."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segue.errors import InputError
from serving.command import VisibleFormatter, configuration, serve
from serving.flags import GROUPS, OPTIONS, UNUSED
from tests.support.soon import SECONDS

BASE = "--model_base_path=/models/a"


@pytest.fixture
def configured(home):
    """The configuration and the warnings for arguments of the command line."""
    return lambda *args: configuration(serve.make_context("serve", list(args)), home)


def file_with(folder: Path, text: str) -> str:
    path = folder / "file.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_defaults_except_the_host_are_those_of_tf_serving(configured):
    settings, warnings = configured(BASE)

    (model,) = settings.models
    assert (model.name, str(model.base_path), model.policy) == ("default", "/models/a", "latest")
    assert (settings.host, settings.port, settings.grpc_socket_path) == ("127.0.0.1", 8500, "")
    assert (settings.rest_port, settings.rest_timeout_seconds, settings.rest_cors) == (None, 30.0, False)
    assert (settings.model_config_file, settings.model_config_file_poll_wait_seconds) == (None, 0)
    assert (settings.retries.limit, settings.retries.seconds) == (5, 60.0)
    assert (settings.labels, settings.warmup_iterations) == ("available", 1)
    assert (settings.batching, settings.tls, settings.metrics_path) == (None, None, None)
    assert (settings.parallelism.intra_op, settings.parallelism.inter_op) == (0, 0)
    assert (settings.tags, settings.grpc_channel_arguments) == (("serve",), ())
    assert [settings.health, settings.rules.check_method_names, settings.rules.tensor_content] == [False] * 3
    assert warnings == []


def test_flags_reach_the_configuration(configured, tmp_path):
    batching = file_with(tmp_path, "max_batch_size { value: 64 }")

    settings, warnings = configured(
        *(BASE, "--model_name=a", "--host=::1", "--port=0", "--grpc_socket_path=/run/a", "--rest_api_port=8501"),
        *("--rest_api_timeout_in_ms=1500", "--rest_api_enable_cors_support", "--enable_batching"),
        *("--batching_parameters_file", batching, "--max_num_load_retries=0", "--load_retry_interval_micros=-1"),
        *("--saved_model_tags=serve,gpu", "--num_request_iterations_for_warmup=3"),
        *("--grpc_channel_arguments=grpc.max_connection_age_ms=2000", "--enable_grpc_healthcheck_service"),
        *("--enable_signature_method_name_check", "--enable_serialization_as_tensor_content"),
        *("--file_system_poll_wait_seconds", "0.5", "--allow_version_labels_for_unavailable_models"),
    )

    assert (settings.host, settings.port, settings.grpc_socket_path) == ("::1", None, "/run/a")
    assert (settings.rest_port, settings.rest_timeout_seconds, settings.rest_cors) == (8501, 1.5, True)
    assert settings.batching.max_batch_size == 64
    assert (settings.retries.limit, settings.retries.seconds) == (0, 0.0)
    assert (settings.tags, settings.warmup_iterations) == (("serve", "gpu"), 3)
    assert settings.grpc_channel_arguments == (("grpc.max_connection_age_ms", 2000),)
    assert [settings.health, settings.rules.check_method_names, settings.rules.tensor_content] == [True] * 3
    assert settings.file_system_poll_wait_seconds == 0.5
    assert settings.labels == "unused"
    assert settings.models[0].name == "a"
    assert warnings == []


def test_0_ms_is_no_rest_timeout(configured):
    assert configured(BASE, "--rest_api_timeout_in_ms=0")[0].rest_timeout_seconds == 0.0


def test_warm_up_can_be_disabled(configured):
    settings, _ = configured(BASE, "--enable_model_warmup=false", "--num_request_iterations_for_warmup=3")

    assert settings.warmup_iterations == 0


def test_batching_without_a_file_has_tf_servings_defaults(configured):
    settings, _ = configured(BASE, "--enable_batching")

    assert (settings.batching.max_batch_size, settings.batching.batch_timeout_micros) == (1000, 0)


def test_tls_and_metrics_come_from_their_files(configured, tmp_path):
    pem = '"-----BEGIN X-----"'
    ssl = file_with(tmp_path, f"server_key: {pem} server_cert: {pem}")
    (tmp_path / "monitoring").write_text('prometheus_config { enable: true path: "/m" }')
    monitoring = f"--monitoring_config_file={tmp_path / 'monitoring'}"

    settings, warnings = configured(BASE, f"--ssl_config_file={ssl}", monitoring, "--rest_api_port=8501")
    assert settings.tls.server_cert == "-----BEGIN X-----"
    assert (settings.metrics_path, warnings) == ("/m", [])

    _, warnings = configured(BASE, monitoring)
    assert warnings == ["--monitoring_config_file has no effect without --rest_api_port: metrics are served over REST"]


@pytest.mark.parametrize(
    ("flags", "threads"),
    [
        (["--tensorflow_session_parallelism=4"], (4, 4)),
        (["--tensorflow_session_parallelism=4", "--tensorflow_inter_op_parallelism=1"], (4, 1)),
        (["--tensorflow_intra_op_parallelism=3", "--tensorflow_inter_op_parallelism=2"], (3, 2)),
    ],
)
def test_parallelism(configured, flags, threads):
    parallelism = configured(BASE, *flags)[0].parallelism

    assert (parallelism.intra_op, parallelism.inter_op) == threads


def test_without_a_model_the_projects_own_store_is_served(configured, home):
    home.models.mkdir(parents=True)
    (home.models / "models.config").touch()

    settings, _ = configured()
    assert (settings.model_config_file, settings.model_config_file_poll_wait_seconds) == (
        home.models / "models.config",
        1.0,
    )
    assert settings.labels == "follow"
    assert configured("--model_config_file_poll_wait_seconds=0")[0].model_config_file_poll_wait_seconds == 0


def test_empty_flags_count_as_absent(configured):
    settings, warnings = configured(
        BASE, "--model_config_file=", "--batching_parameters_file=", "--monitoring_config_file=", "--ssl_config_file="
    )

    assert settings.model_config_file is None
    assert warnings == []


def test_a_relative_base_path_is_made_absolute(configured):
    assert configured("--model_base_path", "models/a")[0].models[0].base_path == Path.cwd() / "models" / "a"


def test_the_config_file_takes_precedence_over_the_base_path(configured):
    settings, warnings = configured(BASE, "--model_config_file=/etc/models.config")

    assert (settings.model_config_file, list(settings.models)) == (Path("/etc/models.config"), [])
    assert warnings == ["--model_base_path has no effect: --model_config_file takes precedence"]


def test_with_the_same_port_for_both_rest_is_not_served(configured):
    settings, (warning,) = configured(BASE, "--port=8501", "--rest_api_port=8501")

    assert (settings.port, settings.rest_port) == (8501, None)
    assert "http_port cannot be same as grpc_port" in warning


@pytest.mark.parametrize("name", [str(option.name) for option in GROUPS[UNUSED]])
def test_a_flag_without_effect_gives_one_warning(configured, name):
    value = next("1" if option.type.name != "text" else "x" for option in OPTIONS if option.name == name)

    assert configured(BASE, f"--{name}={value}")[1] == [f"--{name} has no effect on this server"]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            [BASE, "--port=0"],
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.",
        ),
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (
            [BASE, "--use_alts_credentials", "--ssl_config_file=f"],
            "Either use_alts_credentials must be false or ssl_config_file must be empty.",
        ),
        ([BASE, "--use_alts_credentials"], "--use_alts_credentials asks for Google's ALTS"),
        (
            [BASE, "--batching_parameters_file=f"],
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
        ),
        (
            [BASE, *(f"--tensorflow_{pool}_parallelism=1" for pool in ("session", "intra_op", "inter_op"))],
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all.",
        ),
        (["--model_base_path=gs://b/a"], "This server reads models from local folders."),
        ([BASE, "--model_name="], "Every model in a model config has a name"),
        ([BASE, "--grpc_channel_arguments=x"], "gRPC channel arguments are key=value"),
        ([BASE, "--ssl_config_file=/absent"], "The SSL config file /absent cannot be read"),
    ],
)
def test_start_up_errors(configured, flags, text):
    with pytest.raises(InputError) as caught:
        configured(*flags)

    assert caught.value.headline.startswith(text)
    assert caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("flag", ["batching_parameters_file", "monitoring_config_file", "ssl_config_file"])
def test_a_file_that_does_not_parse_is_refused(configured, tmp_path, flag):
    path = file_with(tmp_path, "nonsense {")

    with pytest.raises(InputError, match=f"Invalid protobuf file: '{path}'"):
        configured(BASE, "--enable_batching", f"--{flag}={path}")


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nINFO forged", "\u202egnp"])
def test_the_log_quotes_a_request_in_one_visible_line(name):
    record = logging.LogRecord("segue", logging.INFO, "f", 1, "no model %s", (name,), None)
    shown = VisibleFormatter("%(levelname)s %(message)s").format(record)
    assert shown == f"INFO no model {name.encode('unicode_escape').decode()}"


@pytest.mark.slow
def test_a_server_from_the_command_line(saved_models, tmp_path):
    """Without a TCP port: the server prints the address of its UNIX socket, warns once, and ends on SIGTERM."""
    from serving.client.sync_client import Client

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1").symlink_to(saved_models["one"])
    command = [sys.executable, "-P", "-c", "from cli import main; main()", "serve", "--port=0"]
    command += ["--grpc_socket_path", str(tmp_path / "s"), "--model_base_path", str(tmp_path / "m")]
    environment = {**os.environ, "SEGUE_HOME": str(tmp_path / "home")}
    with (
        (tmp_path / "stderr").open("wb") as stderr,
        subprocess.Popen(
            [*command, "--num_load_threads=2", "--enable_batching"],
            **{"env": environment, "stdout": subprocess.PIPE, "stderr": stderr, "text": True},
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            assert line == f"serving at unix:{tmp_path / 's'}\n", (tmp_path / "stderr").read_text()
            with Client(line.removeprefix("serving at ").strip()) as client:
                assert client.status("default") == {1: {"state": "AVAILABLE", "error": ""}}
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    log = (tmp_path / "stderr").read_text()
    assert log.count("--num_load_threads") == 1
    assert log.count("warning:") == 1
