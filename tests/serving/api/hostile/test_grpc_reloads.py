"""Configurations of hostile models: a reload gets a status, and the models that were served before stay."""

import pytest
from grpc import StatusCode

from serving.api.grpc_services import MAX_ERROR_BYTES

INVALID, NOT_FOUND = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND


def collector(prefix, rate="1"):
    return (
        f"logging_config {{ sampling_config {{ sampling_rate: {rate} }} "
        f'log_collector_config {{ type: "file" filename_prefix: "{prefix}" }} }}'
    )


ABSENT = {StatusCode.UNKNOWN}  # the status if a model does not become available
A = 'name: "a" base_path: "/absent"'
ENTRIES = {
    "relative": ('name: "a" base_path: "relative"', {INVALID}),
    "no path": ('name: "a"', {INVALID}),
    "no folder": ('name: "a" base_path: "gs://bucket/a"', {INVALID}),
    "no name": ('name: "" base_path: "/absent"', {INVALID}),
    "a name twice": ('name: "scale" base_path: "/absent"', {INVALID}),
    "absent": (A, ABSENT),
    "a file": ('name: "a" base_path: "/etc/passwd"', ABSENT),
    "a process": ('name: "a" base_path: "/proc/self"', ABSENT),
    "open files": ('name: "a" base_path: "/proc/self/fd" model_version_policy { all { } }', ABSENT),
    "threads": ('name: "a" base_path: "/proc/self/task" model_version_policy { latest { num_versions: 4 } }', ABSENT),
    "a long path": (f'name: "a" base_path: "/{"a/" * 10_000}"', ABSENT),
    "NUL in a path": (r'name: "a" base_path: "/tmp/a\000b"', {INVALID, StatusCode.UNKNOWN}),
    "a name that is a path": ('name: "../../etc/passwd" base_path: "/absent"', ABSENT),
    "a name of control bytes": (r'name: "a\n\r\"b\000" base_path: "/absent"', ABSENT),
    "a long name": (f'name: "{"a" * 2**20}" base_path: "/absent"', ABSENT),
    "a label to no version": (f'{A} version_labels {{ key: "x" value: -1 }}', {StatusCode.FAILED_PRECONDITION}),
    "a negative version": (f"{A} model_version_policy {{ specific {{ versions: -1 }} }}", ABSENT),
    "a rate that is not a number": (f"{A} {collector('/tmp/a', 'nan')}", {INVALID}),
    "a log that is not a file": (f"{A} {collector('/proc/self/a/b')}", {INVALID}),
    "a log beside the folders": (f"{A} {collector('')}", {INVALID}),
    "NUL in a log's path": (f"{A} {collector('/tmp/' + chr(92) + '000/b')}", {INVALID}),
}


@pytest.mark.parametrize(("entry", "expected"), ENTRIES.values(), ids=ENTRIES)
def test_hostile_models(reload, entry, expected):
    code, text = reload(f'{entry} model_platform: "tensorflow"')

    assert code in expected
    assert len(text) <= MAX_ERROR_BYTES + 3


def test_ten_thousand_models(reload):
    entries = [f'name: "m{i}" base_path: "/absent/{i}" model_platform: "tensorflow"' for i in range(10_000)]

    code, text = reload(*entries)

    assert code is StatusCode.UNKNOWN
    assert text.startswith("10000 model(s) did not become available")


def test_a_very_long_list_of_versions(server, reload):
    """Versions that do not exist are reported in a few lines of the log, however many there are."""
    before, versions = server.log.stat().st_size, ",".join(map(str, range(100_000)))

    code, _ = reload(
        'name: "a" base_path: "/absent" model_platform: "tensorflow"',
        f'name: "b" base_path: "{server.log.parent}/parse" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: [{versions}] }} }}",
    )

    assert code is StatusCode.UNKNOWN
    assert server.log.stat().st_size - before < 100_000


def test_refused_request_logs_leave_no_thread(server, reload, tmp_path):
    """The last entry of the list is refused; the loggers started for the other entries end."""
    model = 'name: "{}" base_path: "/absent" model_platform: "tensorflow"'
    logging = 'logging_config {{ log_collector_config {{ type: "{}" filename_prefix: "{}/a" }} }}'
    entries = [f"{model.format(n)} {logging.format('file' if n < 30 else 'none', tmp_path)}" for n in range(31)]
    before = threads(server.pid)

    code, _ = reload(*entries)

    assert code is NOT_FOUND
    assert threads(server.pid) - before < 10


def threads(pid):
    """The number of threads of a process."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
