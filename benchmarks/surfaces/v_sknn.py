"""V-SKNN: nearest sessions with more weight on what was played last.

Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018, section 3.3. The settings are
those of the authors' framework session-rec: the neighbours among the most recent sessions that share an item, weights
`position / length` in the session, and a neighbour's vote divided by how long ago the last shared item was played.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Setting:
    """`k` neighbours among the `sample` most recent sessions; rare items count `1 + idf_weight * idf` times."""

    k: int
    sample: int
    idf_weight: float = 0.0


DEFAULT = Setting(100, 1000)  # of the class
EXAMPLE = Setting(500, 5000, 5.0)  # of the authors' example configuration, there with quadratic weights


class VSKNN:
    """Scores items by the sessions that are like the running one.

    Args:
        setting: see `Setting`.
        sessions: the time of each past session's end, and its items, numbers from 0.
        items: number of items.
        power: of the weights in the session: 1 for `position / length`, 2 for its square.
    """

    def __init__(self, setting: Setting, sessions: list[tuple[int, list[int]]], items: int, power: int = 1) -> None:
        self.setting, self.items, self.power = setting, items, power
        newest = sorted(sessions, key=lambda session: -session[0])
        self.members = [np.unique(np.array(played, np.int64)) for _, played in newest]
        self.of_item: dict[int, list[int]] = {}
        for number, members in enumerate(self.members):
            for item in members.tolist():
                self.of_item.setdefault(item, []).append(number)
        counts = np.array([len(self.of_item.get(item, ())) or 1 for item in range(items)])
        self.boost = 1 + setting.idf_weight * np.log(max(len(newest), 1) / counts)

    def scores(self, session: list[int]) -> np.ndarray:
        """Scores of all items after a session's items, oldest first: float `[items]`."""
        out = np.zeros(self.items)
        weights = {item: ((place + 1) / len(session)) ** self.power for place, item in enumerate(session)}
        candidates = sorted({number for item in weights for number in self.of_item.get(item, ())})
        ranked = []
        for number in candidates[: self.setting.sample]:  # numbered from the most recent
            shared = {item for item in self.members[number].tolist() if item in weights}
            ranked.append((-sum(weights[item] for item in sorted(shared)) / len(weights), number, shared))
        for similarity, number, shared in sorted(ranked, key=lambda one: one[:2])[: self.setting.k]:
            steps = next(step for step, item in enumerate(reversed(session), 1) if item in shared)
            out[self.members[number]] += -similarity / steps * self.boost[self.members[number]]
        return out
