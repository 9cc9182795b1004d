"""Taking back what was done to a session, and doing it again."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from unipixel.serving.prompt_schema import Strict
from unipixel.serving.schema import MaskFormat, ObjectEntry
from unipixel.serving.service import Called
from unipixel.serving.sessions_api import using

router = APIRouter(prefix="/v1/sessions/{session_id}/history", tags=["sessions"])


class PositionBody(Strict):
    """To where: the number of acts (questions, and changes of objects) that led there."""

    position: Annotated[int, Field(ge=0, le=10**9)]
    mask_format: MaskFormat = "rle"


class PositionEntry(BaseModel):
    """How many acts led to a session's present."""

    position: int


class MomentEntry(PositionEntry):
    """A session at a position."""

    data: list[ObjectEntry]
    next_id: int


@router.get("")
async def where(caller: Called, session_id: str) -> PositionEntry:
    """How many acts led to the present, once what is under way has ended."""
    async with using(caller, session_id) as entry:
        return PositionEntry(position=entry.history.position)


@router.post("", response_model_exclude_none=True)
async def go(caller: Called, session_id: str, body: PositionBody) -> MomentEntry:
    """Take back acts, or do them again: the session is then as it was at the position, numbers given since
    are free. The latest 60 are remembered until the server ends; 409 beyond them."""
    async with using(caller, session_id) as entry:
        session = entry.awake
        await caller.service.call(lambda: entry.history.go(session, body.position))
        await caller.service.sessions.keep(entry)
        known, next_id = session.objects, session.next_id
        position = entry.history.position
    found = await asyncio.to_thread(lambda: [ObjectEntry.of(one, body.mask_format) for one in known])
    return MomentEntry(position=position, data=found, next_id=next_id)
