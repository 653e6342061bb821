"""`feast apply` in the folder of the feature repository, as the README describes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import feature_repo

REPOSITORY = Path(feature_repo.__file__).parent


def test_feast_reads_only_the_module_that_holds_its_objects():
    from feast.repo_operations import get_repo_files

    assert [path.name for path in get_repo_files(REPOSITORY)] == ["repo.py"]


@pytest.mark.slow
def test_feast_apply_registers_the_services(nano, tmp_path):
    home = tmp_path / "home"
    (home / "features").mkdir(parents=True)
    (home / "features" / "tables").symlink_to(nano.tables)
    environment = os.environ | {"SEGUE_HOME": str(home), "FEAST_USAGE": "False"}

    def feast(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("feast")), *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    feast("apply")
    assert (home / "features" / "registry.db").is_file()
    listed = [line.split()[0] for line in feast("feature-services", "list").splitlines()[1:] if line]
    assert sorted(listed) == ["ranking", "retrieval"]
