"""Ask the sources of one model in one call: one row of the batch for each."""

from collections.abc import Sequence

from segue.errors import InputError
from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.model_inputs import item_ids, model_inputs
from surfaces.sources.source import ModelSource
from surfaces.versions import Models

FILTERS = ("content_types", "market")


async def ask_model(models: Models, context: Context, sources: Sequence[ModelSource]) -> list[SourceAnswer]:
    """The answers of some sources of one model, in their order.

    Raises:
        InputError: the features ask for a filter that the model does not have. An answer without the filter would hold
            items that the caller excluded.
        UnavailableError, SegueError: the error of the call, unchanged.
    """
    questions = [(source, question) for source in sources if (question := source.ask(context)) is not None]
    if not questions:
        return []
    model = sources[0].model
    signature = context.versions.inputs(model)
    for name in FILTERS:
        if context.features.get(name) and name not in signature:
            raise InputError(
                f"The served {model} model cannot filter by {name!r}: its export is older than that filter.",
                "Run `segue run training`, or leave the filter out.",
            )
    batch = model_inputs([{**context.features, **question} for _, question in questions], signature)
    outputs = await models.predict(context.versions, model, batch)
    return [
        SourceAnswer(source.name, ids, scores, model)
        for (source, _), ids, scores in zip(questions, item_ids(outputs), outputs["scores"], strict=True)
    ]
