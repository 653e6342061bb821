"""TF Serving's configuration files: its own examples parse, and errors have its texts."""

import pytest
from tensorflow_serving.config import model_server_config_pb2

from segue.errors import InputError
from serving.protocol import config_files
from serving.server.batching_parameters import BatchingParameters, parse_batching_parameters

KEY = '"-----BEGIN PRIVATE KEY-----\\nAA\\n-----END PRIVATE KEY-----\\n"'
CERT = '"-----BEGIN CERTIFICATE-----\\nAA\\n-----END CERTIFICATE-----\\n"'


def server_config(*entries: dict) -> model_server_config_pb2.ModelServerConfig:
    message = model_server_config_pb2.ModelServerConfig()
    message.model_config_list.SetInParent()
    for entry in entries:
        message.model_config_list.config.add(**{"name": "a", "base_path": "/m", **entry})
    return message


def test_a_model_with_everything():
    (model,) = config_files.parse_config("""
        model_config_list { config {
          name: "half" base_path: "/models/half" model_platform: "tensorflow"
          model_version_policy { specific { versions: 42 versions: 43 } }
          version_labels { key: "stable" value: 42 } version_labels { key: "canary" value: 43 }
          logging_config {
            log_collector_config { type: "tfrecord" filename_prefix: "/logs/half" }
            sampling_config { sampling_rate: 0.25 }
          }
        } }""")

    assert (model.name, str(model.base_path)) == ("half", "/models/half")
    assert (model.policy, model.specific) == ("specific", (42, 43))
    assert model.labels == {"stable": 42, "canary": 43}
    assert model.logging_config.log_collector_config.filename_prefix == "/logs/half"
    assert model.logging_config.sampling_config.sampling_rate == 0.25


def test_defaults_of_an_entry():
    (model,) = config_files.models_of(server_config({"model_platform": "tensorflow"}))

    assert (model.policy, model.num_latest, model.labels, model.logging_config) == ("latest", 1, {}, None)


def test_the_deprecated_model_type_is_enough():
    assert len(config_files.models_of(server_config({"model_type": model_server_config_pb2.TENSORFLOW}))) == 1


def test_an_empty_config_has_no_models():
    assert config_files.models_of(model_server_config_pb2.ModelServerConfig()) == []


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([{}, {}], "Illegal to list model a multiple times in config list"),
        ([{"base_path": "m"}], "Expected model a to have an absolute path or URI; got base_path()=m"),
        ([{"base_path": ""}], "Expected model a to have an absolute path or URI; got base_path()="),
        ([{"name": ""}], "Every model in a model config has a name. One entry has none."),
        (
            [{"base_path": "gs://b/m"}],
            "This server reads models from local folders. Model a has base_path()=gs://b/m",
        ),
        (
            [{"model_platform": "tensorflow", "model_type": 1}],
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.",
        ),
        (
            [{}],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
        ([{"model_type": 2}], "ModelServerConfig::model_type choice 2 not supported."),
        ([{"model_platform": "caffe"}], "Model a requests unsupported platform caffe"),
    ],
)
def test_a_bad_model_is_refused_with_tf_servings_text(entries, text):
    with pytest.raises(InputError) as caught:
        config_files.models_of(server_config(*entries))

    assert caught.value.headline == text
    assert caught.value.fix


def test_a_specific_policy_needs_a_version():
    message = server_config({"model_platform": "tensorflow"})
    message.model_config_list.config[0].model_version_policy.specific.SetInParent()

    with pytest.raises(InputError, match=r"at least one version\. That of model 'a' has none"):
        config_files.models_of(message)


def test_custom_configs_are_refused():
    message = model_server_config_pb2.ModelServerConfig()
    message.custom_model_config.SetInParent()

    with pytest.raises(InputError, match="ModelServer does not yet support custom model config"):
        config_files.models_of(message)


def test_an_error_names_the_file():
    with pytest.raises(
        InputError,
        match=r"Invalid protobuf file: '/etc/m': Error parsing text-format tensorflow.serving.ModelServerConfig: 1:1: ",
    ):
        config_files.parse_config("models {}", "/etc/m")
    with pytest.raises(InputError, match=r"^/etc/m: Expected model a to have an absolute path"):
        config_files.parse_config('model_config_list { config { name: "a" } }', "/etc/m")


def test_batching_parameters_of_tf_servings_guide():
    text = """
        max_batch_size { value: 128 }
        batch_timeout_micros { value: 2000 }
        max_enqueued_batches { value: 1000000 }
        num_batch_threads { value: 8 }
        thread_pool_name { value: "batches" }
        allowed_batch_sizes: 32 allowed_batch_sizes: 64 allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: False }"""

    assert parse_batching_parameters(text, "f") == BatchingParameters(128, 2000, 1_000_000, 8, (32, 64, 128), True)


def test_batching_parameters_left_out_have_defaults():
    assert parse_batching_parameters("", "f") == BatchingParameters()
    assert parse_batching_parameters("max_batch_size { value: 3 }", "f") == BatchingParameters(max_batch_size=3)
    assert parse_batching_parameters("max_enqueued_batches { value: 0 }", "f").max_enqueued_batches == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "max_batch_size: 128",
            "Invalid protobuf file: 'b.txt': Error parsing text-format tensorflow.serving.BatchingParameters: ",
        ),
        ("batch_size { value: 1 }", 'has no field named "batch_size"'),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("max_batch_size {}", "max_batch_size must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        ("max_enqueued_batches { value: -1 }", "max_enqueued_batches must be non-negative; was -1"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        (
            "max_batch_size { value: 9 } allowed_batch_sizes: 8",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 9",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 0 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        ("enable_large_batch_splitting { value: true }", "does not split"),
    ],
)
def test_bad_batching_parameters(text, rule):
    with pytest.raises(InputError, match=rule):
        parse_batching_parameters(text, "b.txt")


def test_ssl_config():
    plain = config_files.parse_ssl_config(f"server_key: {KEY} server_cert: {CERT}", "ssl")
    mutual = config_files.parse_ssl_config(
        f"server_key: {KEY} server_cert: {CERT} custom_ca: {CERT} client_verify: true", "ssl"
    )

    assert plain.server_key == "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n"
    assert (plain.custom_ca, plain.client_verify) == ("", False)
    assert mutual.client_verify
    assert mutual.custom_ca == mutual.server_cert
    assert "PRIVATE KEY" not in repr(plain)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"server_cert: {CERT}", "server_key of an SSLConfig"),
        (
            f'server_key: {KEY} server_cert: "/etc/cert.pem"',
            "server_cert of an SSLConfig must be a PEM text, not a path",
        ),
        (f"server_key: {KEY} server_cert: {CERT} client_verify: true", "custom_ca of an SSLConfig"),
        ("key: 1", "text-format tensorflow.serving.SSLConfig"),
    ],
)
def test_bad_ssl_configs(text, rule):
    with pytest.raises(InputError, match=rule):
        config_files.parse_ssl_config(text, "ssl")


def test_channel_arguments_are_numbers_or_text():
    text = "grpc.max_connection_age_ms=2000,grpc.primary_user_agent=a=b,grpc.big=4294967296,grpc.low=-1,"

    assert config_files.parse_channel_arguments(text) == (
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.primary_user_agent", "a=b"),
        ("grpc.big", "4294967296"),  # beyond int32: TF Serving passes it as text too
        ("grpc.low", -1),
    )
    assert config_files.parse_channel_arguments("") == ()


@pytest.mark.parametrize("text", ["grpc.x", "=1", "a=1,b"])
def test_bad_channel_arguments(text):
    with pytest.raises(InputError, match="key=value pairs, separated by commas"):
        config_files.parse_channel_arguments(text)
