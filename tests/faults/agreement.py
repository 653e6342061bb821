"""Rounds of killing commands at each moment of their writes: one invocation later all states agree.

Each round forks twice from a process that has imported everything: the first child is killed by SIGKILL before a write
that lasts, the second runs the command that follows.
"""

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from segue.settings import Home
from tests.faults.agreed import disagreements, summary
from tests.faults.kill_actions import HOMES, Action, make_home, quicken, segue
from tests.faults.moments import at_moment, die, note, watch

# What the children would import, each anew.
IMPORTED = (
    "cli.pipelines.progress",
    "feature_repo.preflight",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pipelines.training",
    "rollout.controller",
    "rollout.label_decisions",
    "rollout.reconcile",
    "workloads.monitoring.monitor",
    "workloads.monitoring.timeline",
)


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        action: what was killed.
        moment: before which write.
        hit: whether it came.
        wrong: what is wrong after one invocation, a sentence each.
    """

    action: Action
    moment: str
    hit: bool
    wrong: list[str] = field(default_factory=list)


class Rounds:
    """Rounds in copies of homes that are made once.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        for module in IMPORTED:
            import_module(module)
        self.folder = folder
        self.log = folder / "log"
        self.homes: dict[str, Home] = {}
        self.made = 0

    def moments(self, action: Action) -> list[str]:
        """Return the moments of an action, in order."""
        file = self.folder / f"moments-{self.made}"
        home = self.copy(action.home)
        ended = self.ended(action, partial(watched, home, action, note(file)))
        assert ended == 0, f"{action.name} ended with {ended}: {self.log.read_text()[-3000:]}"
        shutil.rmtree(home.root)
        every = file.read_text().splitlines()
        return every[: every.index(action.last) + 1] if action.last else every

    def expected(self, action: Action) -> list[dict[str, Any]]:
        """Return the states that may follow a kill: of the action, of the action and what follows, or of that alone."""
        states = []
        for acts, follows in ((True, False), (True, True), (False, True)):
            home = self.copy(action.home)
            calls = [partial(action.act, home)] * acts + [partial(segue, home, *action.follow)] * follows
            for call in calls:
                assert self.ended(action, call) == 0, f"{action.name}: {self.log.read_text()[-3000:]}"
            states.append(summary(home))
            shutil.rmtree(home.root)
        return states

    def run(self, action: Action, moment: str, expected: list[dict[str, Any]]) -> Round:
        """Kill an action at a moment, let one invocation follow, and look at what is there."""
        home = self.copy(action.home)
        hit = self.ended(action, partial(watched, home, action, at_moment(moment, die))) == -signal.SIGKILL
        wrong = []
        if ended := self.ended(action, partial(segue, home, *action.follow)):
            wrong.append(f"`segue {' '.join(action.follow)}` ended with {ended}: {self.log.read_text()[-2000:]}")
        wrong += disagreements(home, action.untidied)
        if (found := summary(home)) not in expected:
            wrong.append(f"it is {found}, not one of {expected}")
        shutil.rmtree(home.root)
        return Round(action, moment, hit, wrong)

    def copy(self, name: str) -> Home:
        """Return a copy of a home, which is made if it is not there yet."""
        before = HOMES[name][0]
        if before is not None and before not in self.homes:
            shutil.rmtree(self.copy(before).root)
        if name not in self.homes:
            ended = self.ended(Action("", name, name, make_home), partial(make_home, name, self.folder / "homes"))
            assert ended == 0, f"{name}: {self.log.read_text()[-3000:]}"
            self.homes[name] = Home(self.folder / "homes" / name)
        self.made += 1
        home = Home(self.folder / "rounds" / str(self.made))
        shutil.copytree(self.homes[name].root, home.root)
        return home

    def ended(self, action: Action, function: Callable[[], object]) -> int:
        """Run a function in a forked process; return its exit code, or minus the signal that ended it."""
        process = os.fork()
        if process == 0:
            status = 1
            try:
                output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(output, 1)
                os.dup2(output, 2)
                quicken(action.home)
                function()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def watched(home: Home, action: Action, at: Callable[[str], None]) -> None:
    """Act, and call a function at each moment."""
    watch(home.root, at)
    action.act(home)


def run_rounds(rounds: Rounds, actions: list[Action], times: int = 1, every: int = 1) -> Iterator[Round]:
    """Kill each action at each moment so many times, or at every n-th moment.

    Args:
        rounds: the homes.
        actions: the actions.
        times: rounds at a moment.
        every: kill at every n-th moment only.
    """
    for action in actions:
        expected = rounds.expected(action)
        for moment in rounds.moments(action)[::every]:
            for _ in range(times):
                yield rounds.run(action, moment, expected)
