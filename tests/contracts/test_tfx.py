"""TFX on Linux, with C++ libraries that are older than TFX itself."""

import importlib

import pytest

# TFX imports a component by its module's name to run it, so the component needs a module of its own.
COMPONENT = """
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component

@component
def write_text(path: Parameter[str]):
    with open(path, "w") as file:
        file.write("ran")
"""


@pytest.mark.slow  # the imports take 10 s or more
def test_a_pipeline_of_one_component_runs_locally(tmp_path, monkeypatch):
    """If this fails, TFX components cannot run in this environment."""
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    (tmp_path / "contract_component.py").write_text(COMPONENT)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("contract_component")
    target = tmp_path / "written"
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="one",
            pipeline_root=str(tmp_path / "root"),
            components=[module.write_text(path=str(target))],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "mlmd.db")),
        )
    )
    assert target.read_text() == "ran"
