"""Next-item MRR of Now Playing's ranking beside item-kNN, V-SKNN and the two-tower without a session.

Each play of a held-out session is predicted from the session so far. Items of the session are no candidates, for no
contestant. The served models know the train span; the neighbours also know validation.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from benchmarks.results import Say, machine, target
from benchmarks.surfaces.held_out_sessions import HISTORY, Entry, HeldOut, Prediction, groups, read, utc
from benchmarks.surfaces.v_sknn import DEFAULT, EXAMPLE, VSKNN
from events import schema
from models.evaluation.baselines import Interactions, ItemKNN
from models.evaluation.metrics import bootstrap_mean, rank_of_target, reciprocal_rank
from segue.settings import Home
from serving.store.model_store import served
from surfaces.candidates import SourceAnswer, merge
from surfaces.catalogue import UNKNOWN, Catalogue
from surfaces.engine.context import Context
from surfaces.home.surface import home_context
from surfaces.model_inputs import item_ids, model_inputs
from surfaces.now_playing.draw import draw
from surfaces.now_playing.next_tracks import sources
from surfaces.now_playing.queue import shaped
from surfaces.now_playing.sessions import with_session
from surfaces.now_playing.state import Action, Session, SessionState
from surfaces.now_playing.wishes import Wishes
from surfaces.read_catalogue import POPULAR_DAYS, read_catalogue
from surfaces.request import Request
from surfaces.versions import RETRIEVAL, VersionSet

BLOCK = 64  # rows of a call of a model
MOST = 1000  # items that the two-tower ranks, the most that its signature answers
NAME = "now_playing"
PEERS = ("item_knn", "item_knn_session", "v_sknn", "v_sknn_500", "two_tower_without_session")


def run(home: Home, say: Say, seed: int = 0, most_sessions: int | None = None) -> dict[str, Any]:
    """Measure every contestant on the sessions of the test span.

    Args:
        home: with an imported log, and models that were trained on its train span and pushed.
        say: prints a line of progress.
        seed: of the bootstrap and of the draws.
        most_sessions: the first sessions that are predicted; None for all.

    Returns:
        `sessions`, `predictions`, and `contestants`: for each `mrr`, its 95 % interval over sessions (`low`, `high`),
        and for the peers `ahead`, Now Playing's MRR minus theirs on the same plays, with its interval; `targets`:
        the lower bounds of the differences above 0; `machine`.
    """
    held_out = read(home, most_sessions)
    catalogue = as_of_training(read_catalogue(home), held_out)
    predictions = held_out.predictions
    say(f"{len(predictions):,} plays of {len(set(groups(predictions))):,} sessions")
    features = with_statistics(home, predictions)
    contexts = [context_of(one, given, catalogue) for one, given in zip(predictions, features, strict=True)]
    answers = ask_models(home, contexts)
    now_playing = partial(now_playing_ranks, predictions, contexts, answers)
    ranks = {
        NAME: now_playing(),
        "sequence_alone": now_playing_ranks(predictions, contexts, [given[:1] for given in answers], habits=False),
        "two_tower_with_session": now_playing_ranks(
            predictions, contexts, [given[1:] for given in answers], habits=False
        ),
        f"{NAME}_without_habits": now_playing(habits=False),
        f"{NAME}_without_skip_reaction": now_playing(reacts=False),
        f"{NAME}_without_talk_rule": now_playing(fits=False),
        f"{NAME}_drawn": now_playing(seed=seed),
        **peers(held_out, catalogue),
        "two_tower_without_session": two_tower_ranks(home, predictions, features, catalogue),
    }
    contestants = {name: measured(name, ranks, groups(predictions), seed) for name in ranks}
    for name, figures in contestants.items():
        say(f"{name}: MRR {figures['mrr']:.4f} ({figures['low']:.4f} to {figures['high']:.4f})")
    return {
        "sessions": len(set(groups(predictions))),
        "predictions": len(predictions),
        "contestants": contestants,
        "targets": {f"ahead_of_{name}": target(contestants[name]["ahead"]["low"], at_least=1e-9) for name in PEERS},
        "machine": machine("tensorflow"),
    }


def measured(name: str, ranks: dict[str, np.ndarray], sessions: np.ndarray, seed: int) -> dict[str, Any]:
    """A contestant's MRR, and Now Playing's lead over it."""
    own = reciprocal_rank(ranks[name])
    mean = bootstrap_mean(own, sessions, seed)
    figures: dict[str, Any] = {"mrr": mean.mean, "low": mean.low, "high": mean.high}
    if name != NAME:
        lead = bootstrap_mean(reciprocal_rank(ranks[NAME]) - own, sessions, seed)
        figures["ahead"] = {"mean": lead.mean, "low": lead.low, "high": lead.high}
    return figures


def as_of_training(catalogue: Catalogue, held_out: HeldOut) -> Catalogue:
    """The catalogue with the plays by hour, and the popularity in all markets, of the log before the test span."""
    by_hour, popularity = np.zeros_like(catalogue.plays_by_hour), np.zeros_like(catalogue.popularity[""])
    newest = held_out.split.validation_end - timedelta(days=POPULAR_DAYS)
    for history in held_out.histories.values():
        for entry in history:
            row, at = catalogue.index.get(entry.item_id, UNKNOWN), utc(entry.micros)
            if entry.action in schema.POSITIVE and row != UNKNOWN:
                by_hour[at.hour, catalogue.type_codes[row]] += catalogue.type_codes[row] >= 0
                popularity[row] += at >= newest
    return replace(catalogue, plays_by_hour=by_hour, popularity={"": popularity})


def history_of(entries: tuple[Entry, ...]) -> dict[str, list]:
    """Interactions as a history, newest first."""
    newest = entries[::-1][:HISTORY]
    return {
        "history_items": [entry.item_id for entry in newest],
        "history_actions": [entry.action for entry in newest],
        "history_times": [entry.micros // 1_000_000 for entry in newest],
    }


def with_statistics(home: Home, predictions: list[Prediction]) -> list[dict[str, Any]]:
    """The features of each prediction with the history before its session; daily statistics by point-in-time join."""
    from feature_repo.feast_store import published_tables, store_over
    from feature_repo.online import USER_VIEWS
    from feature_repo.training import joined_features, point_in_time_join

    keys = pa.table({
        "user_id": [one.user_id for one in predictions],
        "item_id": [one.target for one in predictions],
        "ts": pa.array([utc(one.so_far[0].micros) for one in predictions], schema.TIMESTAMP),
    })  # fmt: skip
    with store_over(published_tables(home)) as store:
        wanted = [name for name in joined_features(store) if name.split(":")[0] in USER_VIEWS]
        rows = point_in_time_join(store, keys, wanted).to_pylist()
    return [
        {
            **row,
            **history_of(one.before),
            "surface": one.so_far[-1].surface,
            "request_ts": one.asked,
        }
        for one, row in zip(predictions, rows, strict=True)
    ]


def context_of(one: Prediction, features: dict[str, Any], catalogue: Catalogue) -> Context:
    """The context of a request after the session so far."""
    request = Request(one.user_id, utc(one.so_far[-1].micros) + timedelta(seconds=1), "now_playing", k=1)
    counts = Counter(entry.action == schema.SKIP for entry in one.so_far)
    online = {**features, "session_plays": float(counts[False]), "session_skips": float(counts[True])}
    return Context(request, with_session(online, session_of(one)), catalogue, VersionSet())


def session_of(one: Prediction) -> Session:
    """The session so far."""
    actions = tuple(Action(str(n), e.item_id, e.action, utc(e.micros)) for n, e in enumerate(one.so_far))
    return Session(one.user_id, SessionState(actions))


def call(home: Home, model: str, signature: str, rows: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """The outputs of a served model for some rows."""
    import tensorflow as tf

    function = tf.saved_model.load(str(served(home.models, model))).signatures[signature]
    specs = {
        name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
        for name, spec in function.structured_input_signature[1].items()
    }
    out = []
    for first in range(0, len(rows), BLOCK):
        inputs = model_inputs(rows[first : first + BLOCK], specs)
        given = function(**{n: tf.constant(v, tf.string if v.dtype == object else v.dtype) for n, v in inputs.items()})
        arrays = {name: value.numpy() for name, value in given.items()}
        out += [{name: value[i] for name, value in arrays.items()} for i in range(len(arrays["scores"]))]
    return out


def ask_models(home: Home, contexts: list[Context]) -> list[list[SourceAnswer]]:
    """What both models answer to each of some contexts."""
    asked = []
    for source, signature in zip(sources(Wishes()), ("next", "serving_default"), strict=True):
        rows = [{**context.features, **(source.ask(context) or {})} for context in contexts]
        asked.append(
            [
                SourceAnswer(source.name, item_ids(given), given["scores"], source.model)
                for given in call(home, source.model, signature, rows)
            ]
        )
    return [list(answers) for answers in zip(*asked, strict=True)]


def now_playing_ranks(
    predictions: list[Prediction],
    contexts: list[Context],
    answers: list[list[SourceAnswer]],
    reacts: bool = True,
    fits: bool = True,
    habits: bool = True,
    seed: int | None = None,
) -> np.ndarray:
    """The rank of each play among the shaped scores; infinite if it is no candidate, `[n]`.

    Args:
        predictions: `n` plays.
        contexts: of their requests.
        answers: of both models.
        reacts: whether skips of the session weigh.
        fits: whether content types get nearer to the mix of the hour.
        habits: whether the listener's creators and saved items weigh beside the models.
        seed: of the draw; None ranks by the scores.
    """
    ranks = np.full(len(predictions), np.inf)
    for place, (one, context, given) in enumerate(zip(predictions, contexts, answers, strict=True)):
        state = session_of(one).state
        if not reacts:  # the items stay among those that are not played again
            state = replace(state, actions=tuple(replace(action, action=schema.PLAY) for action in state.actions))
        candidates = merge(given, context.catalogue)
        mix = home_context(context).content_mix if fits else {}
        if not habits:
            context = replace(context, features={})
        scores = shaped(context, state, candidates, Wishes(), mix)
        order = draw(scores, len(scores), seed + place)[0] if seed is not None else np.argsort(-scores, kind="stable")
        found = [candidates.item_ids[i] for i in order.tolist() if np.isfinite(scores[i])]
        if one.target in found:
            ranks[place] = found.index(one.target)
    return ranks


def peers(held_out: HeldOut, catalogue: Catalogue) -> dict[str, np.ndarray]:
    """The rank of each play by the peers that learn from interactions alone, `[n]` each."""
    items, predictions = len(catalogue), held_out.predictions
    listeners = {user: number for number, user in enumerate(held_out.histories)}
    known = [
        (listeners[user], catalogue.index[entry.item_id], entry.micros // 1_000_000)
        for user, history in held_out.histories.items()
        for entry in history
        if entry.action in schema.POSITIVE
    ]
    user, item, ts = (np.array(column, np.int64) for column in zip(*known, strict=True))
    knn = ItemKNN().fit(Interactions(user, item, ts, len(listeners), items))
    asked = np.array([one.asked for one in predictions])

    def by_history(*parts: Callable[[Prediction], tuple[Entry, ...]]) -> np.ndarray:
        rows = [
            [catalogue.index[e.item_id] for part in parts for e in part(one) if e.action in schema.POSITIVE]
            for one in predictions
        ]
        places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        ones = np.ones(len(places), np.float32)
        members = np.array([item for row in rows for item in row], np.int64)
        histories = csr_matrix((ones, (places, members)), (len(rows), items))
        return rank(knn.score(histories, asked), predictions, catalogue)

    past = [(at, [catalogue.index[item] for item in played]) for at, played in held_out.past.values()]
    played = [[catalogue.index[e.item_id] for e in one.so_far if e.action in schema.POSITIVE] for one in predictions]
    neighbours = {"v_sknn": VSKNN(DEFAULT, past, items), "v_sknn_500": VSKNN(EXAMPLE, past, items, power=2)}
    return {
        "item_knn": by_history(lambda one: one.before, lambda one: one.so_far),
        "item_knn_session": by_history(lambda one: one.so_far),
        **{
            name: rank(np.stack([model.scores(list(dict.fromkeys(own))) for own in played]), predictions, catalogue)
            for name, model in neighbours.items()
        },
    }


def two_tower_ranks(
    home: Home, predictions: list[Prediction], features: list[dict[str, Any]], catalogue: Catalogue
) -> np.ndarray:
    """The rank of each play by the two-tower, which knows the listener up to the session's start, `[n]`."""
    scores = np.full((len(predictions), len(catalogue)), -np.inf)
    for row, given in enumerate(call(home, RETRIEVAL, "serving_default", [{**one, "k": MOST} for one in features])):
        ids = item_ids(given)
        places = catalogue.rows(ids[ids != ""])
        scores[row, places[places >= 0]] = given["scores"][ids != ""][places >= 0]
    return rank(scores, predictions, catalogue)


def rank(scores: np.ndarray, predictions: list[Prediction], catalogue: Catalogue) -> np.ndarray:
    """The rank of each play by scores of all items `[n, items]`, without the items of its session; `[n]`."""
    scores = np.array(scores, np.float64)
    for row, one in enumerate(predictions):
        scores[row, catalogue.rows([entry.item_id for entry in one.so_far])] = -np.inf
    return rank_of_target(scores, catalogue.rows([one.target for one in predictions]).astype(np.int64))
