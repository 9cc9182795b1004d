"""`/v1/files`: upload, list, read back, delete; in OpenAI's form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from unipixel.serving.service import Called
from unipixel.serving.store import StoredFile

router = APIRouter(prefix="/v1/files", tags=["files"])

PIECE = 2**18


class FileEntry(BaseModel):
    """OpenAI's file object."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str

    @staticmethod
    def of(file: StoredFile) -> FileEntry:
        return FileEntry(
            id=file.id,
            bytes=file.nbytes,
            created_at=int(file.created),
            filename=file.name,
            purpose=file.purpose,
        )


class FileList(BaseModel):
    """All files of the caller."""

    object: Literal["list"] = "list"
    data: list[FileEntry]
    has_more: bool = False


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    object: str
    deleted: bool = True


@router.post("")
async def upload(
    caller: Called,
    file: Annotated[UploadFile, File(description="A picture or video.")],
    purpose: Annotated[str, Form(max_length=64)] = "vision",
) -> FileEntry:
    """Store a picture or video; it must be one that can be opened."""
    service = caller.service
    stored = await service.files.add(caller.owner, file.filename or "file", purpose, _pieces(file))
    try:
        await run_in_threadpool(service.gate.open_files, [service.files.path(stored)])
    except BaseException:  # a cancelled request, too, leaves nothing behind
        service.files.remove(caller.owner, stored.id)
        raise
    return FileEntry.of(stored)


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


@router.get("")
async def listing(caller: Called) -> FileList:
    """All files of the caller."""
    return FileList(data=[FileEntry.of(file) for file in caller.service.files.list(caller.owner)])


@router.get("/{file_id}")
async def about(caller: Called, file_id: str) -> FileEntry:
    """One file."""
    return FileEntry.of(caller.service.files.get(caller.owner, file_id))


@router.get("/{file_id}/content", response_class=FileResponse)
async def content(caller: Called, file_id: str) -> FileResponse:
    """The bytes of a file; ranges are answered."""
    file = caller.service.files.get(caller.owner, file_id)
    return FileResponse(caller.service.files.path(file), media_type="application/octet-stream")


@router.delete("/{file_id}")
async def delete(caller: Called, file_id: str) -> Deleted:
    """Delete a file; sessions that were opened with it go on."""
    caller.service.files.remove(caller.owner, file_id)
    return Deleted(id=file_id, object="file")
