"""The OpenAPI document in docs/ is that of the server."""

import json
from pathlib import Path

from tests.serving.conftest import Served

from unipixel.serving.openapi import document

KEPT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_document_is_the_server_s(served: Served) -> None:
    again = "python -m unipixel.serving.openapi docs/openapi.json"
    assert KEPT.read_text(encoding="utf-8") == document(), f"write it again: {again}"
    with served.http() as http:
        assert http.get("/openapi.json").json() == json.loads(document())


def test_every_operation_is_described() -> None:
    found = json.loads(document())
    for path, operations in found["paths"].items():
        for method, about in operations.items():
            assert about.get("description"), f"{method} {path}"
    guarded = [
        path for path, one in found["paths"].items() if any("security" in about for about in one.values())
    ]
    assert set(found["paths"]) - set(guarded) == {"/health", "/ready"}
