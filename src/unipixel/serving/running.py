"""Running the application under uvicorn, with logs as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys

from unipixel.errors import ConfigError
from unipixel.serving.options import ServeOptions

GRACE = 15
"""Seconds that requests under way get when the server is asked to end."""


class _Line(logging.Formatter):
    """A record as one line of JSON; access lines are JSON already."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "unipixel.access":
            return record.getMessage()
        line = {"time": round(record.created, 3), "level": record.levelname.lower(), "from": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def run(options: ServeOptions) -> None:
    """Serve until the process is asked to end. Raises ConfigError without the extra libraries."""
    try:
        import uvicorn

        from unipixel.serving.server import create_app
    except ImportError as error:
        raise ConfigError(f"serving needs {error.name}; install unipixel[serve]") from error
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "multipart", "python_multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uvicorn.run(
        create_app(options),
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
    )
