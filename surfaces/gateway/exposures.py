"""A decision as the rows of the journal: one exposure an item shown."""

from events.journal.records import Exposure
from surfaces.gateway.pages import Decision


def exposures(decision: Decision) -> list[Exposure]:
    """The exposures of a page, in reading order; none of an empty page."""
    page = decision.page
    return [
        Exposure(
            request_id=decision.request_id,
            user_id=decision.user_id,
            session_id=decision.session_id,
            ts=decision.at,
            surface=decision.surface,
            shelf=shelf.id,
            row=item.row,
            column=item.column,
            position=item.position,
            item_id=item.item_id,
            policy=page.policy,
            policy_version=page.policy_version,
            model_versions=decision.versions,
            arms=decision.arms,
            propensity=item.propensity,
            layout_propensity=page.layout_propensity,
            scores=item.scores,
            sources=item.sources,
            fallback=page.level,
        )
        for shelf in page.shelves
        for item in shelf.items
    ]
