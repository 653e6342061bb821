"""All overlays are valid by the strict schemas of the oldest and the newest Kubernetes that Segue claims."""

import pytest
import yaml
from click.testing import CliRunner

from tests.k8s.manifests import OVERLAYS, ROOT, name_of

# Changing these changes the claim in k8s/README.md.
OLDEST, NEWEST = "1.34", "1.37"
# Kinds that operators add: Kubernetes itself has no schema of them.
CUSTOM = {
    "monitoring.coreos.com/v1 ServiceMonitor",
    "monitoring.coreos.com/v1 PrometheusRule",
    "cert-manager.io/v1 Certificate",
}


@pytest.mark.slow
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_document_is_valid_by_the_strict_schema(rendered, overlay, version):
    import kubernetes_validate

    for document in rendered[overlay]:
        if f"{document['apiVersion']} {document['kind']}" not in CUSTOM:
            assert kubernetes_validate.validate(document, version, strict=True) == version, name_of(document)


def test_a_misspelled_field_is_refused(rendered):
    import kubernetes_validate

    document = {**rendered["kind"][0], "mettadata": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, NEWEST, strict=True)


def test_the_readme_claims_these_versions():
    assert f"Kubernetes {OLDEST} to {NEWEST}" in (ROOT / "k8s/README.md").read_text(encoding="utf-8")


def test_minikube_is_kind_with_its_own_port_of_the_kubernetes_api(rendered):
    def steps(overlay):
        return next(d for d in rendered[overlay] if d["metadata"]["name"] == "segue-steps")

    others = [[d for d in rendered[o] if d["metadata"]["name"] != "segue-steps"] for o in ("kind", "minikube")]
    assert others[0] == others[1]
    assert {"port": 8443} in steps("minikube")["spec"]["egress"][-1]["ports"]


def test_both_namespaces_have_the_same_settings_and_secrets(rendered):
    for overlay in OVERLAYS:
        for kind, name in (("ConfigMap", "segue-settings"), ("Secret", "segue-secrets")):
            found = [d for d in rendered[overlay] if d["kind"] == kind and d["metadata"]["name"].startswith(name)]
            assert {d["metadata"]["namespace"] for d in found} == {"segue", "kubeflow"}
            assert found[0]["data"] == found[1]["data"]
            # Compiled steps name it without a hash.
            assert [d["metadata"]["name"] for d in found if d["metadata"]["namespace"] == "kubeflow"] == [name]


def test_production_has_no_store_in_the_cluster(rendered):
    assert not [name_of(d) for d in rendered["prod"] if d["kind"] in ("StatefulSet", "PersistentVolumeClaim")]


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_and_secrets_have_every_key_that_a_compiled_step_takes(rendered, overlay, tmp_path):
    from cli import cli

    keys = {
        (d["kind"], d["metadata"]["name"]): set(d.get("data", {}))
        for d in rendered[overlay]
        if d["metadata"].get("namespace") == "kubeflow"
    }
    assert CliRunner().invoke(cli, ["compile", "--out", str(tmp_path)]).exit_code == 0
    for file in tmp_path.glob("*.yaml"):
        _, platform = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        for executor in executors.values():
            for kind, word in (("ConfigMap", "configMap"), ("Secret", "secret")):
                for source in executor.get(f"{word}AsEnv", []):
                    asked = {pair[f"{word}Key"] for pair in source["keyToEnv"]}
                    assert asked <= keys[kind, source[f"{word}Name"]]
