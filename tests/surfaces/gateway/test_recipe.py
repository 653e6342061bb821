"""The recipe of docs/surfaces.md for a source of your own, as it stands there."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import IDS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "surfaces.md"
SAME = [item for item in IDS if int(item) % 11 == 1]  # by the creator of item 1, which the listener heard last


@pytest.fixture
def source(tmp_path):
    """The source, from the file that the recipe says to save."""
    recipe = PAGE.read_text(encoding="utf-8").partition("### A source of your own")[2].partition("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", recipe, re.DOTALL)[1]
    (name,) = re.findall(r"Save it as `(\w+\.py)`", recipe)
    file = tmp_path / name
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, file.stem)


def page_with(talk, source):
    """Sources of each item of a Home page with the source, and the metrics."""

    async def conversation(client):
        surface = client.gateway.home_surface
        client.gateway.home_surface = replace(surface, sources=(*surface.sources, source))
        answer = (await client.post("/v1/home", json={"user_id": "u1", "request_id": "r"})).json()
        assert (answer["level"], answer["degraded"]) == (0, [])
        page = client.gateway.pages.decided("r").page
        return {item.item_id: item.sources for item in page.items}, (await client.get("/metrics")).text

    return talk(conversation)


def test_the_source_finds_its_items_and_has_a_metric(talk, source):
    sources, metrics = page_with(talk, source)
    found = {item for item, names in sources.items() if "same_creator" in names}
    assert found
    assert found <= set(SAME)
    assert 'segue_gateway_stages_total{surface="home",stage="same_creator",outcome="ok"} 1' in metrics


def test_it_has_a_switch(talk, world, source):
    world.off = frozenset({"same_creator"})
    sources, _ = page_with(talk, source)
    assert not any("same_creator" in names for names in sources.values())


def test_it_does_not_know_the_future(talk, world, source):
    world.now = NOW.replace(year=NOW.year - 1)  # before any release
    sources, _ = page_with(talk, source)
    assert not any("same_creator" in names for names in sources.values())
