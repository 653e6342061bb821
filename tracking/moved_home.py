"""MLflow's database in a home that was moved or copied: it holds the absolute paths of files."""

import sqlite3
from contextlib import closing
from pathlib import Path

PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(database: Path, artifacts: Path) -> None:
    """Let MLflow read and write the files of this home, where they were copied to, and no longer those of another home.

    MLflow itself cannot change the folder of an experiment.

    Args:
        database: MLflow's database in the home; it may be absent.
        artifacts: the folder of all files in this home.
    """
    if not database.is_file():
        return
    here = artifacts.resolve().as_uri()
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "experiments" not in tables:  # MLflow was killed while it made the database
            return
        # Segue's experiments keep their files in one folder of the home; MLflow's `Default` has a folder within it.
        places = connection.execute(
            "SELECT DISTINCT artifact_location FROM experiments WHERE name <> 'Default'"
        ).fetchall()
        for (there,) in places:
            if there == here or not there.endswith("/mlflow/artifacts"):
                continue
            for table, column in PATHS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",
                    (here, len(there) + 1, len(there) + 1, f"{there}/"),
                )
