"""The first models of a simulation are kept once, and a rival names the versions that answer for it."""

from segue.settings import Home
from serving.store import model_store
from workloads.simulation.rivals.first import first_home, keep_first
from workloads.simulation.rivals.values import Rival


def exported(folder, content):
    """A folder with the files of a SavedModel; the store does not read their contents."""
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def test_the_first_models_are_kept_with_the_layout_policy_of_their_time(tmp_path):
    home = Home(tmp_path / "home")
    models = {name: exported(tmp_path / name, b"first") for name in ("retrieval", "ranking")}
    model_store.push(home.models, models)
    home.surfaces.mkdir(parents=True)
    home.layout_policy.write_text("first")
    keep_first(home)
    model_store.push(home.models, {name: exported(tmp_path / f"new {name}", b"later") for name in models})
    home.layout_policy.write_text("later")
    keep_first(home)
    first = first_home(home)
    assert first.layout_policy.read_text() == "first"
    kept = model_store.stable(first.models)
    assert {name: (path / "saved_model.pb").read_bytes() for name, path in kept.items()} == dict.fromkeys(
        models, b"first"
    )


def test_a_candidate_answers_with_what_is_stable_beside_it(tmp_path):
    home = Home(tmp_path / "home")
    model_store.push(home.models, {name: exported(tmp_path / name, b"1") for name in ("retrieval", "ranking", "other")})
    model_store.push(home.models, {"ranking": exported(tmp_path / "candidate", b"2")}, label=model_store.CANARY)
    assert Rival(home, "").versions == {"retrieval": 1, "ranking": 1}
    assert Rival(home, "", {"ranking": 2, "other": 2}).versions == {"retrieval": 1, "ranking": 2}
