"""TF Serving's batching parameters, and `--batching_parameters_file`, which gives them as a text proto."""

import os
from dataclasses import dataclass

from segue.errors import InputError
from serving.protocol import text_protos

# parameter: (its smallest value, TF Serving's word for the rule)
LIMITS = {
    "max_batch_size": (1, "positive"),
    "batch_timeout_micros": (0, "non-negative"),
    "max_enqueued_batches": (0, "non-negative"),
    "num_batch_threads": (1, "positive"),
}


@dataclass(frozen=True)
class BatchingParameters:
    """TF Serving's batching parameters, with its defaults.

    Attributes:
        max_batch_size: the largest number of rows in a batch.
        batch_timeout_micros: how long a request may wait for others while its model is busy.
        max_enqueued_batches: how many batches may wait for a thread; requests beyond that fail with UNAVAILABLE.
        num_batch_threads: how many batches run at the same time.
        allowed_batch_sizes: the numbers of rows to which batches are padded, ascending; the last is `max_batch_size`.
            Empty: batches are not padded.
        pad_variable_length_inputs: whether requests whose inputs differ in other dimensions than rows share a batch.
            Each input is then padded to the largest shape, with copies of its own first element.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False


def parse_batching_parameters(text: str, source: str) -> BatchingParameters:
    """Parse a `BatchingParameters` text proto; parameters that it leaves out have TF Serving's defaults.

    `thread_pool_name` is accepted and has no effect.

    Args:
        text: the text proto, e.g. `max_batch_size { value: 128 } batch_timeout_micros { value: 2000 }`.
        source: the name of the file, for errors.

    Raises:
        InputError: the text does not parse, breaks one of TF Serving's rules, or sets enable_large_batch_splitting,
            which this server does not support.
    """
    fix = "Write, for example: max_batch_size { value: 128 } allowed_batch_sizes: 32 allowed_batch_sizes: 128"
    message = text_protos.parse(text, text_protos.new("BatchingParameters"), source, fix)
    if message.enable_large_batch_splitting.value:
        raise InputError(
            f"This server does not split a request's rows; {source} sets enable_large_batch_splitting.",
            "Remove the line, and have clients send at most max_batch_size rows.",
        )
    given = {name: getattr(message, name).value for name in LIMITS if message.HasField(name)}
    for name, value in given.items():
        least, rule = LIMITS[name]
        if value < least:
            raise InputError(f"{name} must be {rule}; was {value}.", f"Correct it in {source}, or leave it out.")
    if "max_enqueued_batches" in given:
        given["max_enqueued_batches"] = max(given["max_enqueued_batches"], 1)  # TF Serving reads 0 as 1
    parameters = BatchingParameters(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )
    _check_sizes(parameters, source)
    return parameters


def _check_sizes(parameters: BatchingParameters, source: str) -> None:
    """Raise InputError unless the allowed sizes ascend and end with the largest batch size."""
    sizes = parameters.allowed_batch_sizes
    if not sizes:
        return
    if sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise InputError("allowed_batch_sizes entries must be monotonically increasing.", f"Sort them in {source}.")
    if sizes[-1] != parameters.max_batch_size:
        raise InputError(
            "Last entry in allowed_batch_sizes must match max_batch_size; "
            f"last entry was {sizes[-1]}; expected {parameters.max_batch_size}.",
            f"Make them equal in {source}.",
        )
