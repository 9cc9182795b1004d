"""Files with parts of a user's own are modules like any other."""

import sys
from pathlib import Path

import pytest

from unipixel.errors import ConfigError
from unipixel.model.own_parts import find_class

STATEFUL = """
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    steps: int | None = None


class Mine:
    state = State(3)
"""


def test_a_file_may_hold_what_a_module_may(tmp_path: Path) -> None:
    """Dataclasses look up the module that they are in."""
    files = [tmp_path / name / "part.py" for name in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text(STATEFUL)
    one, two = (find_class(f"{file}:Mine") for file in files)
    assert one is not two and one.__module__ != two.__module__
    assert all(sys.modules[found.__module__].Mine is found for found in (one, two))


def test_half_a_module_is_none(tmp_path: Path) -> None:
    file = tmp_path / "part.py"
    file.write_text(STATEFUL + "\nraise ValueError('half')\n")
    before = set(sys.modules)
    with pytest.raises(ValueError, match="half"):
        find_class(f"{file}:Mine")
    assert not {name for name in set(sys.modules) - before if name.endswith("_part")}


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    file = tmp_path / "part.py"
    with pytest.raises(ConfigError, match="no such file"):
        find_class(f"{file}:Mine")
    file.write_text(STATEFUL)
    with pytest.raises(ConfigError, match="no class Yours"):
        find_class(f"{file}:Yours")
