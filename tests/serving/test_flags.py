"""The flags of `tensorflow_model_server`, as `segue serve` reads them."""

import pytest

from serving.command import serve
from serving.flags import OPTIONS

# TF Serving's flags and defaults; None stands for the number of cores, or four times that number.
TF_SERVING = {
    "port": 8500,
    "grpc_socket_path": "",
    "rest_api_port": 0,
    "rest_api_num_threads": None,
    "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "enable_batching": False,
    "allow_version_labels_for_unavailable_models": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": None,
    "model_name": "default",
    "model_base_path": "",
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60_000_000,
    "file_system_poll_wait_seconds": 1,
    "flush_filesystem_caches": True,
    "tensorflow_session_parallelism": 0,
    "tensorflow_session_config_file": "",
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "use_alts_credentials": False,
    "ssl_config_file": "",
    "platform_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "saved_model_tags": "serve",
    "grpc_channel_arguments": "",
    "grpc_max_threads": None,
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "version": False,
    "monitoring_config_file": "",
    "remove_unused_fields_from_bundle_metagraph": True,
    "prefer_tflite_model": False,
    "num_tflite_pools": None,
    "num_tflite_interpreters_per_pool": 1,
    "enable_signature_method_name_check": False,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "enable_profiler": True,
    "thread_pool_factory_config_file": "",
    "mixed_precision": "",
    "skip_initialize_tpu": False,
    "enable_grpc_healthcheck_service": False,
    "enable_serialization_as_tensor_content": False,
}


def parsed(*args: str) -> dict:
    return serve.make_context("serve", list(args)).params


def test_every_flag_has_tf_servings_default():
    assert {str(option.name): option.default for option in OPTIONS} == {**TF_SERVING, "host": "127.0.0.1"}


@pytest.mark.parametrize("name", [name for name in TF_SERVING if name != "version"])
def test_every_flag_is_read_in_both_forms(name):
    type_name = next(option.type.name for option in OPTIONS if option.name == name)
    if type_name == "boolean":
        assert parsed(f"--{name}")[name] is True
        assert parsed(f"--{name}=false")[name] is False
    else:
        value = {"text": "x"}.get(type_name, "7")
        assert parsed(f"--{name}={value}")[name] == parsed(f"--{name}", value)[name]
        assert str(parsed(f"--{name}={value}")[name]).startswith(value)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("True", True), ("false", False), ("0", False), ("False", False)]
)
def test_booleans(text, value):
    assert parsed(f"--enable_batching={text}")["enable_batching"] is value


def test_a_boolean_does_not_swallow_the_next_argument():
    flags = parsed("--enable_batching", "--port", "1", "--enable_model_warmup=0", "--model_name", "m")

    assert (flags["enable_batching"], flags["port"], flags["enable_model_warmup"]) == (True, 1, False)
