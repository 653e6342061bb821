"""The transcripts of the page about your own data are what its commands print, one after the other in one home."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from cli import cli
from tests.support.nano_loop import Segue
from tests.support.transcripts import transcripts, without_padding

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "own-data.md"
WALK = transcripts(PAGE)
BEFORE_TRAINING = [(arguments, printed) for arguments, printed in WALK if arguments[0] == "data"]
GETTING_STARTED = transcripts(ROOT / "docs" / "getting-started.md")
OWN_LOG = [(arguments, printed) for arguments, printed in GETTING_STARTED if arguments[:2] == ["data", "import"]]

# What differs between two runs or two machines, and what the comparison has in its place.
MASKS = (
    (r"training-\d{8}T\d{6}", "RUN"),  # the time of its start
    (r"^.* at work for \d+ s\n", ""),  # a step that has printed nothing for a while says so
    (r"(?:^\S+ +epoch \d+/\d+: .*\n)+", "EPOCHS\n"),  # losses and times; early stopping and minutes decide how many
    (r"done in \d+\.\d s", "done in TIME"),
    (r"(?:/\S*|…)/(?=\.segue)", "PATH/"),  # the working directory, which the page leaves out
    # Scores and metrics depend on the processor's vector instructions; the items of a list follow the scores.
    (r"^(For .* UTC\n(?:\W.*\n){3})((?:│.*\n)+)", lambda table: table[1] + "\n".join(re.findall(r"│ \d+ ", table[2]))),
    (r"[+-]?\b\d\.\d{3,4}\b", "FIGURE"),
    (r"[━─┏┳┓┡╇┩└┴┘]+| {2,}", " "),  # columns are as wide as their cells
)


def masked(printed: str) -> str:
    """Return a text with masks in place of what differs between two runs or two machines."""
    for pattern, mask in MASKS:
        printed = re.sub(pattern, mask, printed, flags=re.MULTILINE)
    return printed


@pytest.mark.parametrize("commands", [BEFORE_TRAINING, OWN_LOG], ids=["own data", "getting started"])
def test_checks_and_imports(tmp_path, monkeypatch, commands):
    assert commands
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    for arguments, printed in commands:
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert without_padding(done.output) == printed


@pytest.fixture
def folder():
    """An empty folder with a short path, which fits into the table of `segue status` as it does on the page."""
    with TemporaryDirectory() as path:
        yield path


@pytest.mark.slow
def test_the_whole_walk(folder, monkeypatch, one_process):
    monkeypatch.chdir(folder)
    Path("docs").symlink_to(ROOT / "docs")
    segue = Segue(Path(re.search(r"export SEGUE_HOME=(\S+)", PAGE.read_text(encoding="utf-8"))[1]))
    assert [arguments[0] for arguments, _ in WALK] == ["data"] * 4 + ["run", "recommend", "status"]
    environment = one_process() | {"COLUMNS": "80"}
    for arguments, printed in WALK:
        done = segue(*arguments, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert masked(without_padding(done.stdout)) == masked(printed)


LIST = """For u1 on home, 2026-02-15 23:19 UTC
┏━━━┳━━━━━━━┳━━━━━━━━┓
┃   ┃ title ┃ reward ┃
┡━━━╇━━━━━━━╇━━━━━━━━┩
│ 1 │ Amber │ 1.6747 │
│   │ Sea   │        │
│ 2 │ Bee   │ 1.0824 │
└───┴───────┴────────┘
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("training-20261128T171325: pushed\n", "training-20261128T171326: pushed\n", True),
        ("training-20261128T171325: pushed\n", "training-20261128T171325: stopped\n", False),
        ("push   done in 0.1 s\n", "push   done in 12.3 s\n", True),
        ("push   done in 0.1 s\n", "pull   done in 0.1 s\n", False),
        ("a   at work for 12 s\nb   done in 1.0 s\n", "b   done in 2.0 s\n", True),
        ("b   epoch 1/3: loss 1.0\n", "b   epoch 1/3: loss 2.0\nb   epoch 2/3: loss 1.0\n", True),
        ("b   at most 3 epochs\n", "b   at most 4 epochs\n", False),
        ("│ like │ 0.1117 │ 0.518–0.673 │\n", "│ like │ 0.2001 │ 0.600–0.700 │\n", True),
        ("│ like │ 0.1117 │\n", "│ skip │ 0.1117 │\n", False),
        ("gain: +0.0675\n", "gain: -0.0012\n", True),
        ("MLflow   sqlite:////a/b/.segue-x/m.db\n", "MLflow   sqlite:///…/.segue-x/m.db\n", True),
        ("models   /a/b/.segue-x/models\n", "models   …/.segue-x/model\n", False),
        ("9,034 events\n", "9,035 events\n", False),
        (LIST, LIST.replace("Amber", "Crystal").replace("─", "──"), True),
        (LIST, LIST.replace("│ 2 │ Bee   │ 1.0824 │\n", ""), False),
        (LIST, LIST.replace("title", "name "), False),
        (LIST, LIST.replace("u1", "u2"), False),
    ],
)
def test_masks_hide_what_varies_and_nothing_else(one, other, same):
    assert (masked(one) == masked(other)) == same
