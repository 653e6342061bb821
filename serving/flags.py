"""The flags of `tensorflow_model_server`, with its names and defaults, in groups for `segue serve --help`.

Only click is imported here: `--help` must answer at once.
"""

from typing import Any

import click
from click.core import ParameterSource

PORT = click.IntRange(0, 65535)
FILE = "FILE"
UNUSED = "Accepted from TF Serving's command lines, without effect here"


def _flag(name: str, kind: Any, default: Any, text: str, default_text: str = "") -> click.Option:
    """One option. A file is a plain string, so that `--flag=` leaves it unset, as in TF Serving's own scripts."""
    if not default_text:
        default_text = str(default).lower() if kind is bool else str(default)
    return click.Option(
        [f"--{name}"],
        type=str if kind is FILE else kind,
        metavar=FILE if kind is FILE else None,
        is_flag=False,
        default=default,
        help=f"{text}  [default: {default_text or 'none'}]",
    )


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"TensorFlow ModelServer: segue {version('segue')}")
        click.echo(f"TensorFlow Library: {version('tensorflow')}")
        context.exit()


_VERSION = _flag("version", bool, False, "Print the versions and end.")
_VERSION.is_eager, _VERSION.expose_value, _VERSION.callback = True, False, _print_version

GROUPS: dict[str, list[click.Option]] = {
    "Models (none of these: the project's own model store)": [
        _flag("model_config_file", FILE, "", "Text proto of ModelServerConfig; goes before --model_base_path."),
        _flag(
            "model_config_file_poll_wait_seconds",
            float,
            None,
            "Seconds between two readings of the model config; 0: only one at the start.",
            "0; 1 for the project's own model store",
        ),
        _flag("model_name", str, "default", "Name of the one model in --model_base_path."),
        _flag("model_base_path", str, "", "Folder of the one model's versions."),
        _flag(
            "file_system_poll_wait_seconds",
            float,
            1,
            "Seconds between two looks for new versions; 0: only one at the start.",
        ),
        _flag(
            "allow_version_labels_for_unavailable_models",
            bool,
            False,
            "Let a new label name a version that is not loaded yet.",
        ),
        _flag("max_num_load_retries", click.IntRange(0), 5, "Further attempts to load a version that failed to load."),
        _flag(
            "load_retry_interval_micros",
            int,
            60_000_000,
            "Microseconds between two attempts to load; negative: no wait.",
        ),
        _flag("saved_model_tags", str, "serve", "Tags of the SavedModel's graph, separated by commas."),
        _flag(
            "enable_model_warmup",
            bool,
            True,
            "Replay assets.extra/tf_serving_warmup_requests before a version answers.",
        ),
        _flag("num_request_iterations_for_warmup", int, 0, "Times each warm-up request is replayed; below 1: once."),
        _flag(
            "enable_signature_method_name_check", bool, False, "Classify and Regress check the signature's method_name."
        ),
    ],
    "gRPC": [
        _flag(
            "host",
            str,
            "127.0.0.1",
            "Address to listen on, for REST too. TF Serving listens on 0.0.0.0; here that must be asked for.",
        ),
        _flag("port", PORT, 8500, "TCP port for gRPC; 0: none."),
        _flag("grpc_socket_path", str, "", "UNIX socket for gRPC, with or without --port."),
        _flag("ssl_config_file", FILE, "", "Text proto of SSLConfig: gRPC over TLS."),
        _flag("grpc_channel_arguments", str, "", "gRPC's settings, e.g. grpc.max_connection_age_ms=2000,..."),
        _flag("enable_grpc_healthcheck_service", bool, False, "Answer grpc.health.v1, for the server and each model."),
        _flag(
            "enable_serialization_as_tensor_content",
            bool,
            False,
            "Predict answers in tensor_content, not in typed fields.",
        ),
        _flag("use_alts_credentials", bool, False, "Google's ALTS, which this server lacks: it refuses to start."),
    ],
    "REST and metrics": [
        _flag("rest_api_port", PORT, 0, "Port for REST; 0: none. Must differ from --port."),
        _flag("rest_api_timeout_in_ms", int, 30000, "Milliseconds a REST call may take; below 1: no limit."),
        _flag("rest_api_enable_cors_support", bool, False, "Answer with CORS headers."),
        _flag("monitoring_config_file", FILE, "", "Text proto of MonitoringConfig: Prometheus metrics, over REST."),
    ],
    "Batching and threads": [
        _flag("enable_batching", bool, False, "Answer requests that wait together in one call of the model."),
        _flag("batching_parameters_file", FILE, "", "Text proto of BatchingParameters; needs --enable_batching."),
        _flag(
            "tensorflow_session_parallelism",
            click.IntRange(0),
            0,
            "Threads for both of the next two, where they are not given; 0: automatic.",
        ),
        _flag("tensorflow_intra_op_parallelism", click.IntRange(0), 0, "Threads within an operation; 0: automatic."),
        _flag("tensorflow_inter_op_parallelism", click.IntRange(0), 0, "Operations at once; 0: automatic."),
    ],
    UNUSED: [
        _flag("rest_api_num_threads", int, None, "Threads for REST: one event loop serves it.", "4 x cores"),
        _flag("grpc_max_threads", int, None, "Threads for gRPC: one event loop serves it.", "4 x cores"),
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
        _flag("prefer_tflite_model", bool, False, "Serve model.tflite where there is one."),
        _flag("num_tflite_pools", int, None, "Pools of TFLite interpreters.", "cores"),
        _flag("num_tflite_interpreters_per_pool", int, 1, "TFLite interpreters in a pool."),
    ],
    "Other": [_VERSION],
}
OPTIONS = [option for options in GROUPS.values() for option in options]
_BOOLEANS = {option.opts[0] for option in OPTIONS if option.type is click.BOOL}


def unused(context: click.Context) -> list[str]:
    """The flags that were given and have no effect."""
    return [
        option.opts[0]
        for option in GROUPS[UNUSED]
        if context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT
    ]


class ServeCommand(click.Command):
    """A command with all of `OPTIONS`, its help in `GROUPS`, and booleans as TF Serving reads them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "params": OPTIONS})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--flag` alone means true; the next argument is never its value."""
        return super().parse_args(ctx, [f"{arg}=true" if arg in _BOOLEANS else arg for arg in args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section a group."""
        groups = {title: [option.get_help_record(ctx) for option in options] for title, options in GROUPS.items()}
        if help_option := self.get_help_option(ctx):
            groups["Other"].append(help_option.get_help_record(ctx))
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])
