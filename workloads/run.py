"""A pipeline run as its steps see it: its folder, its configuration, and the record of each step."""

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import EXIT_FAILED, SegueError
from segue.files import write_json
from segue.os_errors import explained
from segue.settings import Home, RunFolder
from stores import parts, records

if TYPE_CHECKING:
    from models.training_config import TrainingConfig


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
    """

    home: Home
    id: str
    parameters: dict[str, Any]

    @classmethod
    def now(cls, config: dict[str, Any] | None = None) -> "Run":
        """Return the run that a step's process belongs to: SEGUE_HOME and SEGUE_RUN_ID name it.

        They are no parameters of the steps, so that a recurring run on a cluster gets its own id, and a step with the
        same inputs is not repeated.
        """
        return cls(Home.from_env(), os.environ["SEGUE_RUN_ID"], config or {})

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
        """Record a step in `steps/<name>.json`: its status, its result, and the cause if it fails.

        On a cluster, where the home is empty, the step finds what it reads of it, and its records are kept.

        Args:
            module: the workload's `__name__`; `workloads.build_features` is the step `build-features`.
            number: the number of a step that a pipeline runs several times: number 3 of `trial` is `trial-3`.
            reads: the parts of the home that the step reads (`stores.parts`).

        Yields:
            A dict that the workload fills with the step's result.
        """
        name = module.rpartition(".")[2].replace("_", "-") + ("" if number is None else f"-{number}")
        path = self.folder.steps / f"{name}.json"
        started = time.monotonic()
        result: dict[str, Any] = {}
        record: dict[str, Any] = {"step": name, "status": "running", "started": time.time(), "result": result}
        print(f"=== step {name} ===", flush=True)
        brought: dict[str, str] = {}
        try:
            brought = records.bring(self.folder)
            write_json(path, record)
            parts.bring(self.home, *reads)
            yield result
            write_json(path, {**record, "status": "done", "seconds": time.monotonic() - started})
            records.keep(self.folder, brought)
        except BaseException as error:
            self.folder.reserve.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk has no room for the log
                traceback.print_exc(file=sys.stdout)
            failed = {**record, "status": "failed", "seconds": time.monotonic() - started}
            if reason := explained(error):
                cause = {"cause": reason.headline, "fix": reason.fix, "exit_code": reason.exit_code}
            else:
                cause = {"cause": f"{type(error).__name__}: {error}", "fix": "", "exit_code": EXIT_FAILED}
            write_json(path, failed | cause)
            with suppress(SegueError):  # the error that came first is the one to tell
                records.keep(self.folder, brought)
            raise
