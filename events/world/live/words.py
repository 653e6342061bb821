"""Words for the titles, names, descriptions and queries of worlds of version 2. They begin with those of version 1."""

from events.world import names

ADJECTIVES = (
    *names.ADJECTIVES,
    "Ancient", "Autumn", "Bitter", "Borrowed", "Brazen", "Careless", "Coastal", "Copper", "Curious", "Daring",
    "Drowsy", "Dusty", "Eager", "Early", "Endless", "Fearless", "Fleeting", "Floating", "Forgotten", "Fragile",
    "Frozen", "Glass", "Hidden", "Humble", "Idle", "Indigo", "Ivory", "Jagged", "Late", "Lucky",
    "Marble", "Mellow", "Modern", "Narrow", "Nervous", "Open", "Outer", "Pale", "Patient", "Quiet",
    "Rapid", "Reckless", "Rusty", "Sacred", "Scarlet", "Second", "Secret", "Slow", "Southern", "Spare",
    "Steady", "Stolen", "Sudden", "Summer", "Tender", "Thin", "Tired", "Twisted", "Upper", "Vacant",
    "Violet", "Wandering", "Warm", "Western", "White", "Winding", "Wooden", "Young", "Yellow", "Absent",
)  # fmt: skip
NOUNS = (
    *names.NOUNS,
    "Anchor", "Answer", "Mosaic", "Balcony", "Ballad", "Basin", "Bell", "Border", "Candle", "Canyon",
    "Castle", "Chapel", "Circle", "Cliff", "Coast", "Comet", "Needle", "Corner", "Crown", "Current",
    "Desert", "Diary", "Dream", "Echo", "Elevator", "Fable", "Ferry", "Field", "Fire", "Forest",
    "Fountain", "Frontier", "Gallery", "Gate", "Glacier", "Harvest", "Heart", "Hill", "Hour", "Hotel",
    "Journey", "Kingdom", "Ladder", "Lagoon", "Lighthouse", "Machine", "Market", "Memory", "Motel", "Mountain",
    "Ocean", "Palace", "Parade", "Passage", "Pilot", "Planet", "Postcard", "Prairie", "Promise", "Rain",
    "Raven", "Rooftop", "Sail", "Satellite", "School", "Secret", "Shoreline", "Silence", "Snow", "Sparrow",
    "Stairway", "Storm", "Street", "Telegram", "Tower",
)  # fmt: skip
FIRST_NAMES = (
    *names.FIRST_NAMES,
    "Alba", "Anton", "Beata", "Cyril", "Dalia", "Edgar", "Esme", "Fela", "Gwen", "Hana", "Igor", "Ivana",
    "Jade", "Kofi", "Leila", "Linus", "Magda", "Marek", "Noor", "Otis", "Pilar", "Rafael", "Sanna", "Theo",
    "Ulla", "Vera", "Wim", "Xenia", "Yara", "Zeno", "Amos", "Bess", "Clara", "Dov", "Enzo", "Freya",
)  # fmt: skip
LAST_NAMES = (
    *names.LAST_NAMES,
    "Abbott", "Adeyemi", "Bianchi", "Bjork", "Carver", "Cohen", "Dalgaard", "Duarte", "Egan", "Endo",
    "Fabre", "Fischer", "Gallo", "Greene", "Haddad", "Holm", "Ibarra", "Ito", "Jarvis", "Joshi",
    "Keller", "Kovacs", "Laurent", "Lowe", "Maas", "Mbeki", "Nakamura", "Nash", "Olsen", "Ortega",
    "Park", "Pereira", "Quinlan", "Ramos", "Ritter", "Sato", "Schulz", "Sharma", "Tanaka", "Thorne",
    "Urban", "Usman", "Varga", "Voss", "Walsh", "Wolff", "Yilmaz", "Young", "Zapata", "Zhou",
    "Archer", "Beck", "Costa", "Dunn", "Ferrer", "Grimm", "Hayes", "Jensen", "Kang", "Lund",
    "Marsh", "Nyberg", "Pratt", "Reyes", "Stone", "Tran",
)  # fmt: skip

# By mood, words of descriptions and queries, and what the mood suits. In the order of `moods.MOODS`.
MOOD_WORDS = (
    ("calm", "quiet", "soothing", "gentle"),
    ("energetic", "driving", "loud", "fast"),
    ("focused", "steady", "clear", "unhurried"),
    ("melancholic", "sad", "wistful", "slow"),
    ("festive", "joyful", "danceable", "bright"),
    ("curious", "unusual", "playful", "surprising"),
)
OCCASIONS = (
    ("falling asleep", "a rainy evening", "a long bath"),
    ("running", "the gym", "a fast drive"),
    ("studying", "deep work", "reading"),
    ("a broken heart", "a night alone", "looking out of the window"),
    ("a party", "cooking with friends", "dancing"),
    ("a long walk", "a train ride", "discovering something new"),
)
