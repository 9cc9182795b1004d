"""python -m unipixel.training.tiny -o build/unipixel-tiny, or several such processes of torchrun's."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import unipixel.training.tiny as package
from unipixel.training.tiny.make import make
from unipixel.training.tiny.workshop import Budget

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m unipixel.training.tiny",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for everything, the finished model included"
    )
    arguments = parser.parse_args()
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log.info("written to %s", make(arguments.output, Budget()))


if __name__ == "__main__":
    main()
