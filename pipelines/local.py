"""Run a pipeline with `kfp.local` in a child process, whose output is the run's log."""

import sys
from pathlib import Path

from segue.files import read_json
from segue.settings import Home, RunFolder


def main(run: RunFolder) -> None:
    """Run the pipeline that the run's request describes, each step in a process of its own."""
    from kfp import local

    from pipelines import PIPELINES, load

    request = read_json(run.request)
    pipeline = load(PIPELINES[request["pipeline"]])
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(run.artifacts))
    pipeline(home=str(Home.at(request["home"]).root), run_id=run.path.name, config=request["config"])


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])))
