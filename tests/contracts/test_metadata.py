"""ML Metadata on Linux: an older build with newer dependencies."""

from typing import Any


def test_a_stored_artifact_can_be_read():
    """If this fails, TFX pipelines have no lineage and cannot run."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    mlmd: Any = metadata_store_pb2  # generated code without types
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()  # in memory
    store = metadata_store.MetadataStore(config)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="Model", properties={"epochs": mlmd.INT}))
    artifact = mlmd.Artifact(type_id=type_id, uri="models/1", properties={"epochs": mlmd.Value(int_value=3)})
    (number,) = store.put_artifacts([artifact])
    (stored,) = store.get_artifacts_by_id([number])
    assert (stored.uri, stored.properties["epochs"].int_value) == ("models/1", 3)
