"""Schemathesis over the server's own document, with a session, a file and a job that are really there: no
request may be answered with a server error. Not part of the tests, as schemathesis is no dependency:

    python tests/serving/fuzz_openapi.py [--schemathesis PATH] [--examples 15] [--seed 1]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unipixel import Client, Point
from unipixel.serving.transport import ServerError

STILL = Path(__file__).parents[2] / "examples" / "media" / "still.jpg"
TOKEN = "a-token-for-fuzzing"
PORT = 8765
KEPT = {
    ("delete", "/v1/sessions/{session_id}"),
    ("delete", "/v1/files/{file_id}"),
    ("delete", "/v1/jobs/{job_id}"),
}
"""What would end the things that the others need; tried with made-up names alone."""


def with_real_names(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The document with names of what is there in its paths."""
    paths: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        for method, about in operations.items():
            if (method, path) in KEPT:
                paths.setdefault(path, {})[method] = about
                continue
            real = path
            for name, value in names.items():
                real = real.replace("{" + name + "}", value)
            given = [one for one in about.get("parameters", ()) if one["name"] not in names]
            paths.setdefault(real, {})[method] = {**about, "parameters": given}
    return {**document, "paths": paths}


def wait_for(client: Client) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            client.models()
            return
        except ServerError:
            time.sleep(0.5)
    raise SystemExit("the server did not start")


def main() -> int:
    parser = argparse.ArgumentParser(description="Schemathesis over the server's own document.")
    parser.add_argument("--schemathesis", default="schemathesis", help="where the program is")
    parser.add_argument("--examples", type=int, default=15, help="drawn for each operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "unipixel.cli.main", "serve", "--no-supervise", "--port", str(PORT)]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "--token", TOKEN, "--data", f"{folder}/data"], stdout=log, stderr=log
            )
        try:
            url = f"http://127.0.0.1:{PORT}"
            client = Client(url, TOKEN)
            wait_for(client)
            session = client.session(STILL)
            session.refer(Point(60, 40))
            step = {"op": "refer", "prompts": [{"type": "point", "x": 60, "y": 40}]}
            names = {
                "session_id": session.id,
                "object_id": "0",
                "frame": "0",
                "file_id": client.files.upload(STILL),
                "job_id": client.jobs.submit(STILL, [step])["id"],
            }
            document = with_real_names(client._transport.send("GET", "/openapi.json"), names)
            (Path(folder) / "openapi.json").write_text(json.dumps(document))
            return subprocess.run(
                [
                    *(given.schemathesis, "run", f"{folder}/openapi.json", "--url", url),
                    *("-H", f"Authorization: Bearer {TOKEN}", "--checks", "not_a_server_error"),
                    *("--max-examples", str(given.examples), "--seed", str(given.seed)),
                    *("--phases", "coverage,fuzzing", "--request-timeout", "120"),
                ]
            ).returncode
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    raise SystemExit(main())
