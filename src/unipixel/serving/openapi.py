"""The OpenAPI document: `python -m unipixel.serving.openapi FILE` writes it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from unipixel.serving.options import ServeOptions
from unipixel.serving.server import create_app


def document() -> str:
    """The document of a server with its defaults, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        found = create_app(ServeOptions(Path(folder))).openapi()
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
