"""Components are thin: typed inputs and outputs, imports inside, and one call into `workloads`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = sorted(path for path in (ROOT / "components").rglob("*.py") if path.name not in ("__init__.py", "base.py"))


def faults(source: str) -> list[str]:
    """The rules that the source of a component breaks; empty if it is thin.

    A component is the only function of its module. Its arguments have types, and so has its result. The module imports
    only KFP and the decorator, because the rest of the module is not part of the compiled component. The function
    imports only `pathlib` and one workload, and calls the workload's `step` once.
    """
    tree = ast.parse(source)
    outside = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    broken = []
    if len(functions) != 1 or [ast.unparse(name) for name in functions[0].decorator_list] != ["component"]:
        return ["the module needs exactly one function, decorated with @component"]
    if len(tree.body) != 1 + len(outside) + len(functions):  # 1 for the docstring
        broken.append("the module may hold only a docstring, imports and the component")
    if any(module not in ("kfp.dsl", "components.base") for node in outside for module in modules(node)):
        broken.append("the module may import only kfp.dsl and components.base")
    return broken + faults_of_function(functions[0])


def faults_of_function(function: ast.FunctionDef) -> list[str]:
    """The rules that a component's function breaks."""
    nodes = list(ast.walk(function))
    arguments = function.args
    inside = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    workloads = [
        alias.asname or alias.name
        for node in inside
        if isinstance(node, ast.ImportFrom) and node.module != "workloads.run" and room(node.module) == "workloads"
        for alias in node.names
    ]
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    broken = []
    if arguments.vararg or arguments.kwarg or any(argument.annotation is None for argument in arguments.args):
        broken.append("each argument needs a type, and * and ** are not allowed")
    if any(isinstance(node, ast.Return) and node.value for node in nodes) and function.returns is None:
        broken.append("a component that returns a value needs the type of its result")
    if any(room(module) not in ("pathlib", "workloads") for node in inside for module in modules(node)):
        broken.append("the component may import only pathlib and workloads")
    if workloads != [function.name]:
        broken.append("the component imports one workload, the module of its own name")
    if [call for call in calls if call.partition(".")[0] == function.name] != [f"{function.name}.step"]:
        broken.append("the component calls its workload's `step` once, and nothing else of the workload")
    if any(isinstance(node, ast.If | ast.While | ast.Try | ast.With | ast.Lambda) for node in nodes):
        broken.append("the component decides nothing: conditions belong in the workload")
    return broken


def modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that an import statement reads."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def room(module: str | None) -> str:
    """The top-level package of a module."""
    return (module or "").partition(".")[0]


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_every_component_is_thin(path):
    assert faults(path.read_text(encoding="utf-8")) == []


def test_every_component_is_read():
    assert {path.stem for path in COMPONENTS} >= {"ingest", "evaluate", "push", "plan_trials"}


THIN = '''"""Ingest."""

from kfp.dsl import Dataset, Output

from components.base import component


@component
def ingest(config: dict, ingested: Output[Dataset]) -> int:
    """Copy the log."""
    from pathlib import Path

    from workloads import ingest
    from workloads.run import Run

    return ingest.step(Run.now(config), Path(ingested.path))
'''


def test_a_thin_source_has_no_faults():
    assert faults(THIN) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        pytest.param("config: dict", "config", "each argument needs a type", id="an argument without a type"),
        pytest.param("config: dict", "*configs: dict", "* and ** are not allowed", id="any number of arguments"),
        pytest.param(" -> int", "", "needs the type of its result", id="a result without a type"),
        pytest.param("from components.base", "import pandas\nfrom components.base", "kfp.dsl", id="a library outside"),
        pytest.param("    return", "    import pandas\n\n    return", "only pathlib and", id="a library inside"),
        pytest.param("    return", "    from events import ingest as e\n\n    return", "only pathlib and", id="a room"),
        pytest.param("import ingest\n", "import ingest, push\n", "one workload", id="two workloads"),
        pytest.param("return ingest.step(", "ingest.step(1)\n    return ingest.step(", "once", id="two calls"),
        pytest.param("ingest.step(", "ingest.copy(", "`step` once", id="another function"),
        pytest.param("    return", "    if config:\n        return 0\n    return", "decides nothing", id="a condition"),
        pytest.param("@component\n", "", "decorated with @component", id="no component"),
        pytest.param("@component\n", "RATE = 0.1\n\n\n@component\n", "only a docstring", id="a constant outside"),
    ],
)
def test_a_source_that_is_not_thin_is_found(before, after, fault):
    assert before in THIN
    (message,) = faults(THIN.replace(before, after))
    assert fault in message
