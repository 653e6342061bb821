"""The record of each step: what a person sees of a run while it goes on, and what is left of it.

Apart from `components.base`, since `kfp.dsl` has no decorators inside a running step.
"""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segue.errors import EXIT_FAILED, SegueError
from segue.files import write_json
from segue.settings import Home


@contextmanager
def step(home: str, run_id: str, name: str) -> Iterator[dict[str, Any]]:
    """Record a step under the run's folder: running, then done or failed, with its cause and result.

    Args:
        home: the home's folder.
        run_id: the run that the step belongs to.
        name: the step's.

    Yields:
        A dict for the step's result; it is kept in `steps/<name>.json`.
    """
    path = Home.at(home).run(run_id) / "steps" / f"{name}.json"
    started = time.monotonic()
    result: dict[str, Any] = {}
    record: dict[str, Any] = {"step": name, "status": "running", "result": result}
    write_json(path, record)
    print(f"=== step {name} ===", flush=True)
    try:
        yield result
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
        failed = {**record, "status": "failed", "seconds": time.monotonic() - started}
        if isinstance(error, SegueError):
            said = {"cause": error.headline, "fix": error.fix, "exit_code": error.exit_code}
        else:
            said = {"cause": f"{type(error).__name__}: {error}", "fix": "", "exit_code": EXIT_FAILED}
        write_json(path, failed | said)
        raise
    write_json(path, {**record, "status": "done", "seconds": time.monotonic() - started})
