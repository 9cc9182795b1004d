"""What can go wrong between a caller and the server, with the status that says so."""

from __future__ import annotations

from http import HTTPStatus

from unipixel.errors import MediaError, OutputError, SessionError, UniPixelError


class Refusal(UniPixelError):
    """A request that the server does not serve; `status` is HTTP's, `retry_after` in seconds."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unknown(Refusal):
    """Nothing of this name, or nothing that this caller may see."""

    status = HTTPStatus.NOT_FOUND


class Unauthorised(Refusal):
    """No token, or a wrong one."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Refusal):
    """Something that this server does not allow."""

    status = HTTPStatus.FORBIDDEN


class Conflict(Refusal):
    """Something else is under way, or no longer possible."""

    status = HTTPStatus.CONFLICT


class TooLarge(Refusal):
    """More bytes, pixels or frames than this server takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Busy(Refusal):
    """Too many requests wait already."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Closing(Refusal):
    """The server is shutting down, or not ready yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class OutOfTime(Refusal):
    """The time limit was reached."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class Cancelled(Refusal):
    """The caller does not want it any more."""

    status = HTTPStatus.CONFLICT


class Full(Refusal):
    """The data folder or its disk is full."""

    status = HTTPStatus.INSUFFICIENT_STORAGE


class Broken(Refusal):
    """The server's own failure; its log has the details."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


def status_of(error: UniPixelError) -> HTTPStatus:
    """The status that says what went wrong."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, OutputError):
        return HTTPStatus.INSUFFICIENT_STORAGE
    if isinstance(error, SessionError) and "there is no object" in str(error):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, MediaError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.BAD_REQUEST
