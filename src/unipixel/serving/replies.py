"""What every route answers in the same way: errors in OpenAI's form, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from unipixel.errors import UniPixelError
from unipixel.serving.faults import Refusal, status_of

if TYPE_CHECKING:
    from unipixel.serving.service import Service
    from unipixel.serving.turns import Usage


def error_body(service: Service, error: UniPixelError) -> dict[str, Any]:
    """An error in OpenAI's form; no path of this machine is in it."""
    status = status_of(error)
    return {
        "error": {
            "message": service.folder.hidden(str(error)),
            "type": "server_error" if status >= 500 else "invalid_request_error",
            "param": None,
            "code": type(error).__name__,
        }
    }


def error_reply(service: Service, error: UniPixelError) -> JSONResponse:
    """The same as a reply, with its status and, where trying again makes sense, when."""
    headers = {}
    if isinstance(error, Refusal) and error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if status_of(error) == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(service, error), int(status_of(error)), headers)


def note(service: Service, usage: Usage) -> Usage:
    """Count the tokens of an answer."""
    service.metrics.tokens.labels("prompt").inc(usage.prompt)
    service.metrics.tokens.labels("completion").inc(usage.completion)
    return usage


def json_reply(content: BaseModel) -> Response:
    """A model as JSON without what is not there. Called in a thread, it keeps a large answer from holding up
    all others."""
    return Response(content.model_dump_json(exclude_none=True), media_type="application/json")
