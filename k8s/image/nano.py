"""Train and monitor on the nano world in the image `segue:here`, each step in a container of its own, as on a cluster.

`python k8s/image/nano.py HOME` needs DOCKER_HOST, as `k8s/image/build-here` leaves it, and root, to give HOME to the
image's user. Each container runs as that user with a read-only root, without capabilities and without a network.
"""

import json
import os
import sys
from pathlib import Path

import docker
from kfp import local

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "segue:here"
USER = 10001


def strict(home: Path, run_id: str = "") -> dict:
    """The options of each container; they are those of the manifests' security contexts."""
    return {
        "user": f"{USER}:{USER}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "tmpfs": {"/tmp": "size=2g"},
        "mounts": [docker.types.Mount(target=str(home), source=str(home), type="bind")],
        "environment": {"SEGUE_HOME": str(home), "SEGUE_RUN_ID": run_id},
    }


def import_world(home: Path) -> str:
    """Import the nano world by the command of the image, and return its output."""
    command = ["segue", "data", "import", "synthetic", "--size", "nano", "--seed", "0"]
    output = docker.from_env().containers.run(IMAGE, command, remove=True, stderr=True, **strict(home))
    return output.decode()


def run(name: str, home: Path) -> dict:
    """Run the pipeline `training` or `monitoring`, and return its report."""
    from models.training_config import load
    from pipelines import PIPELINES
    from pipelines import load as load_pipeline
    from segue.settings import Home

    folder = Home.at(home).run(f"{name}-here")
    folder.artifacts.mkdir(parents=True)  # before the engine makes it, as root's
    local.init(local.DockerRunner(**strict(home, folder.path.name)), pipeline_root=str(folder.artifacts))
    pipeline = load_pipeline(PIPELINES[name])
    executors = pipeline.pipeline_spec.deployment_spec["executors"]
    for label in executors:
        executors[label]["container"]["image"] = IMAGE
    pipeline(config=load(ROOT / "tests/support/nano.yaml").to_dict())
    return json.loads(folder.report.read_text(encoding="utf-8"))


def main(home: Path) -> None:
    """Import, train, look for drift, and print the reports; exit with 1 unless models were pushed."""
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, USER, USER)
    os.umask(0)  # the folders that this process makes are for the containers to write to
    sys.path.insert(0, str(ROOT))
    print(import_world(home))
    reports = {name: run(name, home) for name in ("training", "monitoring")}
    print(json.dumps(reports, indent=2))
    print({name: report["status"] for name, report in reports.items()})
    sys.exit(0 if reports["training"]["status"] == "pushed" and reports["monitoring"]["status"] != "failed" else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
