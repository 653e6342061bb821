"""The source `because_you_listened`: for each of the last items, what the same listeners played (item to item)."""

from events.schema import SKIP
from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.sources.source import MemorySource, listed

ANCHORS = 3  # lists, each about another item
CANDIDATES = 20  # of a list


def find(context: Context) -> list[SourceAnswer]:
    """A list for each of the newest items that the listener did not skip and that resemble others."""
    catalogue = context.catalogue
    answers: dict[int, SourceAnswer] = {}
    for row, action in zip(context.history.tolist(), context.actions, strict=True):
        if len(answers) == ANCHORS:
            break
        if row >= 0 and row not in answers and action != SKIP:
            anchor = str(catalogue.item_ids[row])
            answer = listed(
                "because_you_listened", context, catalogue.similar[row], catalogue.similarity[row], CANDIDATES, anchor
            )
            if len(answer.item_ids):
                answers[row] = answer
    return list(answers.values())


because_you_listened = MemorySource("because_you_listened", find)
