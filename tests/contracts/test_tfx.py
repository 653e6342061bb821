"""TFX: newer than the C++ libraries that it is used with here, on Linux."""

import importlib

import pytest

# A component is found again by its module's name when it runs: it needs a module that can be imported.
COMPONENT = """
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component

@component
def write_text(path: Parameter[str]):
    with open(path, "w") as file:
        file.write("ran")
"""


@pytest.mark.slow  # the imports: 10 s or more
def test_a_pipeline_of_one_component_runs_locally(tmp_path, monkeypatch):
    """If this fails, TFX components cannot be run or tried out beside our pipelines."""
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
