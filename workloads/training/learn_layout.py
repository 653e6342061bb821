"""Learn layout: learn Home's layout policy from the collected log, judge it off-policy, let it serve if it is no worse.

The listeners of the log are parted in two: the policy is learned from one part, and its value is estimated from the
pages of the other. So no page takes part in judging what was learned from it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from events import labels, schema
from events.dataset import load
from events.journal.joins import EXPOSURE
from segue.files import write_json
from segue.verdict import Verdict
from stores import parts
from surfaces.home.layout import LayoutPolicy
from surfaces.home.layout_record import LayoutRecord
from surfaces.home.learning import LoggedPage, between, fit
from surfaces.home.serving_policy import serving_policy
from workloads.run import Run
from workloads.training.layout_value import decisions, difference, overlap, value

LEAST_PAGES = 200  # of each part; with fewer an interval says nothing
# Steps from the serving policy towards the learned one. The first is taken that leaves enough effective pages.
STEPS = (1.0, 0.75, 0.5, 0.25, 0.1)
LEAST_EFFECTIVE = 0.4  # effective sample size, as a share of the pages; see docs/home.md for its choice
LARGEST_LOSS = 0.02  # that the interval may leave open, as a share of the logged value
SEED = 0
SHOWN_AS = pds.field(EXPOSURE.name)
COMPOSED = (pds.field("surface") == "home") & SHOWN_AS.is_valid() & (pc.struct_field(SHOWN_AS, "fallback") == 0)
CONFIRMED = pc.coalesce(pc.struct_field(SHOWN_AS, "confirmed"), False)


def step(run: Run, ingested: Path) -> bool:
    """Learn a layout policy from a run's log; return whether it serves from now on.

    Args:
        run: the pipeline run.
        ingested: the run's log.
    """
    with run.step(__name__, reads=(parts.SURFACES,)) as result:
        tables = load(ingested)
        pages = logged_pages(composed_events(tables.events_files), tables.items, run.config.ranking.reward)
        result["pages_unconfirmed"] = unconfirmed = unconfirmed_pages(tables.events_files)
        if reason := too_few(pages):
            result["skipped"] = f"{reason}, and {unconfirmed:,} that no client confirmed are left out"
            return False
        policy, verdict = learned(pages, serving_policy(run.home))
        result.update(verdict.to_dict())
        if verdict.passed:
            parts.change(run.home, parts.SURFACES, lambda: write_json(run.home.layout_policy, policy.to_dict()))
        return verdict.passed


def composed_events(files: Sequence[str]) -> pa.Table:
    """The events of Home pages that were composed and confirmed: what was seen there, and what was done.

    Only collected events have the column `exposure`; an imported log has no such pages. Fallback pages have no drawn
    layout, and are left out. The rest of the log is not held in memory.

    A page of a client that confirms nothing is in the log only if the listener did something there. Such pages would
    make every layout look better than it is, so they are left out too.

    Args:
        files: Parquet files of the log.
    """
    log = pds.dataset(files, format="parquet")
    if not says_confirmed(log.schema):
        return schema.EVENTS.append(EXPOSURE).empty_table()
    return log.to_table(filter=COMPOSED & CONFIRMED)


def unconfirmed_pages(files: Sequence[str]) -> int:
    """The number of composed Home pages in the log whose client confirmed nothing.

    Args:
        files: Parquet files of the log.
    """
    log = pds.dataset(files, format="parquet")
    if not says_confirmed(log.schema):
        return 0
    requests = log.to_table(["request_id"], filter=COMPOSED & ~CONFIRMED)["request_id"]
    return len(requests.unique())


def says_confirmed(columns: pa.Schema) -> bool:
    """Whether a log has collected pages; those that an earlier version collected do not say what was confirmed."""
    exposure = columns.field(EXPOSURE.name).type if EXPOSURE.name in columns.names else pa.null()
    return pa.types.is_struct(exposure) and exposure.get_field_index("confirmed") >= 0


def logged_pages(events: pa.Table, items: pa.Table, reward: Mapping[str, float]) -> list[LoggedPage]:
    """The pages whose layout was drawn, with the reward of each shelf.

    Pages that were decided without features are left out: they give no examples.

    Args:
        events: of Home pages.
        items: the catalogue, for the durations.
        reward: weight of each head's label in the reward of an item; a label that is not known counts 0.
    """
    seen = events.filter(pc.equal(events["action"], schema.IMPRESSION))
    if not seen.num_rows:
        return []
    names = [f"label_{head}" for head in schema.TASKS]
    weights = np.array([reward.get(head, 0.0) for head in schema.TASKS])
    examples = labels.examples(ibis.memtable(events), ibis.memtable(items)).to_pyarrow()
    values = np.column_stack([examples[name].fill_null(0.0).to_numpy() for name in names]) @ weights  # [examples]
    of_item = dict(zip(examples["event_id"].to_pylist(), values.tolist(), strict=True))
    records: dict[str, LayoutRecord] = {}
    listeners: dict[str, str] = {}
    rewards: dict[tuple[str, str], float] = {}  # by request and shelf
    for event in seen.select(["event_id", "request_id", "user_id", EXPOSURE.name]).to_pylist():
        if event["event_id"] not in of_item:
            continue
        request, exposure = event["request_id"], event[EXPOSURE.name]
        if request not in records and (record := LayoutRecord.from_scores(json.loads(exposure["scores"]))):
            records[request], listeners[request] = record, event["user_id"]
        shelf = (request, exposure["shelf"])
        rewards[shelf] = rewards.get(shelf, 0.0) + of_item[event["event_id"]]
    return [
        LoggedPage(
            record,
            np.array([rewards.get((request, record.shelf_ids[number]), 0.0) for number in record.drawn]),
            listeners[request],
        )
        for request, record in records.items()
    ]


def too_few(pages: Sequence[LoggedPage]) -> str:
    """Why the pages of a log are too few to learn and to judge a policy, in one sentence; empty if there are enough."""
    sides = parted(pages)
    if min(map(len, sides)) < LEAST_PAGES:
        need = f"a layout policy needs {LEAST_PAGES} pages to learn and as many to judge"
        return f"{need}; the log has {len(pages)} confirmed ones"
    if not all(any(page.rewards.any() for page in side) for side in sides):  # every layout would be worth as much
        need = "a layout policy needs pages with a reward to learn and to judge"
        return f"{need}; on one side no page of the log's {len(pages)} confirmed ones has any"
    return ""


def learned(pages: Sequence[LoggedPage], serving: LayoutPolicy) -> tuple[LayoutPolicy, Verdict]:
    """The policy that the pages suggest, and whether it may serve.

    Args:
        pages: of the log; several policies may have drawn them.
        serving: the policy that serves.
    """
    to_learn, to_judge = parted(pages)
    model = fit(to_learn)
    suggested = model.policy(serving.version + 1)
    share, policy = longest_step(to_learn, serving, suggested)
    log, of_serving = (decisions(to_judge, each, model, SEED) for each in (policy, serving))
    # Not with the log's mean: pages of earlier, worse policies would let a step pass that is worse than what serves.
    better, logged = difference(log, of_serving, SEED), float(np.mean([page.reward for page in to_judge]))
    limit = -LARGEST_LOSS * abs(logged)
    figures = {
        "pages_to_learn": len(to_learn),
        "pages_to_judge": len(to_judge),
        "step": share,
        "logged_value": logged,
        "value": {name: asdict(estimate) for name, estimate in value(log, SEED).items()},
        "gain": asdict(better),
    }
    reason = (
        f"a page brings {better.value:+.4f} more reward than with the policy that serves, from {better.low:+.4f} to "
        f"{better.high:+.4f} at 95 %; the lower end must be at least {limit:+.4f}; the log's pages brought {logged:.4f}"
    )
    return policy, Verdict(better.low >= limit, reason, figures, {"gain_low": limit})


def longest_step(
    pages: Sequence[LoggedPage], serving: LayoutPolicy, suggested: LayoutPolicy
) -> tuple[float, LayoutPolicy]:
    """The longest step towards the suggested policy that a log like these pages can judge, and its policy."""
    for share in STEPS:
        policy = between(serving, suggested, share)
        if overlap(pages, policy) >= LEAST_EFFECTIVE:
            break
    return share, policy


def parted(pages: Sequence[LoggedPage]) -> tuple[list[LoggedPage], list[LoggedPage]]:
    """The pages to learn from and the pages to judge by; all pages of a listener are on the same side."""
    sides: tuple[list[LoggedPage], list[LoggedPage]] = ([], [])
    for page in pages:
        sides[hashlib.sha256(f"layout {page.listener}".encode()).digest()[0] % 2].append(page)
    return sides
