"""Which way imports point, and that every name is one thing.

Imports go down only, scripts -> worldmodels -> {agents, envs, generative}, and no module imports itself by way of
others. Counted are all imports: at the top of a module, inside functions, and for type checkers only.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "agents": {"agents"},
    "envs": {"envs"},
    "generative": {"generative"},
    "worldmodels": {"worldmodels", "agents", "envs", "generative"},
    "scripts": {"scripts", "worldmodels", "agents", "envs", "generative"},
}
OURS = set(MAY_IMPORT) | {"tests"}
Trees = dict[str, ast.Module]
Graph = dict[str, set[str]]

ABOVE_STAGES = {
    *(
        "scripts.cli",
        "scripts.stages",
        "scripts.loop",
        "scripts.study",
        "scripts.studies.jobs",
        "scripts.studies.session",
    ),
    *("scripts.generative.cli", "scripts.generative.notebook", "scripts.generative.table"),
}
"""What puts stages together. Any other stage stands alone: what two need is in the library."""
SHARED = ("scripts.terminal", *(f"scripts.generative.{room}" for room in ("runs", "data", "figures")))
"""What all commands share, and no stage: how they speak, and of generative models how a run's data are opened."""


def module_name(path: Path) -> str:
    """Return the dotted name of a file; of a package's `__init__` the package's."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(root: Path, packages: Iterator[str] | list[str]) -> Trees:
    """Return the modules of packages, by name."""
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return {module_name(path.relative_to(root)): ast.parse(path.read_text()) for path in files}


@pytest.fixture(scope="module")
def trees() -> Trees:
    return read(ROOT, list(MAY_IMPORT))


def outer(name: str) -> list[str]:
    """Return a module's name and those of the packages it is in, whose `__init__` runs first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def imported(tree: ast.Module, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield `(module, name)` for all that a module imports, wherever in it; `name` is empty for a whole module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole, "") if whole in known else (node.module or "", alias.name)


def imports(trees: Trees) -> Graph:
    """Return which modules run when a module is imported, each with the packages around what it imports."""
    graph: Graph = {}
    for name, tree in trees.items():
        around = set(outer(name)[:-1])  # these run before the module itself does
        found = {target for target, _ in imported(tree, set(trees))}
        implied = {package for target in found for package in outer(target)[:-1]} - around
        graph[name] = (found | implied) & set(trees) - {name}
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import one another, by way of others or not."""
    reached: Graph = {}
    for start in graph:
        reached[start], todo = set(), [start]
        while todo:
            fresh = graph[todo.pop()] - reached[start]
            reached[start] |= fresh
            todo += fresh
    groups = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph}
    return sorted(list(group) for group in groups if group)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_down(trees, package):
    mine = {name: tree for name, tree in trees.items() if outer(name)[0] == package}
    assert mine
    for name, tree in mine.items():
        upwards = {outer(target)[0] for target, _ in imported(tree, set(trees))} & OURS - MAY_IMPORT[package]
        assert not upwards, f"{name} imports {sorted(upwards)}"


def test_there_are_no_circles(trees):
    found = [group for group in circles(imports(trees))]
    assert not found, "modules that import one another:\n" + "\n".join(" <-> ".join(group) for group in found)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"one": "import house.two", "two": "import house.three", "three": ""}, []),
        ({"one": "import house.two", "two": "from house import one"}, [["house.one", "house.two"]]),
        ({"one": "import house.two", "two": "def late():\n    import house.one"}, [["house.one", "house.two"]]),
        ({"one": "import house.two", "two": "if TYPE_CHECKING:\n    import house.one"}, [["house.one", "house.two"]]),
        ({"one": "import house.room.two", "room/__init__": "import house.one", "room/two": ""},
         [["house.one", "house.room"]]),
        ({"room/__init__": "from house.room.one import it", "room/one": "from house.room.two import it",
          "room/two": ""}, []),
        ({"room/__init__": "from house.room.one import it", "room/one": "from house.room import it"},
         [["house.room", "house.room.one"]]),
    ],
)  # fmt: skip
def test_circles_are_found_wherever_they_hide(tmp_path, files, found):
    for name, text in {"__init__": "", **files}.items():
        path = tmp_path / "house" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circles(imports(read(tmp_path, ["house"]))) == found


def test_stages_do_not_import_each_other(trees):
    for name, tree in trees.items():
        if outer(name)[0] != "scripts" or name in ABOVE_STAGES or name.startswith("scripts.terminal"):
            continue
        for target, what in imported(tree, set(trees)):
            stage = outer(target)[0] == "scripts" and not target.startswith(SHARED)
            assert not stage, f"{name} imports {what} from {target}: what two stages need belongs into the library"


def late_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports inside functions, but those of packages that may be missing, which a `try` guards."""
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(handler) for handler in node.handlers)
        for inner in ast.walk(node)
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and node not in guarded:
                    yield node


@pytest.mark.slow
def test_the_library_imports_late_only_what_takes_long_and_says_so(trees):
    for name, tree in trees.items():
        if outer(name)[0] == "scripts":
            continue
        path = ROOT / f"{name.replace('.', '/')}.py"
        lines = (path if path.exists() else path.with_suffix("") / "__init__.py").read_text().splitlines()
        for node in late_imports(tree):
            ours = outer(ast.unparse(node).split()[1])[0] in OURS
            line = lines[node.lineno - 1]
            assert not ours and "  # " in line, (
                f"{name}: `{line.strip()}` inside a function: put it at the top, or say why"
            )


def test_public_classes_have_names_of_their_own(trees):
    places = defaultdict(list)
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in twice.items())


@pytest.mark.slow
def test_the_library_neither_prints_nor_parses(trees):
    for name, tree in trees.items():
        if outer(name)[0] == "scripts":
            continue
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "input", "exec", "eval"}, name
        assert not {target for target, _ in imported(tree, set(trees))} & {"argparse", "pickle"}, name


SEAMS = ("memory", "vision", "executor", "controller", "perception", "encoder", "decoder", "optimiser", "policy")
"""What a part is called wherever it is handed over."""


def typeless(tree: ast.AST) -> Iterator[str]:
    """Yield the parameters, fields and attributes of a seam's name whose type says nothing of what they can do."""
    said = [(node.arg, node.annotation) for node in ast.walk(tree) if isinstance(node, ast.arg)]
    for node in ast.walk(tree):
        fields = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in fields:
            if isinstance(each, ast.AnnAssign) and (node is not each or isinstance(each.target, ast.Attribute)):
                said.append((ast.unparse(each.target).rpartition(".")[2], each.annotation))
    for name, annotation in said:
        if name in SEAMS and annotation is not None:
            written = ast.unparse(annotation).strip("'")
            if {part.strip().rpartition(".")[2] for part in written.split("|")} & {"Any", "object", "Module"}:
                yield f"{name}: {written}"


@pytest.mark.slow
def test_parts_are_handed_over_by_what_they_can_do(trees):
    found = [f"{name}: {part}" for name, tree in trees.items() for part in typeless(tree)]
    assert not found, "name the seam's Protocol, such as `worldmodels.memories.Memory`:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def dream(memory: Any): ...", ["memory: Any"]),
        ("def dream(*, vision: nn.Module | None = None): ...", ["vision: nn.Module | None"]),
        ("class Agent:\n    policy: 'torch.nn.Module'", ["policy: torch.nn.Module"]),
        ("def __init__(self):\n    self.controller: typing.Any = 1", ["controller: typing.Any"]),
        ("def dream(memory: Memory, vision: VisionModule, module: nn.Module, values: Any):\n    memory: Any = 1", []),
    ],
)
def test_a_part_without_a_type_is_found(text, found):
    assert list(typeless(ast.parse(text))) == found
