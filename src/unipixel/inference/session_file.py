"""Sessions on disk: one file that holds everything a person made, and from which all else is computed again.

The file is a zip: `session.json` (objects, prompts, masks as RLE, exchanges), `said.safetensors` (hidden
tokens of the language model) and, where the clip is not read from files or they are to be taken along,
`clip/`.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from unipixel.core.frames import Frame
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip, Source
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.progress import OnProgress
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble
from unipixel.core.request import PixelBudget
from unipixel.core.writing import replacing
from unipixel.errors import MediaError, SessionError
from unipixel.inference.questions import Exchange
from unipixel.inference.session import Opened, Session
from unipixel.model.quantise import plain_state
from unipixel.model.unipixel import UniPixel

FORMAT, VERSION = "unipixel-session", 1
ABOUT, SAID, CLIP = "session.json", "said.safetensors", "clip/"
MOST_JSON, MOST_SAID, MOST_FRAME = 2**31, 2**26, 2**30
"""Bytes that the parts of a file may have when they are unpacked: no file may fill the memory."""
EDGE = 2**26
"""Bytes at either end of a clip's file that its fingerprint covers."""
SAMPLES = 16
"""Values of each weight that a model's fingerprint covers."""

_DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, OverflowError, EOFError, RuntimeError),
    *(zlib.error, lzma.LZMAError, RecursionError, SafetensorError),
)
"""What reading damaged content raises."""

Kind = TypeVar("Kind")


def save_session(session: Session, path: str | os.PathLike[str], *, with_clip: bool = False) -> None:
    """Write a session, all or nothing. A clip that is read from files is named, with a fingerprint, unless it
    is to be taken along (`with_clip`); frames held in memory are always taken along, without loss.

    Raises SessionError or OutputError.
    """
    target = Path(path)
    said = {str(known.id): known.said for known in session.objects if known.said is not None}
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        about = {
            "format": FORMAT,
            "version": VERSION,
            "model": {"name": session.model.config.name, "fingerprint": fingerprint(session.model)},
            "clip": _write_clip(archive, session.clip, target, with_clip),
            "num_frames": session.num_frames,
            "pixels": asdict(session.pixels) if session.pixels else None,
            "next_id": session.next_id,
            "exchanges": [asdict(exchange) for exchange in session.exchanges],
            "objects": [_object_entry(known) for known in session.objects],
        }
        archive.writestr(ABOUT, json.dumps(about, allow_nan=False))
        archive.writestr(SAID, save_tensors({name: np.ascontiguousarray(one) for name, one in said.items()}))


def load_session(
    path: str | os.PathLike[str],
    opened: Opened,
    clip: Source | None = None,
    *,
    keep_bytes: int,
    on_progress: OnProgress | None = None,
) -> Session:
    """Open a session as it was saved, with the model that it was made with.

    clip: where its picture or video is now, if it was moved. Raises SessionError, naming what is wrong, for
    files that are damaged, of another kind or version, made with another model, or about a clip that has
    changed.
    """
    file = Path(path)
    with _reading(file):
        about, said, frames = _read_archive(file)
        _check_model(file, _get(about, "model", dict), opened)
        session = Session(
            opened.model,
            opened.processor,
            _open_clip(file, _get(about, "clip", dict), frames, clip),
            num_frames=about["num_frames"],
            pixels=PixelBudget(**about["pixels"]) if about["pixels"] else None,
            keep_bytes=keep_bytes,
            on_progress=on_progress,
            way=opened.way,
        )
        exchanges = [
            Exchange(_get(one, "question", str), _get(one, "answer", str))
            for one in _get(about, "exchanges", list)
        ]
        objects = [_object(entry, said) for entry in _get(about, "objects", list)]
        session.restore(objects, exchanges, _get(about, "next_id", int))
    return session


class _Refused(SessionError):
    """What is wrong with a session file, said in full."""


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Whatever goes wrong inside is said of the file."""
    try:
        yield
    except (_Refused, MediaError):
        raise
    except FileNotFoundError as error:
        raise SessionError(f"{file}: there is no such file; check the path") from error
    except OSError as error:
        raise SessionError(f"{file}: cannot be read ({error.strerror or error})") from error
    except zipfile.BadZipFile as error:
        raise SessionError(f"{file}: this is no session file, or it is damaged ({error})") from error
    except _DAMAGE as error:
        raise SessionError(
            f"{file}: the session file is damaged ({error}); restore it from a copy"
        ) from error


def fingerprint(model: UniPixel) -> str:
    """What tells models apart: their choices, and names, shapes and a few values of their weights (whatever
    the precision they were opened in; int8 language models are others, one for each precision)."""
    config = model.config
    digest = hashlib.sha256(repr((config.region_order, config.seconds, config.hidden_tokens)).encode())
    for name, tensor in sorted(plain_state(model).items()):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, len(flat) // SAMPLES)].float().cpu().bfloat16().float().numpy()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(some.tobytes())
    return digest.hexdigest()


# Archive ---------------------------------------------------------------------------------------------------


def _read_archive(file: Path) -> tuple[dict[str, Any], Mapping[str, np.ndarray], list[Frame]]:
    """The description, the hidden tokens, and the frames that came along."""
    with zipfile.ZipFile(file) as archive:
        if ABOUT not in archive.namelist():
            raise _Refused(f"{file}: this is no session file of UniPixel; give one that session.save wrote")
        about = json.loads(_read_part(archive, ABOUT, MOST_JSON))
        _check_version(file, about)
        names = sorted(name for name in archive.namelist() if name.startswith(CLIP))
        frames = [_read_frame(_read_part(archive, name, MOST_FRAME)) for name in names]
        return about, load_tensors(_read_part(archive, SAID, MOST_SAID)), frames


def _read_part(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    if archive.getinfo(name).file_size > most:
        raise ValueError(f"{name} is larger than that of any session")
    return archive.read(name)


def _check_version(file: Path, about: Any) -> None:
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _Refused(f"{file}: this is no session file of UniPixel; give one that session.save wrote")
    if about.get("version") != VERSION:
        raise _Refused(
            f"{file}: the session file has version {about.get('version')!r}, this program reads {VERSION}; "
            "open it with the version that wrote it"
        )


def _check_model(file: Path, entry: dict[str, Any], opened: Opened) -> None:
    if _get(entry, "fingerprint", str) != fingerprint(opened.model):
        raise _Refused(
            f"{file}: the session was made with another model, {entry.get('name')!r}; open it with that one, "
            f"not with {opened.model.config.name!r}"
        )


def _get(entry: Any, key: str, kind: type[Kind]) -> Kind:
    """A field of a JSON object; ValueError unless it is there and of its kind."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is {value!r:.60}, expected {kind.__name__}")
    return value


# Clip ------------------------------------------------------------------------------------------------------


def _write_clip(archive: zipfile.ZipFile, clip: Clip, target: Path, with_clip: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": clip.name,
        "width": clip.width,
        "height": clip.height,
        "fps": clip.fps,
        "times": list(clip.times),
        "files": [],
    }
    if clip.files and not with_clip:
        entry["files"] = [_file_entry(path, target) for path in clip.files]
        return entry
    for index, frame in clip.walk():
        buffer = BytesIO()
        Image.fromarray(frame).save(buffer, "PNG", compress_level=1)
        archive.writestr(zipfile.ZipInfo(f"{CLIP}{index:08d}.png"), buffer.getvalue())
    return entry


def _file_entry(path: Path, target: Path) -> dict[str, Any]:
    near = ""
    with suppress(ValueError):  # another drive has no relative path
        near = os.path.relpath(path, target.absolute().parent)
    return {"path": str(path.absolute()), "near": near, "content": _content(path)}


def _content(path: Path) -> str:
    """A fingerprint of a file: its size, and what stands at either end of it."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            digest = hashlib.sha256(str(size).encode())
            stream.seek(0)
            digest.update(stream.read(EDGE))
            stream.seek(max(EDGE, size - EDGE))
            digest.update(stream.read(EDGE))
    except OSError as error:
        raise _Refused(f"{path}: the clip cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _open_clip(file: Path, entry: dict[str, Any], frames: Sequence[Frame], given: Source | None) -> Clip:
    files = _get(entry, "files", list)
    if given is not None:
        clip = Clip.open(given)
    elif files:
        found = [_find(file, one) for one in files]
        clip = Clip.open(found[0] if len(found) == 1 else found)
    elif frames:
        clip = Clip.open(list(frames))
    else:
        raise ValueError("it names no clip")
    times = tuple(float(moment) for moment in _get(entry, "times", list))
    fps = _get(entry, "fps", float)
    if not all(map(math.isfinite, times)) or not (math.isfinite(fps) and fps > 0):
        raise ValueError("the clip's times are no numbers")
    size = (entry.get("width"), entry.get("height"), len(times))
    if (clip.width, clip.height, clip.num_frames) != size:
        raise _Refused(
            f"{file}: the session is about {size[2]} frames of {size[0]}x{size[1]}, but {clip.name} has "
            f"{clip.num_frames} of {clip.width}x{clip.height}; give the clip that it was made on"
        )
    if given is not None and files and clip.files:
        _check_content(file, clip.files, files)
    return replace(clip, name=_get(entry, "name", str), fps=fps, times=times)


def _find(file: Path, entry: Any) -> Path:
    """The clip's file: beside the session, or where it was."""
    places = [file.absolute().parent / _get(entry, "near", str), Path(_get(entry, "path", str))]
    there = [place for place in places if place.is_file()]
    if not there:
        raise _Refused(f"{file}: the clip is not at {places[1]} any more; say where it is with clip=…")
    same = [place for place in there if _content(place) == _get(entry, "content", str)]
    if not same:
        _check_content(file, there[-1:], [entry])
    return same[0]


def _check_content(file: Path, found: Sequence[Path], entries: Sequence[Any]) -> None:
    for path, entry in zip(found, entries, strict=False):
        if _content(path) != _get(entry, "content", str):
            raise _Refused(
                f"{file}: {path} is not the clip that the session was made on: its content has changed"
            )


def _read_frame(content: bytes) -> Frame:
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"a frame is damaged: {error}") from error


# Objects ---------------------------------------------------------------------------------------------------


def _object_entry(known: SessionObject) -> dict[str, Any]:
    return {
        "id": known.id,
        "origin": known.origin,
        "name": known.name,
        "said_on": known.said_on,
        "pointer": _prompt_entry(known.pointer) if known.pointer else None,
        "pointings": [
            {
                "prompts": [_prompt_entry(prompt) for prompt in pointing.prompts],
                "corrects": pointing.corrects.to_coco() if pointing.corrects else None,
            }
            for pointing in known.pointings
        ],
        "masks": [
            {"frame": mask.index, "score": mask.score, "present": mask.present, "rle": mask.rle.to_coco()}
            for mask in known.masks or ()
        ],
    }


def _object(entry: Any, said: Mapping[str, np.ndarray]) -> SessionObject:
    number = _get(entry, "id", int)
    masks = [
        FrameMask(
            _get(mask, "frame", int),
            RLE.from_coco(_get(mask, "rle", dict)),
            _get(mask, "score", float),
            _get(mask, "present", bool),
        )
        for mask in _get(entry, "masks", list)
    ]
    pointer = _prompt(entry["pointer"]) if entry.get("pointer") else None
    if not isinstance(pointer, Point | Box | None):
        raise ValueError(f"object [{number}] is pointed at by a mask")
    return SessionObject(
        id=number,
        origin=entry["origin"],
        name=entry["name"],
        pointings=tuple(
            Pointing(
                tuple(_prompt(prompt) for prompt in _get(pointing, "prompts", list)),
                RLE.from_coco(pointing["corrects"]) if pointing.get("corrects") else None,
            )
            for pointing in _get(entry, "pointings", list)
        ),
        pointer=pointer,
        said=said.get(str(number)),
        said_on=_get(entry, "said_on", int) if "said_on" in entry else 0,
        masks=MaskTrack(tuple(masks)) if masks else None,
    )


def _prompt_entry(prompt: Prompt) -> dict[str, Any]:
    if isinstance(prompt, RegionMask):
        return {"kind": "mask", "frame": prompt.frame, "rle": RLE.from_mask(prompt.mask).to_coco()}
    kind = {Point: "point", Box: "box", Scribble: "scribble"}[type(prompt)]
    return {"kind": kind, **asdict(prompt)}


def _prompt(entry: Any) -> Prompt:
    kind = _get(entry, "kind", str)
    fields = {name: value for name, value in entry.items() if name != "kind"}
    if kind == "mask":
        return RegionMask(RLE.from_coco(fields["rle"]).decode(), fields["frame"])
    if kind == "scribble":
        return Scribble(**fields)
    if kind not in ("point", "box"):
        raise ValueError(f"a prompt of the kind {kind!r}")
    return Point(**fields) if kind == "point" else Box(**fields)
