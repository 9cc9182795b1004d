"""Parts of a user's own in place of the model's, named by a checkpoint or a recipe and run only with consent.

A part is a class. `object_memory`, `object_prompt` and `seg_head` are made with the model's configuration and
its backbone, and are called as the modules that they replace; a `tracker` is made with the mask decoder and
has no parameters of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unipixel.errors import ConfigError

MODULES = ("object_memory", "object_prompt", "seg_head")
PARTS = (*MODULES, "tracker")


def check_own_parts(parts: Mapping[str, str]) -> None:
    """ConfigError unless every part is known and named as "package.module:Name" or "file.py:Name"."""
    for part, path in parts.items():
        if part not in PARTS:
            raise ConfigError(f"there is no part {part!r} to replace; there is: {', '.join(PARTS)}")
        if not isinstance(path, str) or not all(path.partition(":")[::2]):
            raise ConfigError(f"{part} is {path!r}; expected 'package.module:Name' or 'file.py:Name'")


def check_consent(parts: Mapping[str, str], trust_code: bool, source: str) -> None:
    """ConfigError if code would run that nobody has agreed to."""
    if parts and not trust_code:
        named = ", ".join(f"{part} = {path}" for part, path in parts.items())
        raise ConfigError(
            f"{source} brings code of its own ({named}); read it, and if you trust it, pass trust_code=True "
            "(--trust-code)"
        )


def find_class(path: str) -> Any:
    """The class that a path names. Its module's code runs: ask for consent first."""
    module_name, _, name = path.rpartition(":")
    try:
        module = (
            _from_file(Path(module_name))
            if module_name.endswith(".py")
            else importlib.import_module(module_name)
        )
    except ImportError as error:
        raise ConfigError(f"{path}: {module_name} cannot be imported ({error})") from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise ConfigError(f"{path}: {module_name} has no class {name}")
    return found


def _from_file(file: Path) -> Any:
    if not file.is_file():
        raise ImportError(f"no such file: {file}")
    # A name that no package has; dataclasses look their module up by it.
    name = f"unipixel_own_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, "python files can be loaded"
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:  # as `import` does: half a module is none
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return module
