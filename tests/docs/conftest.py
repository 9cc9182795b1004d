"""The warm process that runs the commands of pages."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def warm() -> Iterator[Path]:
    """The socket of a process that has imported everything heavy."""
    with tempfile.TemporaryDirectory(prefix="docs") as folder:  # names of sockets are short
        path = Path(folder) / "warm"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the warm process did not start"
        yield path
        process.terminate()
        process.wait()
