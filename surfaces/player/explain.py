"""Why an item was shown, in words: how it was found, what in the listener's history speaks for it, and its scores.

The evidence is what the sources and models had before them. No model says which entry moved a score by how much, so the
sentences state facts of the history and claim no cause.
"""

from datetime import datetime

from surfaces.catalogue import UNKNOWN, Catalogue
from surfaces.gateway import api as gateway_api
from surfaces.hydrate import Features
from surfaces.player import api
from surfaces.player.profiles import entries, named

VERBS = {"play": "played", "skip": "skipped", "like": "liked", "add": "added"}
MOST = 2  # sentences of one kind of evidence
# Scores that the page shows, with their names in words. Heads of the ranking model are probabilities.
PROBABILITIES = {
    "play": "Will be played",
    "complete": "Will be played to the end",
    "like": "Will be liked",
    "add": "Will be added",
    "skip": "Will be skipped",
    "uncertainty": "How unsure the model is",
}
OTHERS = {
    "reward": "Reward that orders the page",
    "retrieval_score": "Fit to the listener (two-tower)",
    "sequence_score": "Fit to the session (sequence)",
    "next": "Score of the draw",
}


def explanation(why: gateway_api.Why, features: Features, catalogue: Catalogue) -> api.Explanation:
    """Why an item was shown.

    Args:
        why: what the journal keeps of the decision.
        features: of the listener; entries after the decision are left out.
        catalogue: the items.
    """
    row = catalogue.index.get(why.item_id, UNKNOWN)
    before = [entry for entry in entries(features) if entry[2] <= why.at]
    scores = [
        api.Score(name=name, value=why.scores[score], probability=why.scores[score] if score in PROBABILITIES else None)
        for score, name in (PROBABILITIES | OTHERS).items()
        if score in why.scores
    ]
    return api.Explanation(
        item=named(why.item_id, catalogue),
        at=why.at,
        sentences=why.reasons,
        evidence=evidence(row, before, catalogue) if row != UNKNOWN else [],
        scores=scores,
        chance=why.propensity,
        policy=why.policy,
        versions=why.versions,
    )


def evidence(row: int, history: list[tuple[str, str, datetime]], catalogue: Catalogue) -> list[str]:
    """Sentences on the entries of a history that have to do with an item.

    Args:
        row: of the item.
        history: item, action and time of each entry, newest first.
        catalogue: the items.
    """
    rows = catalogue.rows([item for item, _, _ in history]).tolist()
    known = [(other, action) for other, (_, action, _) in zip(rows, history, strict=True) if other != UNKNOWN]
    said = [f"You {VERBS[action]} it before." for other, action in known if other == row][:1]
    creator = catalogue.creator_ids[row]
    same = [
        f"You {VERBS[action]} “{catalogue.titles[other]}”, also by {catalogue.creators[row]}."
        for other, action in known
        if creator and catalogue.creator_ids[other] == creator and other != row
    ]
    near = [
        f"Listeners of “{catalogue.titles[other]}”, which you {VERBS[action]}, play it too."
        for other, action in known
        if action != "skip" and row in catalogue.similar[other]
    ]
    said += [*dict.fromkeys(same)][:MOST] + [*dict.fromkeys(near)][:MOST]
    for genre in catalogue.genres[row]:
        actions = [action for other, action in known if genre in catalogue.genres[other]]
        skips = actions.count("skip")
        if len(actions) > skips:
            said.append(f"{len(actions) - skips} of your last {len(known)} actions were for {genre}.")
        if skips:
            said.append(f"You skipped {genre} {'once' if skips == 1 else f'{skips} times'}, which speaks against it.")
    return said
