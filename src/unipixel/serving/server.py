"""The server: routes, what guards them, and what starts and ends with it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from unipixel.errors import UniPixelError
from unipixel.predictor import Predictor
from unipixel.serving import (
    files_api,
    history_api,
    jobs_api,
    openai_form,
    review_api,
    sessions_api,
    views_api,
)
from unipixel.serving.faults import Full
from unipixel.serving.gatekeeper import OPEN, Gatekeeper
from unipixel.serving.options import ServeOptions
from unipixel.serving.page_api import Page
from unipixel.serving.replies import error_reply
from unipixel.serving.reviewing import Reviewing
from unipixel.serving.service import Called, Service

DESCRIPTION = "Point at things in pictures and videos, ask about them, get text and masks."


def create_app(options: ServeOptions, opened: Predictor | None = None) -> FastAPI:
    """The application. opened: a model to use; by default that of the options is opened when it starts.

    Raises ConfigError for a data folder that cannot be written, OutputError for a folder that cannot be
    reviewed.
    """
    service = Service(options, opened)
    app = FastAPI(
        title="UniPixel",
        version=version("unipixel"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.reviewing = Reviewing(options.review, options.limits)
    for part in (openai_form, files_api, sessions_api, history_api, views_api, jobs_api, review_api):
        app.include_router(part.router)
    page = Page()
    app.include_router(page.router())
    _add_watching(app)
    _add_errors(app)
    app.add_middleware(Gatekeeper, service=service, open_paths=OPEN | page.paths)
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type"],
        )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    await service.start()
    yield
    await service.stop()


def _add_watching(app: FastAPI) -> None:
    @app.get("/health", tags=["watching"])
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/ready", tags=["watching"], responses={503: {"description": "not ready"}})
    async def ready(request: Request) -> Response:
        """Whether questions are answered: the model is there and nothing is shutting down."""
        service: Service = request.app.state.service
        if service.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready"}, 503, {"retry-after": "5"})

    @app.get("/metrics", tags=["watching"], response_class=PlainTextResponse)
    async def metrics(caller: Called) -> Response:
        """Counters in Prometheus' form."""
        service = caller.service
        service.metrics.waiting.set(service.worker.num_waiting)
        service.metrics.active.set(service.worker.num_active)
        service.metrics.sessions.set(len(service.sessions))
        service.metrics.clip_bytes.set(service.clips.nbytes)
        service.metrics.file_bytes.set(service.files.nbytes)
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UniPixelError)
    async def known(request: Request, error: UniPixelError) -> Response:
        return error_reply(request.app.state.service, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        places = [
            f"{'.'.join(str(part) for part in found['loc'][1:])[:200] or 'body'}: {found['msg'][:200]}"
            for found in error.errors()[:5]
        ]
        return _plain_error(422, "; ".join(places), "invalid_request_error", "RequestValidationError")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        cause = error.__cause__  # what went wrong while the body was read
        if isinstance(cause, UniPixelError):
            return error_reply(request.app.state.service, cause)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return error_reply(request.app.state.service, Full("the server's disk is full; try again later"))
        return _plain_error(error.status_code, str(error.detail), "invalid_request_error", "HTTPException")


def _plain_error(status: int, message: str, kind: str, code: str) -> JSONResponse:
    return JSONResponse(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}, status_code=status
    )
