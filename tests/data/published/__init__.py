"""Tiny data sets in exactly the published layouts, one builder for each registered name.

Every module of this package has a `BUILDERS` of its own, from names to functions that write one data set
below a root (the `data` folder); they are merged here, so that a new module is found without being listed.
Pictures are WIDTH x HEIGHT pixels.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

BUILDERS: dict[str, Callable[[Path], None]] = {}
for _module in pkgutil.iter_modules(__path__, __name__ + "."):
    BUILDERS |= getattr(importlib.import_module(_module.name), "BUILDERS", {})
