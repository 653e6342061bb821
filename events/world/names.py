"""Words from which titles and names are made."""

GENRES = (
    "pop", "rock", "hip hop", "electronic", "jazz", "classical", "folk", "metal",
    "soul", "latin", "ambient", "country", "blues", "reggae", "punk", "world",
)  # fmt: skip
CONTENT_TYPES = MUSIC, PODCAST, AUDIOBOOK = ("music", "podcast", "audiobook")
COUNTRIES = ("US", "GB", "DE", "BR", "IN", "SE")
LANGUAGES = ("en", "de", "pt", "hi", "sv")
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
PLANS = ("free", "premium", "family")

ADJECTIVES = (
    "Amber", "Silent", "Golden", "Restless", "Hollow", "Electric", "Paper", "Distant", "Velvet", "Broken",
    "Northern", "Crimson", "Gentle", "Midnight", "Wild", "Faded", "Burning", "Crystal", "Lonely", "Bright",
)  # fmt: skip
NOUNS = (
    "River", "Harbour", "Mirror", "Garden", "Signal", "Horizon", "Lantern", "Season", "Shadow", "Engine",
    "Window", "Orchard", "Beacon", "Letter", "Station", "Thunder", "Feather", "Island", "Avenue", "Winter",
    "Meadow", "Carousel", "Tide", "Ember", "Bridge",
)  # fmt: skip
FIRST_NAMES = (
    "Ada", "Bruno", "Carla", "Dario", "Elin", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keira", "Lars",
    "Mina", "Nils", "Oona", "Priya", "Quinn", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Berg", "Castell", "Dufour", "Eriksen", "Falk", "Grant", "Hale", "Ivers", "Jansson", "Kaur",
    "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rao", "Silva", "Torres", "Ueda", "Vance",
    "Weiss", "Ziegler",
)  # fmt: skip


def creator_name(content_type: int, adjective: int, noun: int, first: int, last: int) -> str:
    """Return the name of a band or a musician, a podcast, or an author, made from the words at these positions."""
    if CONTENT_TYPES[content_type] == MUSIC and (adjective + noun) % 2:
        return f"The {ADJECTIVES[adjective]} {NOUNS[noun]}s"
    if CONTENT_TYPES[content_type] == PODCAST:
        return f"{NOUNS[noun]} Talk with {FIRST_NAMES[first]} {LAST_NAMES[last]}"
    return f"{FIRST_NAMES[first]} {LAST_NAMES[last]}"


def title(content_type: int, adjective: int, noun: int, number: int) -> str:
    """Return the title of an item. `number` counts the items of its creator from 1; only podcasts show it."""
    if CONTENT_TYPES[content_type] == PODCAST:
        return f"The {ADJECTIVES[adjective]} {NOUNS[noun]}, episode {number}"
    if CONTENT_TYPES[content_type] == AUDIOBOOK:
        return f"The {NOUNS[noun]} Called {ADJECTIVES[adjective]}"
    return f"{ADJECTIVES[adjective]} {NOUNS[noun]}"
