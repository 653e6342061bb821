"""A pipeline run as its steps see it: its folder, its configuration, and the record of each step."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import EXIT_FAILED
from segue.files import write_json
from segue.os_errors import explained
from segue.settings import Home, RunFolder

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
    def of(cls, home: str, run_id: str, config: dict[str, Any] | None = None) -> "Run":
        """Return the run that a component's parameters name."""
        return cls(Home.at(home), run_id, config or {})

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
    def step(self, module: str, number: int | None = None) -> Iterator[dict[str, Any]]:
        """Record a step in `steps/<name>.json`: its status, its result, and the cause if it fails.

        Args:
            module: the workload's `__name__`; `workloads.build_features` is the step `build-features`.
            number: the number of a step that a pipeline runs several times: number 3 of `trial` is `trial-3`.

        Yields:
            A dict that the workload fills with the step's result.
        """
        name = module.rpartition(".")[2].replace("_", "-") + ("" if number is None else f"-{number}")
        path = self.folder.steps / f"{name}.json"
        started = time.monotonic()
        result: dict[str, Any] = {}
        record: dict[str, Any] = {"step": name, "status": "running", "result": result}
        write_json(path, record)
        print(f"=== step {name} ===", flush=True)
        try:
            yield result
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
            raise
        write_json(path, {**record, "status": "done", "seconds": time.monotonic() - started})
