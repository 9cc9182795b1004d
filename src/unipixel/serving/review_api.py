"""`/v1/review`: annotated objects, worst first, and what people decide about them. Empty unless the server
was started with `--review`; everybody who may come in sees the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from unipixel.archive.review import State
from unipixel.core.masks import FrameMask
from unipixel.core.media import check_sides
from unipixel.errors import RequestError
from unipixel.serving import sessions_api
from unipixel.serving.clips import content_of
from unipixel.serving.prompt_schema import Strict
from unipixel.serving.replies import json_reply
from unipixel.serving.reviewing import Listing, Reviewing, Row, Shown
from unipixel.serving.schema import ClipEntry, FrameEntry, ObjectId
from unipixel.serving.service import Called, Caller
from unipixel.serving.sessions_models import SessionEntry
from unipixel.serving.views_api import PNG, frame_png

router = APIRouter(prefix="/v1/review", tags=["review"])
Result = TypeVar("Result")


class ReviewRow(BaseModel):
    """An object under review. `question`: what was asked when it was found, null if it was marked; `worst`:
    the frame of its lowest quality; `lowest` and `mean` are null where nothing rated it; `folder`: which of
    `folders` it is in."""

    key: str
    folder: int
    item: str
    id: int
    name: str | None
    question: str | None
    frames: int
    worst: int
    lowest: float | None
    mean: float | None
    state: State

    @staticmethod
    def of(row: Row) -> ReviewRow:
        one = row.object
        return ReviewRow(
            key=row.key,
            folder=row.folder,
            item=one.item,
            id=one.id,
            name=one.name or None,
            question=one.question or None,
            frames=one.frames,
            worst=one.worst,
            lowest=one.lowest,
            mean=None if one.mean is None else round(one.mean, 4),
            state=one.state,
        )


class ReviewList(BaseModel):
    """Objects, worst first; `total` match the filter, `counts` is of all, by state. No `folders`: the server
    reviews nothing."""

    object: Literal["list"] = "list"
    folders: list[str]
    counts: dict[State, int]
    total: int
    data: list[ReviewRow]

    @staticmethod
    def of(found: Listing, folders: list[str]) -> ReviewList:
        rows = [ReviewRow.of(row) for row in found.rows]
        return ReviewList(folders=folders, counts=found.counts, total=found.total, data=rows)


class Rating(BaseModel):
    """The quality of a mask, 0 to 1."""

    frame: int
    quality: float


class ReviewObject(BaseModel):
    """An object with its masks: the corrected ones, if there are any. `ratings` are of the annotated ones."""

    row: ReviewRow
    clip: ClipEntry
    frames: list[FrameEntry]
    ratings: list[Rating]

    @staticmethod
    def of(shown: Shown) -> ReviewObject:
        about = shown.item.clip
        height, width = about["size"]
        clip = ClipEntry(
            name=shown.item.item, width=width, height=height, num_frames=about["num_frames"], fps=about["fps"]
        )
        frames = [FrameEntry.of(FrameMask(one.frame, one.rle, one.score, True), "rle") for one in shown.masks]
        ratings = [Rating(frame=frame, quality=quality) for frame, quality in shown.ratings.items()]
        return ReviewObject(row=ReviewRow.of(shown.row), clip=clip, frames=frames, ratings=ratings)


class DecisionBody(Strict):
    """accepted and rejected stand alone; corrected takes the masks of an `object` of a `session` that was
    opened for it."""

    decision: Literal["accepted", "corrected", "rejected"]
    session: Annotated[str, Field(max_length=100)] | None = None
    object: ObjectId | None = None


def _reviewing(caller: Caller) -> Reviewing:
    found: Reviewing = caller.request.app.state.reviewing
    return found


async def _ask(function: Callable[[], Result]) -> Result:
    """Disks are waited for in a thread."""
    return await run_in_threadpool(function)


@router.get("")
async def listing(
    caller: Called,
    state: State | None = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 200,
) -> ReviewList:
    """Objects under review, worst first."""
    reviewing = _reviewing(caller)
    found = await _ask(partial(reviewing.listing, state, offset, limit))
    return ReviewList.of(found, reviewing.names)


@router.get("/{key}", response_model=ReviewObject)
async def one_object(caller: Called, key: str) -> Response:
    """An object with its masks and their quality."""
    shown = await _ask(partial(_reviewing(caller).shown, key))
    return await asyncio.to_thread(lambda: json_reply(ReviewObject.of(shown)))


@router.get("/{key}/frames/{frame}.png", response_class=Response, responses=PNG)
async def frame_picture(caller: Called, key: str, frame: int) -> Response:
    """A frame of the object's clip."""
    clip = await _ask(partial(_reviewing(caller).clip, key))
    return Response(await _ask(partial(frame_png, clip, (), frame)), media_type="image/png")


@router.post("/{key}/decision")
async def decide(caller: Called, key: str, body: DecisionBody) -> ReviewRow:
    """Accept, correct or reject an object."""
    reviewing = _reviewing(caller)
    if body.decision == "corrected":
        return ReviewRow.of(await _correct(caller, key, body))
    if body.session is not None or body.object is not None:
        raise RequestError(f"{body.decision} takes no session and no object; only corrected does")
    return ReviewRow.of(await _ask(partial(reviewing.decide, key, body.decision)))


@router.delete("/{key}/decision")
async def undo(caller: Called, key: str) -> ReviewRow:
    """Take back what was decided about an object last."""
    return ReviewRow.of(await _ask(partial(_reviewing(caller).undo, key)))


@router.post("/{key}/session", status_code=201, response_model_exclude_none=True)
async def open_session(caller: Called, key: str) -> SessionEntry:
    """Open the object's clip as a session in which it can be corrected. The object has its number there; its
    best mask is what it is followed from, until more is pointed out."""
    service = caller.service
    model = service.model
    clip, item, known = await _ask(partial(_reviewing(caller).to_correct, key))
    check_sides(clip)
    number, place = service.sessions.new_place(caller.owner)
    try:
        content = await _ask(partial(content_of, caller.owner, clip))
        session = service.clips.open(model, content, clip)
        session.restore([known], (), known.id + 1)
        entry = await service.sessions.add(caller.owner, number, item[:200], session)
    except BaseException:  # a cancelled request, too, leaves nothing behind
        await _ask(partial(service.sessions.drop_place, place))
        raise
    return await sessions_api.about(caller, entry.id, "rle")


async def _correct(caller: Caller, key: str, body: DecisionBody) -> Row:
    if body.session is None or body.object is None:
        raise RequestError("corrected needs the session, and the object in it whose masks are right")
    number = body.object
    async with sessions_api.using(caller, body.session) as entry:
        session = entry.awake
        known = await caller.service.call(lambda: session[number])
        return await _ask(partial(_reviewing(caller).correct, key, session.clip, known))
