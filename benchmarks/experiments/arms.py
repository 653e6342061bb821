"""What experiments cost the gateway: the CPU of a Home page's arms, and of the settings that they change."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.experiments.log import STARTED
from experiments.definition import parse
from experiments.registry import Registry
from surfaces.arms.assigned import Experiments
from surfaces.home.arms import home_of
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.request import Exploration, Request

PAGES = 5000
SET = {"home.weights.popular": 1.0, "home.rows": 5, "home.exploration.budget": 0.2}  # each by an experiment of its own


def milliseconds_of_a_page() -> float:
    """Return the CPU milliseconds that three running experiments add to a Home page."""
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        for number, (name, value) in enumerate(SET.items()):
            definition = parse(
                {
                    "name": f"bench-{number}",
                    "hypothesis": "It costs little.",
                    "owner": "bench",
                    "layer": {"name": f"layer-{number}"},
                    "eligible": {"country": ["SE"]},
                    "arms": [
                        {"name": "control", "share": 0.5},
                        {"name": "treatment", "share": 0.5, "parameters": {name: value}},
                    ],
                    "metrics": {"success": {"play_rate": 0.02}},
                }
            )
            Registry(Path(folder)).start(definition, STARTED, "bench")
        experiments = Experiments.running_in(Path(folder))
    requests = [Request(f"u{number}", STARTED) for number in range(PAGES)]
    home = LayoutPolicy(), HomeRules(), Exploration()
    before = time.process_time()
    for request in requests:
        arms = experiments.arms("home", request, {"country": "SE"})
        assert len(arms.logged) == len(SET)
        home_of(*home, arms.parameters)
    return (time.process_time() - before) / PAGES * 1000
