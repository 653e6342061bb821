"""Settings of a training run: frozen, validated by pydantic, read from YAML or left at their defaults."""

from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from events.schema import HEADS
from segue.yaml_settings import (
    AtLeast0,
    AtLeast1,
    Change,
    NotNegative,
    Number,
    Positive,
    Share,
    Whole,
    build,
    read_settings,
    require_known,
)

Attention = Literal["softmax", "pointwise"]
Loss = Literal["softmax", "sampled_softmax", "gbce"]
PositionWeighting = Literal["tower", "inverse_propensity", "none"]
SearchedModel = Literal["retrieval", "ranking"]
Push = Literal["auto", "stable", "canary"]
ATTENTIONS, LOSSES = get_args(Attention), get_args(Loss)

POSITIVES = {"positive": 1.0}
REWARD = {"play": 1.0, "complete": 0.5, "skip": -0.5, "like": 2.0, "add": 2.0, "choice": 0.5, "listen": 0.0}
POSITIVE_NAMES = ("positive", *HEADS)
REWARD_NAMES = tuple(REWARD)


# The largest values are far beyond what one machine trains; a slip of a digit is refused before it fills the memory.
Width = Annotated[Whole, Field(ge=1, le=4096)]
Rows = Annotated[Whole, Field(ge=1, le=2**20)]
Negatives = Annotated[Whole, Field(ge=0, le=2**20)]
Epochs = Annotated[Whole, Field(ge=1, le=10_000)]
LearningRate = Annotated[Positive, Field(le=10)]
Minutes = Annotated[NotNegative, Field(le=60 * 24 * 365)]


def weights_over(defaults: dict[str, float], names: tuple[str, ...]) -> tuple[BeforeValidator, AfterValidator]:
    """Validators of weights by name: a name that is left out keeps its default, an unknown name is refused."""

    def merge(weights: Any) -> Any:
        return {**defaults, **weights} if isinstance(weights, dict) else weights

    def check(weights: dict[str, float]) -> dict[str, float]:
        require_known(weights, names)
        if not any(weights.values()):
            raise PydanticCustomError("weights", "Input should have a weight other than 0")
        return weights

    return BeforeValidator(merge), AfterValidator(check)


def three(shares: Any) -> Any:
    """Refuse anything but three values, before pydantic reads them one by one."""
    if not isinstance(shares, list | tuple) or len(shares) != 3:
        raise PydanticCustomError("shares", "Input should be a list of three shares")
    return shares


def sum_to_one(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    """Refuse shares that do not sum to 1."""
    if abs(sum(shares) - 1) > 1e-9:
        raise PydanticCustomError("shares", "Input should be three shares that sum to 1")
    return shares


Split = Annotated[tuple[Positive, Positive, Positive], BeforeValidator(three), AfterValidator(sum_to_one)]

FORBID = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=FORBID)
class RetrievalConfig:
    """Settings of the retrieval model's training.

    Attributes:
        dim: width of the towers' output.
        batch_size: examples in a batch.
        learning_rate: learning rate of the optimizer.
        epochs: the largest number; training stops early when the held-out NDCG has not risen twice.
        minutes: the most that training may take; 0 allows what the epochs need on a machine of a third of the speed of
            two cores without AVX-512, so that only a slower machine stops early.
        uniform_negatives: items drawn uniformly for each batch, in addition to the batch's own items.
        hard_negatives: how many of the highest-scored negatives of each example count; 0 for all.
        positives: weight of each kind of positive: `positive` (as the log counts it) or a label's name. An example
            weighs the sum over all kinds that apply to it.
    """

    dim: Width = 64
    batch_size: Rows = 1024
    learning_rate: LearningRate = 2e-3
    epochs: Epochs = 12
    minutes: Minutes = 0.0
    uniform_negatives: Negatives = 512
    hard_negatives: Negatives = 0
    positives: Annotated[dict[str, NotNegative], *weights_over(POSITIVES, POSITIVE_NAMES)] = field(
        default_factory=POSITIVES.copy
    )


@dataclass(frozen=True, config=FORBID)
class RankingConfig:
    """Settings of the ranking model's training.

    Attributes:
        dim: width of the item embeddings.
        batch_size: examples in a batch.
        learning_rate: learning rate of the optimizer.
        epochs: the largest number; training stops early when the validation loss has not fallen twice.
        minutes: the most that training may take; 0 allows what the epochs need on a machine of a third of the speed of
            two cores without AVX-512, so that only a slower machine stops early.
        position_weighting: how training corrects for listeners looking less at low positions: with a `tower`, with
            `inverse_propensity` weights of the outcomes, or not at all (`none`).
        reward: weight of each head's prediction in the reward that orders candidates.
    """

    dim: Width = 32
    batch_size: Rows = 1024
    learning_rate: LearningRate = 1e-3
    epochs: Epochs = 8
    minutes: Minutes = 0.0
    position_weighting: PositionWeighting = "tower"
    reward: Annotated[dict[str, Number], *weights_over(REWARD, REWARD_NAMES)] = field(default_factory=REWARD.copy)


@dataclass(frozen=True, config=FORBID)
class SequenceConfig:
    """Settings of the sequence model's training.

    Attributes:
        dim: width of the embeddings and of the residual stream.
        blocks: layers of attention.
        heads: attention heads of each layer; they divide `dim`.
        length: entries of a history that the model reads; the feature store holds 50.
        batch_size: rows of `length` entries.
        learning_rate: learning rate of the optimizer at the start; it falls to 0 by the end.
        epochs: the largest number, for each head; 0 takes as many as make 250 steps of the log, from 12 to 100.
        minutes: the most that training may take, the generative head included.
        dropout: share of the embeddings and of each block's output that is dropped.
        attention: `softmax` or `pointwise`.
        loss: `softmax` over all items, or `sampled_softmax` or `gbce` over `negatives` sampled items.
        negatives: items drawn for each batch by the sampled losses.
        action_weight: weight of the loss that predicts the action on an item, beside the loss that predicts the item;
            0 leaves the action head out.
    """

    dim: Width = 64
    blocks: Annotated[Whole, Field(ge=1, le=64)] = 2
    heads: AtLeast1 = Field(default=2, validate_default=True)
    length: Annotated[Whole, Field(ge=1, le=1024)] = 50
    batch_size: Rows = 128
    learning_rate: LearningRate = 1e-3
    epochs: Annotated[Whole, Field(ge=0, le=10_000)] = 0
    minutes: Annotated[Minutes, Field(gt=0)] = 60.0
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    attention: Attention = "softmax"
    loss: Loss = "softmax"
    negatives: Annotated[Negatives, Field(ge=1)] = 1024
    action_weight: NotNegative = 0.0

    @field_validator("heads")
    @classmethod
    def divides_dim(cls, heads: int, info: ValidationInfo) -> int:
        """Refuse a number of heads that does not divide the width."""
        dim = info.data.get("dim", heads)  # absent if the width itself was refused
        if dim % heads:
            raise PydanticCustomError("heads", "Input should be a divisor of dim, which is {dim}", {"dim": dim})
        return heads


@dataclass(frozen=True, config=FORBID)
class Limits:
    """What a candidate must reach to be blessed.

    Attributes:
        auc: the lowest AUC of the primary head, compared with the low end of its 95 % interval.
        slice_auc: the lowest AUC in every slice that is judged.
        slice_examples: examples from which a slice is judged.
        recall_gain: the smallest gain of recall@100 over popularity, compared with the low end of its interval.
        auc_drop: how much AUC the candidate may lose against the champion.
        recall_drop: how much recall@100 the candidate may lose against the champion, as a share of the champion's;
            for retrieval and for the sequence model.
    """

    auc: Share = 0.55
    slice_auc: Share = 0.5
    slice_examples: Annotated[Whole, Field(ge=1, le=10**9)] = 500
    recall_gain: Change = 0.0
    auc_drop: Change = 0.01
    recall_drop: Change = 0.05


SEARCHABLE = tuple(dict.fromkeys(f.name for kind in (RetrievalConfig, RankingConfig) for f in fields(kind)))


def searchable(space: dict[str, list]) -> dict[str, list]:
    """Refuse a space that names a setting of neither model; `models.fitting.search` checks it against its own model."""
    require_known(space, SEARCHABLE)
    return space


@dataclass(frozen=True, config=FORBID)
class SearchConfig:
    """A search over one model's settings.

    Attributes:
        trials: models that are trained and compared; the first has the run's own settings.
        model: `retrieval` or `ranking`.
        space: the values to search, by setting: two values of a float setting are the ends of a log-uniform range,
            any other list holds choices. If empty, `models.fitting.search.SPACE` is searched.
    """

    trials: Annotated[Whole, Field(ge=1, le=1000)] = 8
    model: SearchedModel = "retrieval"
    space: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1, max_length=1000)]], AfterValidator(searchable)
    ] = field(default_factory=dict)


@dataclass(frozen=True, config=FORBID)
class TrainingConfig:
    """Settings of a training run.

    Attributes:
        seed: seed of initial weights, order of examples, samples and bootstraps; NumPy takes 32 bits.
        split: shares of the events for train, validation and test, by global time.
        half_life_days: days after which an example weighs half as much in training, back from the end of the train
            span; 0 for the same weight at any age.
        warm_start: whether models start from the weights of the served models, if those are of the same data set and
            were not trained or chosen on days that the new ones are judged on.
        push: the label that the pushed models get. `auto` is `canary` once listeners have used what was served, so that
            a roll-out tries the models first; `stable` before. The first models are stable in any case.
    """

    seed: Annotated[AtLeast0, Field(lt=2**32)] = 0
    split: Split = (0.8, 0.1, 0.1)
    half_life_days: NotNegative = 0.0
    warm_start: Annotated[bool, Field(strict=True)] = True
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    limits: Limits = field(default_factory=Limits)
    search: SearchConfig = field(default_factory=SearchConfig)
    push: Push = "auto"

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types, for a pipeline parameter; `from_dict` reads them back."""
        return {**asdict(self), "split": list(self.split)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingConfig":
        """A configuration from nested values; settings that are left out keep their defaults.

        Raises:
            InputError: an unknown name, or a value of the wrong type or out of range.
        """
        return build(cls, values, "")


def load(path: Path | None) -> TrainingConfig:
    """The configuration in a YAML file; the defaults without a file.

    Raises:
        InputError: the file is missing, empty or not YAML; an unknown name; a value of the wrong type or out of range.
    """
    if path is None:
        return TrainingConfig()
    return TrainingConfig.from_dict(read_settings(path))
