"""A person's own data, written once for several tests."""

from pathlib import Path

import pytest
from tests.data.own_data import make_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples of the document name."""
    root = tmp_path_factory.mktemp("mine")
    make_files(root)
    return root
