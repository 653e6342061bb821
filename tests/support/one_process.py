"""Runs all steps of a pipeline in the one process that runs the pipeline, instead of each in a process of its own.

Ten processes that each import TensorFlow take more time than the steps of a nano world. The fixture `one_process`
imports this module in the process that runs the pipeline, before KFP starts there.
"""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from kfp.dsl.executor_main import executor_main
from kfp.local import subprocess_task_handler


def execute(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
    """Execute a component as `kfp.local.subprocess_task_handler.run_local_subprocess` does, in this process.

    Args:
        full_command: `sh -ec SCRIPT CODE ARGUMENT…`; the script writes the component's code to a file and executes it.
        env_vars: further environment variables.

    Returns:
        0, or the exit code of the component that fails; its traceback is in the log.
    """
    os.environ.update(env_vars or {})
    _, _, _, code, *arguments = full_command
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "ephemeral_component.py"
        program.write_text(code)
        original = sys.argv
        sys.argv = ["executor_main", "--component_module_path", str(program), *arguments]
        try:
            executor_main()
        except SystemExit as ended:
            return int(ended.code or 0)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            return 1
        finally:
            sys.argv = original
            sys.path.remove(folder)  # the executor has added it
            sys.stdout.flush()
    return 0


subprocess_task_handler.run_local_subprocess = execute
