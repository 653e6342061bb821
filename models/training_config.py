"""What a training run may be told: one frozen configuration, read from YAML or left at its defaults."""

import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any

from segue.errors import InputError

ATTENTIONS = ("softmax", "pointwise")
LOSSES = ("softmax", "sampled_softmax", "gbce")
POSITION_WEIGHTINGS = ("tower", "inverse_propensity", "none")


@dataclass(frozen=True)
class RetrievalConfig:
    """What training retrieval takes.

    Attributes:
        dim: width of the towers' output.
        epochs: at most; training stops when the held-out NDCG has not risen twice.
        minutes: of training, at most; 0 makes them of the examples, so that none but a slow machine stops early.
        uniform_negatives: items drawn uniformly for each batch, beside the batch's own.
        hard_negatives: how many of the best-scored negatives of each example count; 0 for all.
        positives: what is learned from, by weight: `positive` (what the log counts as one), or a label's name.
            An example weighs the sum over what holds of it.

    Raises:
        InputError: minutes below 0.
    """

    dim: int = 64
    batch_size: int = 1024
    learning_rate: float = 2e-3
    epochs: int = 12
    minutes: float = 0.0
    uniform_negatives: int = 512
    hard_negatives: int = 0
    positives: dict[str, float] = field(default_factory=lambda: {"positive": 1.0})

    def __post_init__(self) -> None:
        demand_minutes("retrieval", self.minutes)


def demand_minutes(model: str, minutes: float) -> None:
    """Refuse a time that is none.

    Raises:
        InputError: it is below 0 or not finite.
    """
    if not 0 <= minutes < math.inf:
        raise InputError(f"{model}.minutes must be at least 0. Received {minutes}.", "0 makes them of the examples.")


@dataclass(frozen=True)
class RankingConfig:
    """What training ranking takes.

    Attributes:
        dim: width of the item embeddings.
        epochs: at most; training stops when the validation loss has not fallen twice.
        minutes: of training, at most; 0 makes them of the examples, so that none but a slow machine stops early.
        position_weighting: what is done about positions being looked at unequally: a `tower` in training,
            `inverse_propensity` weights of the outcomes, or `none`.
        reward: weight of each head's prediction in the reward that orders candidates.

    Raises:
        InputError: an unknown position weighting, or minutes below 0.
    """

    dim: int = 32
    batch_size: int = 1024
    learning_rate: float = 1e-3
    epochs: int = 8
    minutes: float = 0.0
    position_weighting: str = "tower"
    reward: dict[str, float] = field(
        default_factory=lambda: {
            "play": 1.0, "complete": 0.5, "skip": -0.5, "like": 2.0, "add": 2.0, "choice": 0.5, "listen": 0.0,
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        demand_minutes("ranking", self.minutes)
        if self.position_weighting not in POSITION_WEIGHTINGS:
            raise InputError(
                f"position_weighting is one of {', '.join(POSITION_WEIGHTINGS)}. Received {self.position_weighting!r}.",
                "Choose one.",
            )


@dataclass(frozen=True)
class SequenceConfig:
    """What training the sequence model takes.

    Attributes:
        dim: width of the embeddings and of the residual stream.
        blocks: layers of attention.
        heads: of each.
        length: entries of a history that are read; the feature store holds 50.
        batch_size: rows of `length` entries.
        epochs: at most; the learning rate falls to 0 by then.
        minutes: of training, at most, the generative head's among them.
        dropout: of embeddings and of what each block adds.
        attention: `softmax` or `pointwise`.
        loss: `softmax` over all items, or over `negatives` sampled ones: `sampled_softmax`, `gbce`.
        negatives: items drawn for each batch by the sampled losses.
        action_weight: of the loss by which the model learns what is done with an item, beside that of which item it
            is; 0 leaves the action head out.

    Raises:
        InputError: an unknown attention or loss, a width that the heads do not divide, or a figure out of range.
    """

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    epochs: int = 100
    minutes: float = 60.0
    dropout: float = 0.2
    attention: str = "softmax"
    loss: str = "softmax"
    negatives: int = 1024
    action_weight: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("attention", ATTENTIONS), ("loss", LOSSES)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"sequence.{name} is one of {', '.join(known)}. Received {getattr(self, name)!r}.", "Choose one."
                )
        for name in (
            "dim",
            "blocks",
            "heads",
            "length",
            "batch_size",
            "learning_rate",
            "epochs",
            "minutes",
            "negatives",
        ):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"sequence.{name} must be above 0. Received {getattr(self, name)}.", "Raise it.")
        if not 0 <= self.action_weight < math.inf:
            raise InputError(
                f"sequence.action_weight must be at least 0. Received {self.action_weight}.", "0 leaves the head out."
            )
        if not 0 <= self.dropout < 1:
            raise InputError(
                f"sequence.dropout is a share below 1. Received {self.dropout}.", "Leave it out, or lower it."
            )
        if self.dim % self.heads:
            raise InputError(
                f"sequence.heads must divide sequence.dim. Received {self.heads} and {self.dim}.", "Change one of them."
            )


@dataclass(frozen=True)
class Limits:
    """What a candidate must reach to be blessed.

    Attributes:
        auc: the least AUC of the primary head, by the low end of its 95 % interval.
        slice_auc: the least AUC in every slice that is judged.
        slice_examples: examples from which a slice is judged.
        recall_gain: the least gain of recall@100 over popularity, by the low end of its interval.
        auc_drop: how much AUC the candidate may lose against the champion.
        recall_drop: how much recall@100 it may lose against the champion, as a share of the champion's; of retrieval
            and of the sequence model alike.
    """

    auc: float = 0.55
    slice_auc: float = 0.5
    slice_examples: int = 500
    recall_gain: float = 0.0
    auc_drop: float = 0.01
    recall_drop: float = 0.05


# A list of values for each setting of retrieval and ranking; `models.fitting.search` knows which model has which.
SearchSpace = make_dataclass(
    "SearchSpace",
    [
        (name, list, field(default_factory=list))
        for name in dict.fromkeys(f.name for kind in (RetrievalConfig, RankingConfig) for f in fields(kind))
    ],
    frozen=True,
)


@dataclass(frozen=True)
class SearchConfig:
    """A search for a model's settings.

    Attributes:
        trials: models that are trained and compared; the first has the run's own settings.
        model: `retrieval` or `ranking`.
        space: what is searched, by setting: two values of a float setting are the ends of a log-uniform
            range, all else is a list of choices. Empty: `models.fitting.search.SPACE`.
    """

    trials: int = 8
    model: str = "retrieval"
    space: SearchSpace = field(default_factory=SearchSpace)  # type: ignore[valid-type]


@dataclass(frozen=True)
class TrainingConfig:
    """A training run.

    Attributes:
        seed: of initial weights, order of examples, samples and bootstraps.
        split: shares of the events for train, validation and test, by global time.
        warm_start: whether models start from the weights of those that are served, if those are of the same data set.
    """

    seed: int = 0
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    warm_start: bool = True
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    limits: Limits = field(default_factory=Limits)
    search: SearchConfig = field(default_factory=SearchConfig)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for a pipeline parameter; `from_dict` reads it back."""
        return {**asdict(self), "split": list(self.split)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """A configuration from nested values; what is left out keeps its default.

        Raises:
            InputError: an unknown name, or a value of the wrong type.
        """
        return build(cls, values, "")


def build(kind: type, values: Any, where: str) -> Any:
    """Build a dataclass from a mapping, level by level; pipeline parameters bring integers as floats."""
    if not isinstance(values, dict):
        raise InputError(f"{where or 'The configuration'} must be a mapping; it is {values!r}.", "See `segue run`.")
    known = {f.name: f for f in fields(kind)}
    default = kind()
    given = {}
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        if name not in known:
            raise InputError(f"There is no setting {path!r}.", f"The settings are: {', '.join(known)}.")
        given[name] = convert(getattr(default, name), value, path)
    return kind(**given)


def convert(default: Any, value: Any, path: str) -> Any:
    """Bring a value to the type of its default."""
    if is_dataclass(default):
        return build(type(default), value, path)
    try:
        if isinstance(default, tuple):
            return tuple(float(v) for v in value)
        if isinstance(default, dict):
            return {**default, **{str(k): float(v) for k, v in value.items()}}
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise ValueError
            return value
        if isinstance(default, int) and float(value) != int(value):
            raise ValueError
        return type(default)(value)
    except (TypeError, ValueError, AttributeError):
        raise InputError(
            f"{path} takes a value like {default!r}. Received {value!r}.", "Correct the configuration file."
        ) from None


def load(path: Path | None) -> TrainingConfig:
    """The configuration in a YAML file; the defaults without one.

    Raises:
        InputError: no such file, no YAML, an unknown name, a value of the wrong type.
    """
    import yaml

    if path is None:
        return TrainingConfig()
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"The configuration {path} cannot be read: {error}.", "Give a YAML file.") from None
    return TrainingConfig.from_dict(values)
