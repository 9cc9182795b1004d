"""Running the application under uvicorn, with logs as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress

from unipixel.errors import ConfigError
from unipixel.serving.options import ServeOptions

GRACE = 15
"""Seconds that requests under way get when the server is asked to end."""

SWITCH = 0.0005
"""Seconds that a thread may keep the interpreter. The model's thread gives it away at every operation, and
would wait Python's 5 ms to have it back from whatever request is being read."""


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
    """Serve until the process is asked to end. Raises ConfigError without the extra libraries, and what is
    wrong with a model that cannot be opened."""
    try:
        import uvicorn

        from unipixel.serving.server import create_app
    except ImportError as error:
        raise ConfigError(f"serving needs {error.name}; install unipixel[serve]") from error
    sys.setswitchinterval(SWITCH)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "multipart", "python_multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app = create_app(options)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
    )

    def end() -> None:
        server.should_exit = True

    app.state.service.on_failure = end
    with suppress(KeyboardInterrupt):  # raised again by uvicorn once it has ended in good order
        server.run()
    if app.state.service.failure is not None:
        raise app.state.service.failure
    if not server.started:
        raise ConfigError(f"nothing can be served on {options.host}:{options.port}; is the port taken?")
