"""Dependencies point one way: the arrows of the design, read from imports and from the strings that name modules."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOMAIN = {"events", "experiments", "feature_repo", "models", "serving", "surfaces", "monitoring", "tracking"}
ROOMS = DOMAIN | {"stores", "workloads", "components", "pipelines", "benchmarks", "cli", "segue", "rollout"}
MOST_FILES = 15  # of a room; more ask for sub-rooms

# The modules of ours that each room may import, beside its own. Design: docs/contributing.md.
ARROWS = {
    "segue": set(),
    "stores": {"segue"},
    "events": {"segue", "stores"},
    "models": {"segue", "events.schema"},
    "feature_repo": {"segue", "stores", "events"},
    "serving": {"segue", "stores"},
    "experiments": {"segue", "events"},
    "surfaces": {"segue", "serving", "feature_repo", "events", "experiments"},
    "monitoring": {"segue", "events"},
    "tracking": {"segue", "stores"},
    "workloads": {"segue", "stores", *DOMAIN},
    "components": {"segue", "workloads"},
    "pipelines": {"segue", "stores", "workloads", "components"},
    "rollout": {"segue", "stores", "serving", "experiments", "events", "surfaces", "workloads"},
    "cli": {"segue", "stores", *DOMAIN, "workloads", "pipelines", "rollout", "benchmarks"},
    "benchmarks": {"segue", *DOMAIN, "workloads", "pipelines", "rollout"},
}


def is_typing_only(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:` — nothing in it is imported when the program runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def names_of(node: ast.AST, package: str) -> set[str]:
    """The modules that an import statement names; `from a import b` names `a.b`, which may be a module."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*up, *([node.module] if node.module else [])])
        return {f"{base}.{alias.name}" for alias in node.names}
    return set()


def imports(source: str, package: str, functions: bool = True) -> set[str]:
    """Modules of ours that a module imports; also inside functions, if so asked."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        found |= {name for name in names_of(node, package) if name.split(".")[0] in ROOMS}
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not functions
        if not deferred and not (is_typing_only(node) and not functions):
            pending += ast.iter_child_nodes(node)
    return found


def within(name: str, allowed: set[str]) -> bool:
    """Whether a module is one of `allowed`, or inside of one."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in allowed)


def modules(room: str) -> dict[str, tuple[str, str]]:
    """The sources of a room, and the package that relative imports start from, by module."""
    found = {}
    for path in sorted((ROOT / room).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package = ".".join(parts[:-1])
        found[".".join(parts).removesuffix(".__init__")] = (path.read_text(encoding="utf-8"), package)
    return found


def named_in_strings(source: str) -> set[str]:
    """Modules of ours that a string names: `python -m a.b`, `a.b:function`, or code in a string."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    targets = [match[1] for text in texts if (match := re.fullmatch(r"([a-z_]+(?:\.[a-z_]+)*)(?::\w+)?", text))]
    targets += [name for text in texts for name in re.findall(r"\b(?:from|import) ([a-z_]+(?:\.[a-z_]+)*)", text)]
    return {name for name in targets if name.split(".")[0] in ROOMS and "." in name and is_module(name)}


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of ours."""
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_arrows(room):
    for module, (source, package) in modules(room).items():
        for name in imports(source, package) | named_in_strings(source):
            assert within(name, {room, *ARROWS[room]}), f"{module} reaches {name}"


def test_nothing_imports_itself_round_a_circle():
    sources = {module: source for room in ROOMS for module, source in modules(room).items()}
    graph: dict[str, set[str]] = {}
    for module, (source, package) in sources.items():
        names = imports(source, package, functions=False)
        graph[module] = {next((n for n in (name, name.rpartition(".")[0]) if n in sources), module) for name in names}
        graph[module].discard(module)
    while leaves := [module for module, needed in graph.items() if not needed & set(graph)]:
        for module in leaves:
            del graph[module]
    assert not graph, f"a circle of imports: {sorted(graph)}"


def test_no_room_is_crowded():
    for folder in {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}:
        files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, f"{folder.relative_to(ROOT)} holds {len(files)} files"


def test_the_command_line_imports_the_rooms_only_where_they_are_used():
    # `segue --help` answers in under half a second.
    for module, (source, package) in modules("cli").items():
        for name in imports(source, package, functions=False):
            assert within(name, {"cli", "segue"}), f"{module} imports {name} at module level"


def test_every_folder_with_code_is_a_room():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == ROOMS


@pytest.mark.parametrize(
    ("source", "everywhere", "at_module_level"),
    [
        ("import models.inputs.vocabulary", {"models.inputs.vocabulary"}, {"models.inputs.vocabulary"}),
        ("from events import schema, splits", {"events.schema", "events.splits"}, {"events.schema", "events.splits"}),
        ("import numpy, segue.files", {"segue.files"}, {"segue.files"}),
        ("def f():\n    from serving import store", {"serving.store"}, set()),
        ("class C:\n    from serving import store", {"serving.store"}, {"serving.store"}),
        ("try:\n    import events\nexcept ImportError: pass", {"events"}, {"events"}),
        ("if TYPE_CHECKING:\n    from events import dataset", {"events.dataset"}, set()),
        ("from .versions import faults", {"serving.store.versions.faults"}, {"serving.store.versions.faults"}),
        ("from ..client import calls", {"serving.client.calls"}, {"serving.client.calls"}),
    ],
)
def test_imports_are_read(source, everywhere, at_module_level):
    assert imports(source, "serving.store") == everywhere
    assert imports(source, "serving.store", functions=False) == at_module_level


@pytest.mark.parametrize(
    ("source", "modules_named"),
    [
        ('run([python, "-m", "pipelines.local"])', {"pipelines.local"}),
        ('TARGET = "pipelines.training:training"', {"pipelines.training"}),
        ('code = "import sys; from serving.client import calls"', {"serving.client"}),
        ('"""A docstring may name `pipelines.local`."""', set()),
        ('column = events["events.absent"]', set()),
    ],
)
def test_modules_in_strings_are_read(source, modules_named):
    assert named_in_strings(source) == modules_named


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("events.schema", True), ("events.schema.HEADS", True), ("events.schemas", False), ("events", False)],
)
def test_a_module_is_within_its_package_only(name, allowed):
    assert within(name, {"events.schema"}) is allowed
