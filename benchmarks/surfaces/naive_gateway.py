"""A naive gateway: one request at a time, one synchronous call after the other, four reads of Feast.

`python -m benchmarks.surfaces.naive_gateway SERVER PORT` starts it over the home of SEGUE_HOME. It shows the same page
from the same sources, filters and models as Segue's gateway, by the same functions. FastAPI checks and writes the
answer by its response model, as FastAPI's documentation shows. A page is answered once its exposures are durable, by a
commit of its own.
"""

import sys
import uuid
from datetime import timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI

from events.journal.records import page_record
from events.journal.sqlite_keeping import SqliteKeeping
from feature_repo.feast_store import open_store
from feature_repo.online import SESSION_COLUMNS, USER_VIEWS, Listener, ViewRow, views
from segue.clock import utc_now
from segue.settings import Home
from serving.client.sync_client import Client
from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.filters.every import FILTERS
from surfaces.gateway.api import HomeAnswer, HomeRequest
from surfaces.gateway.exposures import exposures
from surfaces.gateway.pages import Decision
from surfaces.gateway.views import shelves
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_surface
from surfaces.hydrate import newest_first, with_request
from surfaces.model_inputs import item_ids, model_inputs
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Exploration, Request
from surfaces.sources.every import SOURCES
from surfaces.sources.source import ModelSource
from surfaces.versions import MODELS, RANKING, VersionSet


class NaiveGateway:
    """Answers Home.

    Args:
        home: as of the gateway.
        server: the address of the model server.
    """

    def __init__(self, home: Home, server: str) -> None:
        self.catalogue = read_catalogue(home)
        self._store = open_store(home)
        self._client = Client(server)
        described = {model: self._client.metadata(model, label="stable") for model in MODELS}
        self._versions = VersionSet(
            {model: answer["version"] for model, answer in described.items()},
            {
                model: {name: signature["inputs"] for name, signature in answer["signatures"].items()}
                for model, answer in described.items()
            },
        )
        self._surface = home_surface(LayoutPolicy(), HomeRules())
        self._journal = SqliteKeeping(home.journal)

    def home(self, user_id: str) -> dict[str, Any]:
        """A Home page as an `api.HomeAnswer`."""
        request = Request(user_id, utc_now(), exploration=Exploration(), request_id=uuid.uuid4().hex)
        context = Context(request, self._features(request), self.catalogue, self._versions)
        answers = [one for source in SOURCES for one in self._ask(source, context)]
        candidates = merge(answers, self.catalogue, self._surface.longest)
        for one in FILTERS:
            candidates = candidates.keep(one.keep(context, candidates))
        inputs = model_inputs({**context.features, **candidates.features()}, self._versions.inputs(RANKING))
        outputs = self._client.predict(RANKING, inputs, label="stable")
        page = self._surface.compose(context, candidates, {name: values[0] for name, values in outputs.items()})
        versions = dict(self._versions.versions)
        decision = Decision(request.request_id, user_id, None, request.at, "home", "home", page, versions)
        self._journal.write([page_record(exposures(decision))])
        return {
            "request_id": request.request_id,
            "level": 0,
            "degraded": [],
            "versions": versions,
            "shelves": shelves(decision, self.catalogue),
        }

    def _features(self, request: Request) -> dict[str, Any]:
        rows = []
        for name in USER_VIEWS:
            view = views()[name]
            references = [f"{name}:{feature.name}" for feature in view.features]
            answer = self._store.get_online_features(references, [{"user_id": request.user_id}])
            values = {key: column[0] for key, column in answer.to_dict().items() if key != "user_id"}
            rows.append(ViewRow(values, request.at, view.ttl or timedelta(0)))
        session = [f"session_context:{name}" for name in SESSION_COLUMNS]
        counts = self._store.get_online_features(session, [{"session_id": request.request_id}]).to_dict()
        features = newest_first(Listener(request.user_id, tuple(rows)).features_at(request.at))
        return with_request(features | {name: counts[name][0] or 0.0 for name in SESSION_COLUMNS}, request)

    def _ask(self, source: Any, context: Context) -> list[SourceAnswer]:
        if not isinstance(source, ModelSource):
            return source.find(context)
        question = source.ask(context)
        if question is None:
            return []
        inputs = model_inputs({**context.features, **question}, self._versions.inputs(source.model))
        outputs = self._client.predict(source.model, inputs, label="stable")
        return [SourceAnswer(source.name, item_ids(outputs)[0], outputs["scores"][0], source.model)]


def main(server: str, port: int) -> None:
    """Serve on loopback until the process ends."""
    gateway, app = NaiveGateway(Home.from_env(), server), FastAPI()

    @app.post("/v1/home", response_model=HomeAnswer)
    async def home(body: HomeRequest) -> dict[str, Any]:
        return gateway.home(body.user_id)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
