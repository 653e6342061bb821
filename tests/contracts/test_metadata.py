"""ML Metadata: an older build on Linux."""

from typing import Any


def test_what_is_put_into_the_store_can_be_read():
    """If this fails, TFX pipelines have no lineage and cannot run."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    mlmd: Any = metadata_store_pb2  # generated code without types
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()  # in memory
    store = metadata_store.MetadataStore(config)
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model", properties={"epochs": mlmd.INT}))
    artifact = mlmd.Artifact(type_id=kind, uri="models/1", properties={"epochs": mlmd.Value(int_value=3)})
    (number,) = store.put_artifacts([artifact])
    (found,) = store.get_artifacts_by_id([number])
    assert (found.uri, found.properties["epochs"].int_value) == ("models/1", 3)
