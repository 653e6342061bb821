"""The flags of `tensorflow_model_server` with their names and defaults, in groups for `segue serve --help`.

This module imports nothing but click, so that `--help` answers at once.
"""

from typing import Any

import click
from click.core import ParameterSource

PORT = click.IntRange(0, 65535)
FILE = "FILE"
UNUSED = "Accepted because TF Serving has them, without effect on this server"


def _flag(name: str, flag_type: Any, default: Any, text: str, default_text: str = "") -> click.Option:
    """One option of the command.

    A file is read as a plain string, so that `--flag=` leaves the flag unset as in TF Serving's own scripts.
    """
    if not default_text:
        default_text = str(default).lower() if flag_type is bool else str(default)
    return click.Option(
        [f"--{name}"],
        type=str if flag_type is FILE else flag_type,
        metavar=FILE if flag_type is FILE else None,
        is_flag=False,
        default=default,
        help=f"{text}  [default: {default_text or 'none'}]",
    )


def _print_version(context: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"TensorFlow ModelServer: segue {version('segue')}")
        click.echo(f"TensorFlow Library: {version('tensorflow')}")
        context.exit()


_VERSION = _flag("version", bool, False, "Print the versions and exit.")
_VERSION.is_eager, _VERSION.expose_value, _VERSION.callback = True, False, _print_version

GROUPS: dict[str, list[click.Option]] = {
    "Models (without these flags, the project's own model store is served)": [
        _flag(
            "model_config_file", FILE, "", "Text proto of ModelServerConfig; takes precedence over --model_base_path."
        ),
        _flag(
            "model_config_file_poll_wait_seconds",
            float,
            None,
            "Seconds between two readings of the model config; 0: it is read at the start only.",
            "0; 1 for the project's own model store",
        ),
        _flag("model_name", str, "default", "Name of the model in --model_base_path."),
        _flag("model_base_path", str, "", "Folder with the versions of a single model."),
        _flag(
            "file_system_poll_wait_seconds",
            float,
            1,
            "Seconds between two searches for new versions; 0: search at the start only.",
        ),
        _flag(
            "allow_version_labels_for_unavailable_models",
            bool,
            False,
            "Allow a new label for a version that is not loaded yet.",
        ),
        _flag(
            "max_num_load_retries",
            click.IntRange(0),
            5,
            "Further attempts to load a version after the first one failed.",
        ),
        _flag(
            "load_retry_interval_micros",
            int,
            60_000_000,
            "Microseconds between two attempts to load; negative: no pause.",
        ),
        _flag("saved_model_tags", str, "serve", "Tags of the graph to load from a SavedModel, separated by commas."),
        _flag(
            "enable_model_warmup",
            bool,
            True,
            "Replay assets.extra/tf_serving_warmup_requests before a version answers requests.",
        ),
        _flag(
            "num_request_iterations_for_warmup", int, 0, "How often each warm-up request is replayed; below 1: once."
        ),
        _flag(
            "enable_signature_method_name_check",
            bool,
            False,
            "Check the signature's method_name in Classify and Regress.",
        ),
    ],
    "gRPC": [
        _flag(
            "host",
            str,
            "127.0.0.1",
            "Address to listen on, for gRPC and REST. TF Serving listens on 0.0.0.0 by default.",
        ),
        _flag("port", PORT, 8500, "TCP port for gRPC; 0: no port."),
        _flag("grpc_socket_path", str, "", "Path of a UNIX socket for gRPC, beside or instead of --port."),
        _flag("ssl_config_file", FILE, "", "Text proto of SSLConfig, for gRPC over TLS."),
        _flag(
            "grpc_channel_arguments",
            str,
            "",
            "Channel arguments of gRPC, separated by commas, e.g. grpc.max_connection_age_ms=2000.",
        ),
        _flag("enable_grpc_healthcheck_service", bool, False, "Serve grpc.health.v1 for the server and each model."),
        _flag(
            "enable_serialization_as_tensor_content",
            bool,
            False,
            "Write the outputs of Predict into tensor_content instead of typed fields.",
        ),
        _flag(
            "use_alts_credentials", bool, False, "Google's ALTS, which this server does not have: it refuses to start."
        ),
    ],
    "REST and metrics": [
        _flag("rest_api_port", PORT, 0, "Port for REST; 0: no REST. It must differ from --port."),
        _flag("rest_api_timeout_in_ms", int, 30000, "How many milliseconds a REST call may take; below 1: no limit."),
        _flag("rest_api_enable_cors_support", bool, False, "Send CORS headers with REST answers."),
        _flag("monitoring_config_file", FILE, "", "Text proto of MonitoringConfig, for Prometheus metrics over REST."),
    ],
    "Batching and threads": [
        _flag("enable_batching", bool, False, "Run requests that wait at the same time in one call of the model."),
        _flag("batching_parameters_file", FILE, "", "Text proto of BatchingParameters; needs --enable_batching."),
        _flag(
            "tensorflow_session_parallelism",
            click.IntRange(0),
            0,
            "Value of the next two flags where they are not given; 0: automatic.",
        ),
        _flag("tensorflow_intra_op_parallelism", click.IntRange(0), 0, "Threads within an operation; 0: automatic."),
        _flag(
            "tensorflow_inter_op_parallelism",
            click.IntRange(0),
            0,
            "Operations that run at the same time; 0: automatic.",
        ),
    ],
    UNUSED: [
        _flag("rest_api_num_threads", int, None, "Threads for REST; here one event loop serves it.", "4 x cores"),
        _flag("grpc_max_threads", int, None, "Threads for gRPC; here one event loop serves it.", "4 x cores"),
        _flag("num_load_threads", int, 0, "Threads that load models."),
        _flag("num_unload_threads", int, 0, "Threads that unload models."),
        _flag("flush_filesystem_caches", bool, True, "Flush file caches after loading."),
        _flag("enable_per_model_batching_parameters", bool, False, "batching_params.pbtxt beside each SavedModel."),
        _flag("tensorflow_session_config_file", FILE, "", "Text proto of ConfigProto."),
        _flag("platform_config_file", FILE, "", "Text proto of PlatformConfigMap."),
        _flag("thread_pool_factory_config_file", FILE, "", "Text proto of ThreadPoolConfig."),
        _flag("remove_unused_fields_from_bundle_metagraph", bool, True, "Drop unused fields of the MetaGraphDef."),
        _flag("enable_profiler", bool, True, "The profiler service."),
        _flag("per_process_gpu_memory_fraction", float, 0.0, "Share of the GPU's memory."),
        _flag("mixed_precision", str, "", "Mixed precision mode."),
        _flag("skip_initialize_tpu", bool, False, "Do not initialize the TPU."),
        _flag("xla_cpu_compilation_enabled", bool, False, "Compile for the CPU with XLA."),
        _flag("xla_gpu_compilation_enabled", bool, False, "Compile for the GPU with XLA."),
        _flag("prefer_tflite_model", bool, False, "Serve model.tflite if a version has it."),
        _flag("num_tflite_pools", int, None, "Pools of TFLite interpreters.", "cores"),
        _flag("num_tflite_interpreters_per_pool", int, 1, "TFLite interpreters in a pool."),
    ],
    "Other": [_VERSION],
}
OPTIONS = [option for options in GROUPS.values() for option in options]
_BOOLEANS = {option.opts[0] for option in OPTIONS if option.type is click.BOOL}


def unused(context: click.Context) -> list[str]:
    """The flags on the command line that have no effect on this server."""
    return [
        option.opts[0]
        for option in GROUPS[UNUSED]
        if context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT
    ]


class ServeCommand(click.Command):
    """A command that takes `OPTIONS`, lists them by `GROUPS` in its help, and reads booleans as TF Serving does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "params": OPTIONS})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `--flag` without a value as `--flag=true`; the next argument is never its value."""
        return super().parse_args(ctx, [f"{arg}=true" if arg in _BOOLEANS else arg for arg in args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section of the help for each group."""
        groups = {title: [option.get_help_record(ctx) for option in options] for title, options in GROUPS.items()}
        if help_option := self.get_help_option(ctx):
            groups["Other"].append(help_option.get_help_record(ctx))
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])
