"""Settings of the stores: `segue.yaml`, and `SEGUE_…` variables over it.

One file moves every store from the parts that are embedded in the home to servers; no code changes.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from segue.errors import InputError
from segue.near_names import check_known, unknown_name
from segue.yaml_settings import read_settings

FILE = "segue.yaml"  # in the working directory, unless SEGUE_SETTINGS names another file
PREFIX = "SEGUE_"
CLUSTER = "cluster"
IN_ADDRESS = re.compile(r"(://[^:/?#@]*):[^/?#]+@")  # a user and a password
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon S3 user guide, "Bucket naming rules"
MLFLOW = "MLFLOW_TRACKING_URI"  # MLflow's own name for `tracking`
Knobs = TypeVar("Knobs")
NEEDED = ("online_store", "registry", "tracking", "objects")  # by the profile `cluster`
OTHERS = ("home", "settings", "image", "model_server", "run_id")  # variables that are no settings
OF_SERVICES = re.compile(r"(.*_)?(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+\w*)")  # Kubernetes sets them in each pod


def address(example: str, *schemes: str) -> Callable[[str], str]:
    """Return a check that a text is a URL with a host and one of the schemes."""

    def check(value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in schemes or not url.hostname:
            raise ValueError(f"be an address such as {example}")
        if url.port == 0:  # asking for the port raises ValueError above 65535
            raise ValueError("have a port from 1 to 65535")
        return value

    return check


def place(value: str) -> str:
    """Return `s3://BUCKET[/PREFIX]` without a slash at its end."""
    url = urlsplit(value)
    if url.scheme != "s3" or not BUCKET.fullmatch(url.netloc) or url.query or url.fragment:
        raise ValueError("be a bucket such as s3://segue or s3://company/segue")
    return value.rstrip("/")


def mlflow(value: str) -> str:
    """Return the address of MLflow. That of a server has a host; databases and folders have no common form."""
    return address("http://mlflow:5000", "http", "https")(value) if value.startswith(("http:", "https:")) else value


Redis = Annotated[str, AfterValidator(address("redis://redis:6379/0", "redis", "rediss"))]
PostgreSQL = Annotated[str, AfterValidator(address("postgresql://segue@postgres:5432/feast", "postgresql"))]
Http = Annotated[str, AfterValidator(address("http://objects:8333", "http", "https"))]
Tracking = Annotated[str, AfterValidator(mlflow)]
Place = Annotated[str, AfterValidator(place)]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]  # RFC 1123


class Settings(BaseSettings):
    """The settings of the stores.

    Args:
        profile: `embedded` keeps all state in the home; `cluster` keeps it in servers.
        online_store: Redis or Valkey, for the features that serving reads.
        registry: PostgreSQL, for Feast's registry.
        tracking: MLflow; a database in the home, if it is unset.
        objects: the bucket of the data, the runs' records, the reports and the models.
        objects_endpoint: the address of the S3 server; Amazon's, if it is unset.
        objects_region: the region of the S3 server.
        models: the place of the model store; `<objects>/models`, if it is unset.
        kubeflow: the address of Kubeflow Pipelines, for `--on kfp`.
        kubeflow_namespace: the namespace of runs, if the installation has several users.
        home_page: weights and limits of a Home page by name (`surfaces.home.rules.HomeRules`); see `knobs`.
        exploration: `budget` and `bonus` of a request that names no budget (`surfaces.request.Exploration`).
        alerts_webhook: the address to which `segue monitor` posts its alerts; a secret, because who has it may post.
        online_store_password, registry_password, kubeflow_token: secrets. Those of S3 and MLflow are read by boto3 and
            MLflow, from their own variables and files (AWS_ACCESS_KEY_ID, MLFLOW_TRACKING_PASSWORD, …).
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    profile: Literal["embedded", "cluster"] = "embedded"
    online_store: Redis | None = None
    registry: PostgreSQL | None = None
    tracking: Tracking | None = None
    objects: Place | None = None
    objects_endpoint: Http | None = None
    objects_region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    models: Place | None = None
    kubeflow: Http | None = None
    kubeflow_namespace: Namespace | None = None
    home_page: dict[str, float] = {}
    exploration: dict[str, float] = {}
    alerts_webhook: SecretStr | None = None
    online_store_password: SecretStr | None = None
    registry_password: SecretStr | None = None
    kubeflow_token: SecretStr | None = None

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **others):  # type: ignore[override]
        """Take the values that `read` has merged, because it also keeps the origin of each."""
        return (init_settings,)

    @property
    def clustered(self) -> bool:
        """Whether state lies in servers."""
        return self.profile == CLUSTER


SECRETS = tuple(name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation))
VARIABLES = sorted(map(str.upper, (*Settings.model_fields, *OTHERS, *(f"{name}_file" for name in SECRETS))))


@dataclass(frozen=True)
class InForce:
    """Settings, and where each came from: a variable, a file, or `default`."""

    settings: Settings
    origins: dict[str, str]


def shown(value: Any) -> str:
    """Return a setting as text for people, with every password masked."""
    if isinstance(value, SecretStr):
        return "***"
    return IN_ADDRESS.sub(r"\1:***@", str(value))


def settings() -> Settings:
    """Return the settings in force (see `read`)."""
    return read(os.environ).settings


def read(environ: Mapping[str, str]) -> InForce:
    """Read the settings: a variable goes before a secret's file, and this before `segue.yaml`.

    Args:
        environ: the variables. `EnvSettingsSource` reads those of this process, so it is `os.environ` or a part of it.

    Raises:
        InputError: a file cannot be read, a name is unknown or misspelt, a value breaks its rule, a secret stands in
            `segue.yaml`, or the profile lacks a store or does not take one.
    """
    check_variables(environ)
    file = settings_file(environ)
    layers = [values_of_file(file) if file else {}, secrets_of_files(environ), variables(environ)]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for layer in layers:
        for name, (value, origin) in layer.items():
            values[name], origins[name] = value, origin
    try:
        made = Settings(**values)
    except ValidationError as refused:
        raise explained(refused.errors()[0], origins) from None
    check_profile(made, origins)
    if made.objects and not made.models:
        made = made.model_copy(update={"models": f"{made.objects}/models"})
        origins["models"] = "objects"
    return InForce(made, origins)


def check_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable `SEGUE_…` that is almost the name of a known one, because it would have no effect.

    Names that are like no known one stay: other programs may have variables of this form.

    Raises:
        InputError: there is one.
    """
    for variable in (name.upper() for name, value in environ.items() if value):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in VARIABLES or OF_SERVICES.fullmatch(name):
            continue
        if get_close_matches(name, VARIABLES):
            raise unknown_name("variable", name, VARIABLES, PREFIX)


def knobs(kind: type[Knobs], name: str) -> Knobs:
    """Return a dataclass of numbers with the values of a setting; what the setting does not name keeps its default.

    Args:
        kind: the dataclass; it may raise InputError for a number outside its range.
        name: of the setting, a mapping of the dataclass's names to numbers.

    Raises:
        InputError: a name is unknown, or a value is no number or breaks its rule.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
    values = getattr(settings(), name)
    for key in values:
        check_known(f"number of {name}", key, known)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as refused:
        error = refused.errors()[0]
        raise InputError(
            f"{name}.{error['loc'][0]} breaks a rule: {error['msg']}. Received {error['input']!r}.",
            f"Correct it in {FILE}, or in {PREFIX}{name.upper()}.",
        ) from None


def settings_file(environ: Mapping[str, str]) -> Path | None:
    """Return the settings file: the one that SEGUE_SETTINGS names, or `segue.yaml` if it exists, or None."""
    named = environ.get("SEGUE_SETTINGS")
    if named:
        return Path(named).resolve()
    return Path(FILE).resolve() if Path(FILE).is_file() else None


def values_of_file(file: Path) -> dict[str, tuple[Any, str]]:
    """Read the values of a settings file, without secrets."""
    values = read_settings(file)
    if not isinstance(values, dict):
        raise InputError(f"{file} must be a mapping of settings.", "Write `name: value` lines.")
    for name, value in values.items():
        check_known("setting", str(name), Settings.model_fields)
        if name in SECRETS or IN_ADDRESS.search(str(value)):
            secret = name if name in SECRETS else f"{name}_password"
            raise InputError(
                f"A secret does not stand in a settings file. {file} has one under {name}.",
                f"Set {PREFIX}{secret.upper()}, or name a file that holds it by {PREFIX}{secret.upper()}_FILE.",
            )
    return {name: (value, str(file)) for name, value in values.items() if value is not None}


def secrets_of_files(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Read the secrets whose files are named by variables such as SEGUE_REGISTRY_PASSWORD_FILE."""
    found = {}
    for name in SECRETS:
        file = environ.get(f"{PREFIX}{name}_FILE".upper())
        if file:
            try:
                found[name] = (Path(file).read_text(encoding="utf-8").rstrip("\r\n"), file)
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(
                    f"The file of the secret {name} cannot be read: {error}.",
                    f"Correct {PREFIX}{name.upper()}_FILE, or the rights of the file.",
                ) from None
    return found


def variables(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Read the variables of settings."""
    try:
        values = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise InputError(
            f"A variable of a setting with several numbers is a JSON object: {error}.",
            f"""Write it like {PREFIX}HOME_PAGE='{{"diversity": 0.5}}'.""",
        ) from None
    found = {name: (value, f"{PREFIX}{name}".upper()) for name, value in values.items()}
    if "tracking" not in found and environ.get(MLFLOW):
        found["tracking"] = (environ[MLFLOW], MLFLOW)
    return found


def explained(error: ErrorDetails, origins: Mapping[str, str]) -> InputError:
    """Return one of pydantic's errors with the setting, its origin, the rule and the fix. Secrets are not shown."""
    name = str(error["loc"][0])
    rule = re.sub(r"^(Value error, |\w+ should )", "", error["msg"])
    received = "a secret" if name in SECRETS else repr(shown(error["input"]))
    return InputError(f"{name} must {rule}. Received {received}.", f"Correct it in {origins[name]}.")


def check_profile(made: Settings, origins: Mapping[str, str]) -> None:
    """Check that the profile `cluster` has all its stores, and that `embedded` has none of them.

    Raises:
        InputError: a store is missing, or none belongs there.
    """
    if made.clustered:
        missing = [name for name in NEEDED if not getattr(made, name)]
        if missing:
            raise InputError(
                f"The profile cluster needs {', '.join(NEEDED)}. Missing: {', '.join(missing)}.",
                f"Add them to {FILE}, or set {', '.join(f'{PREFIX}{name}'.upper() for name in missing)}.",
            )
        return
    for name in ("online_store", "registry", "objects", "models"):
        if getattr(made, name):
            raise InputError(
                f"The profile embedded keeps its stores in the home. {name} is set by {origins[name]}.",
                "Write `profile: cluster`, or remove it.",
            )
