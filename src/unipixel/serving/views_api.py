"""What can be seen and taken away of a session: frames, masks, overlays, COCO JSON, palette PNGs."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import APIRouter
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from unipixel.core.media import Clip
from unipixel.core.objects import SessionObject
from unipixel.output.draw import overlay
from unipixel.output.export import ClipInfo, masks_document, write_overlay, write_palette_pngs
from unipixel.serving.faults import Unknown
from unipixel.serving.openai_form import check_interactive
from unipixel.serving.prompt_schema import png_bytes
from unipixel.serving.service import Called, Caller
from unipixel.serving.store import room

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["sessions"])

Responses: TypeAlias = dict[int | str, dict[str, Any]]
PNG: Responses = {200: {"content": {"image/png": {}}}}
BOTH: Responses = {200: {"content": {"image/png": {}, "video/mp4": {}}}}
ZIP: Responses = {200: {"content": {"application/zip": {}}}}


async def _seen(caller: Caller, session_id: str) -> tuple[Clip, tuple[SessionObject, ...]]:
    """The clip and the objects with masks, as they are now."""
    entry = caller.service.sessions.get(caller.owner, session_id)
    session = await caller.service.sessions.wake(entry, caller.service.model)
    known = await caller.service.call(lambda: session.objects)
    return session.clip, tuple(one for one in known if one.masks is not None)


@router.get("/frames/{frame}.png", response_class=Response, responses=PNG)
async def frame_picture(caller: Called, session_id: str, frame: int, overlay: bool = False) -> Response:
    """A frame; with `overlay`, all masks on it."""
    clip, known = await _seen(caller, session_id)
    content = await run_in_threadpool(frame_png, clip, known if overlay else (), frame)
    return Response(content, media_type="image/png")


@router.get("/objects/{object_id}/masks/{frame}.png", response_class=Response, responses=PNG)
async def mask_picture(caller: Called, session_id: str, object_id: int, frame: int) -> Response:
    """An object's mask on a frame, white where it is."""
    _, known = await _seen(caller, session_id)
    masks = next((one.masks for one in known if one.id == object_id), None)
    found = masks.at(frame) if masks is not None else None
    if found is None:
        raise Unknown(f"object [{object_id}] has no mask on frame {frame}")
    return Response(await run_in_threadpool(png_bytes, found.rle), media_type="image/png")


@router.get("/overlay", response_class=Response, responses=BOTH)
async def overlay_file(caller: Called, session_id: str) -> Response:
    """The clip with all masks on it: a PNG for a still, an MP4 for a video."""
    clip, known = await _seen(caller, session_id)
    check_interactive(caller, clip)
    suffix, kind = (".png", "image/png") if clip.is_image else (".mp4", "video/mp4")

    def write(folder: Path) -> bytes:
        with room():
            write_overlay(folder / f"overlay{suffix}", clip, _tracks(known), _names(known))
        return (folder / f"overlay{suffix}").read_bytes()

    with caller.service.folder.passing() as folder:
        return Response(await run_in_threadpool(write, folder), media_type=kind)


@router.get("/export/masks.json", response_class=JSONResponse)
async def masks_json(caller: Called, session_id: str) -> Response:
    """All masks as one document, the library's `masks.json`."""
    clip, known = await _seen(caller, session_id)
    found = await run_in_threadpool(masks_document, ClipInfo.of(clip), _tracks(known), _names(known))
    return JSONResponse(found)


@router.get("/export/coco.json", response_class=JSONResponse)
async def coco_json(caller: Called, session_id: str) -> Response:
    """All masks as COCO annotations, an image for each frame."""
    clip, known = await _seen(caller, session_id)
    return JSONResponse(await run_in_threadpool(coco_document, clip, known))


@router.get("/export/palette.zip", response_class=Response, responses=ZIP)
async def palette_zip(caller: Called, session_id: str) -> Response:
    """A palette PNG for each frame: 0 is background, object `id` has the value id + 1."""
    clip, known = await _seen(caller, session_id)
    check_interactive(caller, clip)
    with caller.service.folder.passing() as folder:
        content = await run_in_threadpool(_palette, folder, clip, known)
    return Response(content, media_type="application/zip")


def coco_document(clip: Clip, known: tuple[SessionObject, ...]) -> dict[str, Any]:
    """COCO: images, annotations with run lengths and `track_id`, a category for each name."""
    names = sorted({one.name or "object" for one in known})
    categories = {name: number for number, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    for one in known:
        for mask in one.masks or ():
            box = mask.rle.box
            if box is not None:
                x1, y1, x2, y2 = box
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": mask.index,
                        "category_id": categories[one.name or "object"],
                        "track_id": one.id,
                        "segmentation": mask.rle.to_coco(),
                        "area": mask.rle.area,
                        "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                        "iscrowd": 0,
                    }
                )
    images = [
        {"id": index, "file_name": f"{index:05d}.png", "width": clip.width, "height": clip.height}
        for index in range(clip.num_frames)
    ]
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}


def frame_png(clip: Clip, known: tuple[SessionObject, ...], index: int) -> bytes:
    """A frame with the masks of some objects on it; Unknown for one that there is not."""
    if not 0 <= index < clip.num_frames:
        raise Unknown(f"there is no frame {index}; the clip has frames 0 to {clip.num_frames - 1}")
    frame = clip.frame(index)
    masks = {one.id: found.rle.decode() for one in known if one.masks and (found := one.masks.at(index))}
    if masks:
        frame = overlay(frame, masks, _names(known))
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _palette(folder: Path, clip: Clip, known: tuple[SessionObject, ...]) -> bytes:
    with room(), tempfile.TemporaryFile(dir=folder) as stream:
        written = write_palette_pngs(folder / "palette", ClipInfo.of(clip), _tracks(known))
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for path in written:
                archive.write(path, path.name)
        stream.seek(0)
        return stream.read()


def _tracks(known: tuple[SessionObject, ...]) -> dict[int, Any]:
    return {one.id: one.masks for one in known if one.masks is not None}


def _names(known: tuple[SessionObject, ...]) -> dict[int, str]:
    return {one.id: one.name for one in known if one.name}
