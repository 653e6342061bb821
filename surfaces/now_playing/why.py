"""What changed and why, in words for the listener."""

from events import schema
from surfaces.catalogue import Catalogue
from surfaces.now_playing.skips import evidence
from surfaces.now_playing.state import Chip, SessionState

SAID = 0.8  # skips that a genre or creator stands at before the answer says so
MOST = 2  # genres, and creators, that are named
REACTIONS = {schema.PLAY: "you played", schema.LIKE: "you liked", schema.ADD: "you added"}
CHIPS = {
    "genre": "More {value}, as you asked.",
    "era": "More from {value}, as you asked.",
    "mood": "For the mood “{value}”.",
    "more_like_this": "More like “{value}”.",
    "something_new": "Less known and newer items that you have not heard.",
    "content_type": "More of the type {value}, as you asked.",
}


def why(state: SessionState, catalogue: Catalogue, undone: bool = False) -> tuple[str, ...]:
    """Sentences that say what the next items follow, the wishes first.

    Args:
        state: of the session.
        catalogue: names items and creators.
        undone: whether the request took back the last action.
    """
    genres, creators = evidence(state, catalogue)
    names = {
        str(catalogue.creator_ids[row]): str(catalogue.creators[row])
        for row in catalogue.rows([action.item_id for action in state.actions] + list(state.dislikes)).tolist()
    }
    sentences = ["As it was before your last action."] if undone else []
    sentences += [asked(chip, catalogue) for chip in state.chips]
    sentences += [f"Less {name}, because you skipped it." for name in strongest(genres)]
    sentences += [f"Less by {names.get(one) or one}, because you skipped it." for one in strongest(creators)]
    if state.dislikes:
        sentences.append(f"Never again in this session: “{catalogue.title(state.dislikes[-1])}”.")
    last = state.actions[-1] if state.actions else None
    if last and last.action in REACTIONS:
        sentences.append(f"After “{catalogue.title(last.item_id)}”, which {REACTIONS[last.action]}.")
    return tuple(sentences)


def asked(chip: Chip, catalogue: Catalogue) -> str:
    """A chip as a sentence."""
    value = catalogue.title(chip.value) if chip.kind == "more_like_this" else chip.value
    return CHIPS[chip.kind].format(value=value)


def strongest(counts: dict[str, float]) -> list[str]:
    """The names with the most skips, if they stand at enough of them."""
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return [name for name in ranked[:MOST] if counts[name] >= SAID]
