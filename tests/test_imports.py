"""Who may import whom, and what importing costs."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unipixel

PACKAGE = Path(unipixel.__file__).parent

# Each part of the package, and the parts that it may import: nothing else. The command line may import
# everything, inside its functions.
ALLOWED = {
    "errors": set(),
    "late_names": set(),
    "hub": {"errors"},
    "footprint": {"errors"},
    "core": {"errors"},
    "output": {"core", "errors"},
    "data": {"core", "errors"},
    "evaluation": {"core", "data", "hub", "output", "loading", "errors"},
    "model": {"core", "errors"},
    "processing": {"core", "model", "errors"},
    "inference": {"core", "model", "output", "processing", "errors"},
    "predictor": {"core", "model", "processing", "inference", "errors"},
    "loading": {"core", "footprint", "hub", "inference", "model", "processing", "predictor", "errors"},
    "training": {
        "core",
        "data",
        "evaluation",
        "hub",
        "model",
        "processing",
        "predictor",
        "loading",
        "errors",
    },
    "archive": {
        "core",
        "data",
        "evaluation",
        "hub",
        "inference",
        "late_names",
        "loading",
        "model",
        "output",
        "predictor",
        "processing",
        "errors",
    },
    "cvat": {"core", "inference", "loading", "model", "predictor", "errors"},
    "parity": {"core", "inference", "model", "processing", "predictor", "loading", "errors"},
    "serving": {"archive", "core", "output", "inference", "predictor", "loading", "errors"},
}
HEAVY = {"torch", "transformers", "tokenizers", "safetensors", "peft", "huggingface_hub"}
TORCH_FREE = {"errors", "core", "hub", "output", "data", "evaluation"}
LATE = {"hub": {"huggingface_hub"}}  # heavy libraries that a part may import inside its functions
LIMITS = {"import unipixel": 0.3, "unipixel --help": 0.5}
BUSY = 2  # work beside it slows a processor down, too: so many times the limit is still no failure


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """`model/sam2/layers.py` -> `model`; `loading.py` -> `loading`; the package itself -> ``."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0].replace("__init__", "")


def part_named(module: str) -> str:
    """`unipixel.model.sam2` -> `model`; other libraries -> ``."""
    return module.split(".")[1] if module.startswith("unipixel.") else ""


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything that is imported for use; imports for type checkers alone do not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imports(node)


def imports_at_import(tree: ast.Module) -> Iterator[str]:
    """Names that are imported when the module is: those outside of functions."""
    outside = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    yield from imports(ast.Module(outside, []))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    part = part_of(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if part == "cli":
        heavy = [
            name for name in imports_at_import(tree) if name.split(".")[0] in HEAVY | {"numpy", "av", "PIL"}
        ]
        assert not heavy, f"the command line imports {heavy} before it is asked to"
        return
    if part == "":
        return
    assert part in ALLOWED, f"{part} has no row in this test; say what it may import"
    if part in TORCH_FREE:
        early = list(imports_at_import(tree))
        heavy = [name for name in early if part_named(name) not in TORCH_FREE | {""}]
        heavy += [name for name in early if name.split(".")[0] in HEAVY]
        assert not heavy, f"{part} is free of torch and imports {heavy}"
    for name in imports(tree):
        top = name.split(".")[0]
        if top == "unipixel":
            assert part_named(name) in ALLOWED[part] | {part}, f"{part} must not import {name}"
        late = top in LATE.get(part, ())
        assert late or not (part in TORCH_FREE and top in HEAVY), f"{part} must not import {name}"


def test_every_part_with_rules_exists() -> None:
    parts = {part_of(path) for path in modules()} - {"", "cli"}
    assert parts <= ALLOWED.keys()


@pytest.mark.parametrize("name", ["unipixel", "unipixel.cli.main"])
def test_starting_imports_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print(sorted({HEAVY | {'numpy', 'av'}!r} & sys.modules.keys()))"
    assert python("-c", code) == "[]\n"


@pytest.mark.parametrize(
    "name",
    [
        "core.media",
        "core.question",
        "hub",
        "output.export",
        "data.synthetic.files",
        "serving.client",
        "cli.main",
    ],
)
def test_torch_free_modules_load_without_torch(name: str) -> None:
    assert python("-c", f"import sys, unipixel.{name}; print('torch' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("import unipixel", ["-c", "import unipixel"]),
        ("unipixel --help", ["-m", "unipixel.cli.main", "--help"]),
    ],
    ids=["import", "help"],
)
def test_start_is_quick(what: str, arguments: list[str]) -> None:
    best = min(seconds(arguments) for _ in range(3))
    print(f"{what}: {best:.2f} s, at most {LIMITS[what]} wanted")
    assert best < BUSY * LIMITS[what]


def seconds(arguments: list[str]) -> float:
    """Of a processor: the clock also counts what other work the machine has."""
    before = os.times()
    python(*arguments)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
