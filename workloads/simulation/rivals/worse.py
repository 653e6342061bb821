"""A deliberately worse candidate: the stable models with the reward turned around, so that the worst comes first."""

import shutil
from pathlib import Path

from models.saved.card import CARD
from segue.settings import Home
from serving.store import model_store

EXTRA = Path(CARD).parent  # the folder of the card, the warm-up requests and the codes


def push_worse(home: Home, folder: Path) -> int:
    """Push a worse candidate to `canary`, and return its version.

    Args:
        home: the home, whose stable models are copied.
        folder: an empty folder for the damaged ranking model.
    """
    stable = model_store.stable(home.models)
    turn_around(stable["ranking"], folder / "ranking")
    return model_store.push(home.models, {**stable, "ranking": folder / "ranking"}, label=model_store.CANARY)


def turn_around(ranking: Path, out: Path) -> None:
    """Write a copy of a ranking model whose reward has the other sign; the heads stay."""
    import tensorflow as tf

    model = tf.saved_model.load(str(ranking))
    rank = model.signatures["serving_default"]

    def worst_first(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = rank(**inputs)
        return {**answer, "reward": -answer["reward"]}

    _, specs = rank.structured_input_signature
    turned = tf.function(worst_first, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(model, str(out), signatures={**model.signatures, "serving_default": turned})
    shutil.copytree(ranking / EXTRA, out / EXTRA, dirs_exist_ok=True)
