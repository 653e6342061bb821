"""segue.yaml and the variables over it: what is in force, where it comes from, and what is refused."""

from dataclasses import dataclass

import pytest

from segue.errors import InputError
from stores.settings import SECRETS, knobs, read, shown

CLUSTER = """\
profile: cluster
online_store: redis://redis:6379/0
registry: postgresql://segue@postgres:5432/feast
tracking: http://mlflow:5000
objects: s3://segue
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No settings but those of the test."""
    for name in (
        "SEGUE_PROFILE",
        "SEGUE_SETTINGS",
        "SEGUE_TRACKING",
        "MLFLOW_TRACKING_URI",
        "SEGUE_OBJECTS",
        "SEGUE_HOME_PAGE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def in_force(monkeypatch, **variables):
    """Read the settings with variables set."""
    import os

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read(os.environ)


def test_without_a_file_all_state_is_in_the_home(monkeypatch):
    """If this fails, a laptop needs a settings file."""
    found = in_force(monkeypatch)
    assert (found.settings.profile, found.settings.clustered) == ("embedded", False)
    assert set(found.origins.values()) == {"default"}


def test_a_file_names_the_stores_and_a_variable_goes_over_it(monkeypatch, tmp_path):
    """If this fails, a setting has no effect, or its origin is told wrongly."""
    (tmp_path / "segue.yaml").write_text(CLUSTER + "objects_endpoint: http://objects:8333\n")
    found = in_force(monkeypatch, SEGUE_ONLINE_STORE="rediss://cache:6380/1", SEGUE_REGISTRY="")
    assert found.settings.online_store == "rediss://cache:6380/1"
    assert found.settings.registry == "postgresql://segue@postgres:5432/feast"  # an empty variable is unset
    assert found.settings.models == "s3://segue/models"
    file = str(tmp_path / "segue.yaml")
    assert [found.origins[name] for name in ("online_store", "registry", "models", "objects_region")] == [
        "SEGUE_ONLINE_STORE",
        file,
        "objects",
        "default",
    ]


def test_segue_settings_names_another_file(monkeypatch, tmp_path):
    """If this fails, a pod cannot mount its settings elsewhere."""
    (tmp_path / "other.yaml").write_text(CLUSTER)
    assert in_force(monkeypatch, SEGUE_SETTINGS=str(tmp_path / "other.yaml")).settings.clustered
    with pytest.raises(InputError, match="cannot be read"):
        in_force(monkeypatch, SEGUE_SETTINGS=str(tmp_path / "missing.yaml"))


def test_mlflows_own_variable_is_an_alias(monkeypatch):
    """If this fails, an address in MLFLOW_TRACKING_URI is ignored, or goes over Segue's own."""
    found = in_force(monkeypatch, MLFLOW_TRACKING_URI="http://mlflow:5000")
    assert (found.settings.tracking, found.origins["tracking"]) == ("http://mlflow:5000", "MLFLOW_TRACKING_URI")
    assert in_force(monkeypatch, SEGUE_TRACKING="http://own:5000").settings.tracking == "http://own:5000"


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_come_from_a_variable_or_a_file_and_are_never_shown(monkeypatch, tmp_path, secret):
    """If this fails, a secret is lost or printed."""
    variable = f"SEGUE_{secret.upper()}"
    (tmp_path / "secret").write_text("hunter2\n")
    from_file = in_force(monkeypatch, **{f"{variable}_FILE": str(tmp_path / "secret")})
    assert getattr(from_file.settings, secret).get_secret_value() == "hunter2"
    assert "hunter2" not in repr(from_file)
    from_variable = in_force(monkeypatch, **{variable: "hunter3"})
    assert getattr(from_variable.settings, secret).get_secret_value() == "hunter3"
    assert from_variable.origins[secret] == variable
    assert shown(getattr(from_variable.settings, secret)) == "***"


def test_passwords_in_addresses_are_masked():
    """If this fails, `segue settings` prints a password."""
    assert shown("postgresql://u:p%40ss@host/db") == "postgresql://u:***@host/db"
    assert shown("postgresql://:p@w@[host") == "postgresql://:***@[host"  # also in an address that is none
    assert shown("s3://segue") == "s3://segue"
    assert shown("redis://redis:6379/0?a=b@c") == "redis://redis:6379/0?a=b@c"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("objets: s3://segue\n", "no setting 'objets'"),
        ("profile: clustr\n", "profile must"),
        ("- profile\n", "must be a mapping"),
        (CLUSTER.replace("objects: s3://segue\n", ""), "Missing: objects"),
        (CLUSTER.replace("redis://", "http://"), "online_store must be an address such as redis://"),
        (CLUSTER.replace("postgresql://segue@", "postgresql://segue:pw@"), "A secret does not stand in"),
        (CLUSTER + "registry_password: pw\n", "A secret does not stand in"),
        (CLUSTER.replace("6379", "99999"), "online_store must"),
        (CLUSTER.replace("6379", "0"), "have a port from 1"),
        (CLUSTER.replace("redis://redis:6379/0", "redis://"), "online_store must"),
        (CLUSTER.replace("s3://segue", "s3://Se_gue"), "objects must be a bucket"),
        (CLUSTER.replace("s3://segue", "/mnt/segue"), "objects must be a bucket"),
        (CLUSTER + "objects_endpoint: objects:8333\n", "objects_endpoint must be an address"),
        (CLUSTER.replace("cluster", "embedded"), "keeps its stores in the home"),
        (CLUSTER.replace("http://mlflow:5000", "[1]"), "tracking must"),
        (CLUSTER.replace("http://mlflow:5000", "http://:5000"), "tracking must be an address such as http://mlflow"),
        (CLUSTER.replace("http://mlflow:5000", "http://mlflow:99999"), "tracking must"),
        (CLUSTER.replace("redis://redis", "redis://[redis"), "online_store must"),
    ],
)
def test_what_is_wrong_is_said_with_its_fix(monkeypatch, tmp_path, text, words):
    """If this fails, a mistake in the settings is taken, or told without the rule."""
    (tmp_path / "segue.yaml").write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        in_force(monkeypatch)
    assert refused.value.fix
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SEGUE_HOEM", "SEGUE_HOME"),
        ("SEGUE_ONLINE_STOR", "SEGUE_ONLINE_STORE"),
        ("segue_profil", "SEGUE_PROFILE"),
        ("SEGUE_WEBHOOK", "SEGUE_ALERTS_WEBHOOK"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest_one(monkeypatch, variable, meant):
    """If this fails, a variable with a slip in its name has no effect, and nobody hears of it."""
    with pytest.raises(InputError, match=f"no variable '{variable.upper()}'") as refused:
        in_force(monkeypatch, **{variable: "secret"})
    assert f"Did you mean {meant}" in refused.value.fix
    assert "secret" not in str(refused.value)


def test_variables_of_others_are_left_alone(monkeypatch):
    """If this fails, a service of Kubernetes or a program with a variable `SEGUE_…` of its own stops every command."""
    links = {"SEGUE_MODEL_SERVER_PORT": "tcp://10.0.0.1:8500", "SEGUE_MODELS_SERVICE_PORT_HTTP": "80"}
    assert not in_force(monkeypatch, SEGUE_ENGINE="/srv", SEGUE_PROFIL="", **links).settings.clustered


@dataclass(frozen=True)
class Rules:
    """A stand-in for the weights of a page."""

    rows: int = 7
    diversity: float = 0.3


def test_numbers_of_a_page_are_settings_too(monkeypatch, tmp_path):
    (tmp_path / "segue.yaml").write_text("home_page: {rows: 5}\n")
    assert knobs(Rules, "home_page") == Rules(5, 0.3)
    monkeypatch.setenv("SEGUE_HOME_PAGE", '{"diversity": 0.5}')  # a variable goes over the file, as a whole
    assert knobs(Rules, "home_page") == Rules(7, 0.5)
    assert knobs(Rules, "exploration") == Rules()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"diversty": 0.5}', "Did you mean diversity"),
        ('{"rows": 5.5}', "home_page.rows breaks a rule"),
        ('{"rows": "many"}', "home_page must be a valid number"),
        ("[1", "JSON object"),
    ],
)
def test_a_wrong_number_of_a_page_is_named(monkeypatch, value, words):
    monkeypatch.setenv("SEGUE_HOME_PAGE", value)
    with pytest.raises(InputError) as refused:
        knobs(Rules, "home_page")
    assert words in refused.value.headline + refused.value.fix
