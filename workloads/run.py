"""A pipeline run as its steps see it: its folder, its configuration, and the record of each step."""

import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import EXIT_RETRY, SegueError
from segue.files import read_json, write_json
from segue.os_errors import explained
from segue.settings import Home, RunFolder
from stores import parts, records

if TYPE_CHECKING:
    from models.training_config import TrainingConfig

RETRIES = 2  # of a step on a cluster. Kubeflow repeats a step after any failure; `Run.step` repeats only exit code 75.
KIB_OF_MAXRSS = 1 / 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux KiB


class FailedBefore(SegueError):
    """An earlier attempt of a step failed for good. The error is that of the earlier attempt."""

    def __init__(self, record: dict[str, Any]) -> None:
        super().__init__(record["cause"], record["fix"])
        self.exit_code = record["exit_code"]


def refuse_repetition(earlier: dict[str, Any]) -> None:
    """Refuse an attempt that Kubeflow makes by itself after a failure that lasts.

    After the last such attempt only a person can repeat the step, who may have corrected its input.

    Args:
        earlier: the record of the attempt before; empty for the first.

    Raises:
        FailedBefore: the earlier attempt failed with another code than 75.
    """
    lasting = earlier.get("status") == "failed" and earlier["exit_code"] != EXIT_RETRY
    if lasting and earlier["attempt"] % (RETRIES + 1):
        raise FailedBefore(earlier)


def cpu_seconds() -> float:
    """Return the processor time of this process and its ended children, in seconds."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def peak_mib() -> float:
    """Return the most memory that this process has had, in MiB, with that of its largest child."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(peaks) * KIB_OF_MAXRSS / 1024


def paths(**artifacts: Any) -> dict[str, Path]:
    """Return the paths of KFP artifacts, by name."""
    return {name: Path(artifact.path) for name, artifact in artifacts.items()}


@dataclass(frozen=True)
class Run:
    """One run of a pipeline.

    Attributes:
        home: the home that holds all state.
        id: the name of the run's folder.
        parameters: the pipeline's `config` parameter, `TrainingConfig.to_dict()`; empty where a step takes none.
        ends_process: whether a step that fails ends the process instead of raising its error.
    """

    home: Home
    id: str
    parameters: dict[str, Any]
    ends_process: bool = False

    @classmethod
    def now(cls, config: dict[str, Any] | None = None) -> "Run":
        """Return the run that a step's process belongs to: SEGUE_HOME and SEGUE_RUN_ID name it.

        They are no parameters of the steps, so that a recurring run on a cluster gets its own id, and a step with the
        same inputs is not repeated.
        """
        return cls(Home.from_env(), os.environ["SEGUE_RUN_ID"], config or {}, ends_process=True)

    @property
    def folder(self) -> RunFolder:
        """The folder that holds the run's log, records and reports."""
        return self.home.run(self.id)

    @cached_property
    def config(self) -> "TrainingConfig":
        """The run's configuration."""
        from models.training_config import TrainingConfig

        return TrainingConfig.from_dict(self.parameters)

    @contextmanager
    def step(self, module: str, number: int | None = None, reads: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Record a step in `steps/<name>.json`: its status, its result, its cost, and the cause if it fails.

        On a cluster, where the home is empty, the step finds what it reads of it, and its records are kept. If an
        earlier attempt failed for good, this attempt fails at once in the same way.

        Args:
            module: the workload's `__name__`; `workloads.build_features` is the step `build-features`.
            number: the number of a step that a pipeline runs several times: number 3 of `trial` is `trial-3`.
            reads: the parts of the home that the step reads (`stores.parts`).

        Yields:
            A dict that the workload fills with the step's result.

        Raises:
            SystemExit: the step failed, and ends the process with the exit code of its error: 1, 2 or 75.
        """
        name = module.rpartition(".")[2].replace("_", "-") + ("" if number is None else f"-{number}")
        path = self.folder.steps / f"{name}.json"
        started, cpu_started = time.monotonic(), cpu_seconds()
        result: dict[str, Any] = {}
        record: dict[str, Any] = {"step": name, "status": "running", "started": time.time(), "result": result}
        print(f"=== step {name} ===", flush=True)
        brought: dict[str, str] = {}

        def end(**how: Any) -> None:
            cost = {"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - cpu_started}
            write_json(path, record | cost | {"peak_mib": peak_mib()} | how)

        try:
            brought = records.bring(self.folder)
            earlier = read_json(path) if f"{path.parent.name}/{path.name}" in brought else {}
            record["attempt"] = earlier.get("attempt", 0) + 1
            refuse_repetition(earlier)
            write_json(path, record)
            parts.bring(self.home, *reads)
            yield result
            end(status="done")
            records.keep(self.folder, brought)
        except BaseException as error:
            self.folder.reserve.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk has no room for the log
                traceback.print_exc(file=sys.stdout)
            reason = explained(error) or SegueError(f"{type(error).__name__}: {error}")
            end(status="failed", cause=reason.headline, fix=reason.fix, exit_code=reason.exit_code)
            with suppress(SegueError):  # the error that came first is the one to tell
                records.keep(self.folder, brought)
            if self.ends_process and isinstance(error, Exception):
                raise SystemExit(reason.exit_code) from error
            raise
