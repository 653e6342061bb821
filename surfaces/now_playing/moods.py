"""What a mood word asks for: a heuristic table, not a model.

Genres that the catalogue does not have add nothing. `newer` and `rarer` are weights as in `wishes.Wishes`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mood:
    """Genres with the share of a chip's strength that each gets; negative ones are avoided."""

    genres: dict[str, float]
    newer: float = 0.0
    rarer: float = 0.0
    types: dict[str, float] = field(default_factory=dict)


MOODS = {
    "calm": Mood({"ambient": 1.0, "classical": 0.8, "folk": 0.5, "metal": -1.0, "punk": -1.0}),
    "focus": Mood({"ambient": 1.0, "classical": 1.0, "electronic": 0.3, "hip hop": -0.5}, types={"podcast": -1.0}),
    "sleep": Mood({"ambient": 1.0, "classical": 0.6, "metal": -1.0, "punk": -1.0, "electronic": -0.5}),
    "happy": Mood({"pop": 0.8, "soul": 0.8, "latin": 0.6, "reggae": 0.6}),
    "sad": Mood({"blues": 1.0, "folk": 0.6, "soul": 0.4, "punk": -0.5}),
    "party": Mood({"electronic": 0.8, "latin": 0.8, "hip hop": 0.8, "pop": 0.6, "ambient": -1.0}),
    "energetic": Mood({"punk": 0.8, "rock": 0.8, "electronic": 0.8, "metal": 0.6, "ambient": -1.0}),
    "workout": Mood({"electronic": 1.0, "hip hop": 0.8, "rock": 0.6, "metal": 0.4, "ambient": -1.0}),
    "angry": Mood({"metal": 1.0, "punk": 1.0, "ambient": -1.0}),
    "romantic": Mood({"soul": 1.0, "jazz": 0.6, "latin": 0.4, "metal": -1.0}),
    "road trip": Mood({"rock": 0.8, "country": 0.8, "folk": 0.4}),
    "nostalgic": Mood({"soul": 0.4, "rock": 0.4, "blues": 0.4}, newer=-1.0),
    "fresh": Mood({}, newer=1.0),
    "adventurous": Mood({"world": 0.8, "jazz": 0.4}, rarer=0.5),
}
