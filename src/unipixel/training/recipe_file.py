"""Recipes from files and from words such as `optimiser.rate=1e-5`: plain data, fitted into the values of
`recipe` by their types."""

from __future__ import annotations

import difflib
import json
import platform
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import reduce
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from unipixel.errors import ConfigError
from unipixel.training.recipe import Recipe
from unipixel.training.recipes import get_recipe

T = TypeVar("T")

PACKAGES = ("unipixel", "torch", "transformers", "peft", "numpy", "pillow", "av", "safetensors", "tokenizers")
BASE = "base"
"""In a file: the recipe from which it differs."""
RECIPE, RESOLVED, VERSIONS = "recipe", "resolved_choices", "versions"


def read_recipe(name_or_file: str, overrides: Sequence[str] = ()) -> Recipe:
    """A named recipe or a TOML or JSON file, with `name=value` words laid over it.

    A file holds fields of a recipe, as tables where they are values of their own, and may name the recipe it
    starts from (`base = "stage_3_3b"`); the file beside a checkpoint can be given as it is.

    Raises:
        ConfigError: an unknown name or field (with the closest match), or a value of a wrong kind.
    """
    path = Path(name_or_file)
    recipe = _read_file(path) if path.suffix in (".toml", ".json") else get_recipe(name_or_file)
    trees = [_tree(word) for word in overrides]
    # Sources come and go one after the other. The rest is changed together: a batch of 8 may only be right
    # with the micro-batch that another word gives.
    recipe = changed(recipe, reduce(_together, (tree for tree in trees if "data" not in tree), {}))
    return reduce(changed, (tree for tree in trees if "data" in tree), recipe)


def _read_file(path: Path) -> Recipe:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a recipe ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds a {type(content).__name__}; expected names and values")
    content = content.get(RECIPE, content) if RESOLVED in content else content
    base = content.pop(BASE, None)
    name = content.get("name", path.stem)
    start = Recipe(name=str(name)) if base is None else replace(get_recipe(str(base)), name=str(name))
    try:
        return changed(start, content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def write_recipe(recipe: Recipe, file: Path, notes: Mapping[str, Any]) -> None:
    """The recipe with every choice that was made, the versions it was run with, and notes of the run."""
    content = {
        RECIPE: asdict(recipe),
        RESOLVED: asdict(recipe.resolved),
        VERSIONS: versions(),
        **notes,
    }
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Of Python and of what decides numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _tree(word: str) -> dict[str, Any]:
    """`a.b=1` -> {"a": {"b": 1}}; values are JSON where they can be, else text."""
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise ConfigError(f"{word!r} changes nothing; expected name=value, for example optimiser.rate=1e-5")
    try:
        value = json.loads(text)
    except ValueError:
        value = None if text in ("none", "None") else text
    tree: Any = value
    for part in reversed(name.split(".")):
        tree = {part: tree}
    assert isinstance(tree, dict), "a name has at least one part"
    return tree


def _together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees in one; where they differ, the second one counts."""
    both = dict(first)
    for name, content in second.items():
        before = both.get(name)
        inner = isinstance(before, Mapping) and isinstance(content, Mapping)
        both[name] = _together(before, content) if inner else content  # type: ignore[arg-type]
    return both


def changed(value: T, tree: Mapping[str, Any], place: str = "") -> T:
    """A dataclass with some of its fields, and fields of its fields, replaced by plain data."""
    hints = get_type_hints(type(value))
    known = [field.name for field in fields(value)]  # type: ignore[arg-type]
    new: dict[str, Any] = {}
    for name, content in tree.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {place + close[0]!r}? " if close else ""
            inside = place.rstrip(".") or "a recipe"
            raise ConfigError(f"{inside} has no {name!r}; {meant}there is: {', '.join(known)}")
        new[name] = _fit(content, hints[name], getattr(value, name), place + name)
    return replace(value, **new)  # type: ignore[type-var]


def _fit(content: Any, kind: Any, before: Any, place: str) -> Any:
    """Plain data as a value of a type; `before` is what it replaces."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if content is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _fit(content, inner, before, place)
    if origin is Literal:
        if content in arguments:
            return content
        close = difflib.get_close_matches(str(content), arguments, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"{place} is {content!r}; {meant}expected one of {', '.join(map(repr, arguments))}")
    if is_dataclass(kind):
        if not isinstance(content, Mapping):
            raise ConfigError(
                f"{place} is {content!r}; expected names and values, such as {place}.name=value"
            )
        return changed(before, content, place + ".")
    if origin is tuple:
        return _fit_tuple(content, arguments, before, place)
    return _fit_plain(content, kind, place)


def _fit_tuple(content: Any, arguments: tuple[Any, ...], before: Any, place: str) -> tuple[Any, ...]:
    item = arguments[0]
    if is_dataclass(item) and isinstance(content, Mapping):
        return _by_name(content, item, before, place)
    if not isinstance(content, list | tuple):
        content = [content]
    if arguments[-1] is not Ellipsis and len(content) != len(arguments):
        raise ConfigError(f"{place} is {content!r}; expected {len(arguments)} values")
    if is_dataclass(item):
        return tuple(_new(part, item, f"{place}[{number}]") for number, part in enumerate(content))
    return tuple(_fit(part, item, None, f"{place}[{number}]") for number, part in enumerate(content))


def _by_name(content: Mapping[str, Any], kind: Any, before: Sequence[Any], place: str) -> tuple[Any, ...]:
    """`data.revos.repeats=2` changes one of several, `data.revos=none` takes it away, and a new name adds."""
    items = {item.name: item for item in before}
    for name, part in content.items():
        if part is None:
            if name not in items:
                raise ConfigError(f"{place} has no {name!r}; there is: {', '.join(items) or 'nothing'}")
            del items[name]
        elif not isinstance(part, Mapping):
            raise ConfigError(f"{place}.{name} is {part!r}; expected names and values, or none")
        else:
            start = items.get(name, kind(name=name))
            items[name] = changed(start, part, f"{place}.{name}.")
    return tuple(items.values())


def _new(content: Any, kind: Any, place: str) -> Any:
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise ConfigError(f"{place} is {content!r}; expected values with a name")
    return changed(kind(name=content["name"]), content, place + ".")


def _fit_plain(content: Any, kind: type, place: str) -> Any:
    whole = isinstance(content, int) and not isinstance(content, bool)
    if kind is float and (whole or isinstance(content, float)):
        return float(content)
    if kind is str and (whole or isinstance(content, float)):
        return str(content)
    if (kind is int and whole) or (kind in (bool, str) and isinstance(content, kind)):
        return content
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]
    raise ConfigError(f"{place} is {content!r}; expected {wanted}")
