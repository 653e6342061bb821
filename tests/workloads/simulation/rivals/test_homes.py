"""A candidate has a home of its own for as long as it is asked."""

from segue.files import write_json
from segue.settings import Home
from serving.store import model_store
from workloads.simulation.rivals import homes


def exported(folder, content):
    """A folder with the files of a SavedModel; the store does not read their contents."""
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def test_a_candidate_is_served_with_what_is_stable_beside_it(tmp_path):
    home = Home(tmp_path / "home")
    models = {name: exported(tmp_path / name, b"stable") for name in ("retrieval", "ranking")}
    model_store.push(home.models, models)
    model_store.push(home.models, {"ranking": exported(tmp_path / "other", b"candidate")}, label="canary")
    with homes.tried(home) as tried:
        assert tried is None
    split = {"number": 1, "phase": "running", "share": 0.25, "candidate": {"ranking": 2}}
    write_json(home.models / "rollout.json", {"split": split})
    with homes.tried(home) as (share, other):
        served = {
            name: (path / "saved_model.pb").read_bytes() for name, path in model_store.stable(other.models).items()
        }
        assert (share, served) == (0.25, {"retrieval": b"stable", "ranking": b"candidate"})
    assert not other.root.exists()
    write_json(home.models / "rollout.json", {"split": {**split, "phase": "taken back", "share": 0.0}})
    with homes.tried(home) as tried:
        assert tried is None
