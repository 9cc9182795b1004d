"""The public names say their types: no `Any` where something better is known."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import unipixel

PACKAGE = Path(unipixel.__file__).parent
KNOWN = {
    "RLE.from_coco(mapping)": "a mapping from JSON",
    "RLE.to_coco()": "a mapping for JSON",
    "Response.to_supervision()": "a class of a package that need not be there",
    "Response.to_fiftyone()": "a class of a package that need not be there",
}
"""Where a type is `Any` on purpose."""


def signatures(name: str) -> Iterator[tuple[str, ast.expr | None]]:
    """(what it is, its annotation) of everything public of a public name."""
    home = unipixel._HOMES[name]
    tree = ast.parse((PACKAGE / f"{home.replace('.', '/')}.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield from of_function(node, name)
        elif isinstance(node, ast.ClassDef) and node.name == name:
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and (part.name == "__init__" or part.name[0] != "_"):
                    yield from of_function(part, f"{name}.{part.name}")
                elif isinstance(part, ast.AnnAssign) and not ast.unparse(part.target).startswith("_"):
                    yield f"{name}.{ast.unparse(part.target)}", part.annotation


def of_function(node: ast.FunctionDef, name: str) -> Iterator[tuple[str, ast.expr | None]]:
    arguments = node.args
    for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        if one.arg not in ("self", "cls"):
            yield f"{name}({one.arg})", one.annotation
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            yield f"{name}({extra.arg})", extra.annotation
    yield f"{name}()", node.returns


@pytest.mark.parametrize("name", sorted(unipixel.__all__))
def test_a_public_name_has_types_and_none_is_any(name: str) -> None:
    for what, annotation in signatures(name):
        assert annotation is not None, f"{what} has no type"
        words = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        assert "Any" not in words or what in KNOWN, f"{what} is {ast.unparse(annotation)}"


def test_every_public_name_has_a_home_that_says_what_it_is() -> None:
    assert set(unipixel.__all__) == set(unipixel._HOMES)
    assert (PACKAGE / "py.typed").is_file()
    for name, home in unipixel._HOMES.items():
        path = PACKAGE / f"{home.replace('.', '/')}.py"
        assert path.is_file(), f"{name} is said to live in {home}"
        names = {getattr(node, "name", None) for node in ast.parse(path.read_text("utf-8")).body}
        targets = ast.parse(path.read_text("utf-8")).body
        aliases = {ast.unparse(node.target) for node in targets if isinstance(node, ast.AnnAssign)}
        assert name in names | aliases, f"{home} does not define {name}"


def test_names_that_are_not_there_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Segmenter'"):
        _ = importlib.import_module("unipixel").Segmenter
