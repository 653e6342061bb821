"""Dependencies point one way: the arrows of the design, read from the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOMAIN = {"events", "feature_repo", "models", "serving", "monitoring"}
ROOMS = DOMAIN | {"components", "pipelines", "benchmarks", "segue"}
CLI = "segue.cli"

# What each room may import of ours, beside itself.
ARROWS = {
    "segue": set(),
    "events": {"segue"},
    "models": {"segue.errors", "segue.files", "events.schema"},
    "feature_repo": {"segue", "events"},
    "serving": {"segue"},
    "monitoring": {"segue"},
    "components": {"segue", *DOMAIN},
    "pipelines": {"segue", *DOMAIN, "components"},
    "benchmarks": {"segue", *DOMAIN, "components", "pipelines"},
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


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_arrows(room):
    for module, (source, package) in modules(room).items():
        if within(module, {CLI}):
            continue
        for name in imports(source, package):
            assert within(name, {room, *ARROWS[room]}), f"{module} imports {name}"


def test_nothing_but_the_command_line_imports_the_command_line():
    for room in ROOMS - {"benchmarks"}:
        for module, (source, package) in modules(room).items():
            reached = {name for name in imports(source, package) if within(name, {CLI})}
            assert not reached or within(module, {CLI}), f"{module} imports {reached}"


def test_the_command_line_imports_the_rooms_only_where_they_are_used():
    # `segue --help` answers in under half a second.
    for module, (source, package) in modules("segue").items():
        for name in imports(source, package, functions=False):
            assert within(name, {"segue"}), f"{module} imports {name} at module level"


def test_every_folder_with_code_is_a_room():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == ROOMS


@pytest.mark.parametrize(
    ("source", "everywhere", "at_module_level"),
    [
        ("import models.lookup", {"models.lookup"}, {"models.lookup"}),
        ("from events import schema, splits", {"events.schema", "events.splits"}, {"events.schema", "events.splits"}),
        ("import numpy, segue.files", {"segue.files"}, {"segue.files"}),
        ("def f():\n    from serving import store", {"serving.store"}, set()),
        ("class C:\n    from serving import store", {"serving.store"}, {"serving.store"}),
        ("try:\n    import events\nexcept ImportError: pass", {"events"}, {"events"}),
        ("if TYPE_CHECKING:\n    from events import store", {"events.store"}, set()),
        ("from .output import table", {"segue.cli.output.table"}, {"segue.cli.output.table"}),
        ("from ..errors import InputError", {"segue.errors.InputError"}, {"segue.errors.InputError"}),
    ],
)
def test_imports_are_read(source, everywhere, at_module_level):
    assert imports(source, "segue.cli") == everywhere
    assert imports(source, "segue.cli", functions=False) == at_module_level


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("events.schema", True), ("events.schema.HEADS", True), ("events.schemas", False), ("events", False)],
)
def test_a_module_is_within_its_package_only(name, allowed):
    assert within(name, {"events.schema"}) is allowed
