"""Results on disk: masks as JSON (COCO run lengths), as palette PNGs, and drawn over the clip.

Tracks are given by object id, ids count from 0. Every file appears whole or not at all.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.pixels import Mask
from unipixel.core.writing import replacing, write_picture, write_video
from unipixel.errors import MediaError, OutputError, PromptError
from unipixel.output.draw import Palette, overlay

Tracks = Mapping[int, MaskTrack]
Names = Mapping[int, str]

_MOST_OBJECTS = 255  # a palette has 256 entries and index 0 is the background


@dataclass(frozen=True)
class ClipInfo:
    """What a result must know of its clip: size in pixels, number of frames, frames per second."""

    width: int
    height: int
    num_frames: int
    fps: float

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.num_frames) < 1 or not (
            math.isfinite(self.fps) and self.fps > 0
        ):
            raise PromptError(
                f"A clip of {self.width}x{self.height}, {self.num_frames} frames at {self.fps} a second is "
                "impossible; "
                "all four must be above 0."
            )

    @classmethod
    def of(cls, clip: Clip) -> "ClipInfo":
        """The facts of an open clip."""
        return cls(clip.width, clip.height, clip.num_frames, clip.fps)


@dataclass(frozen=True)
class SavedMasks:
    """A masks document that was read back."""

    clip: ClipInfo
    tracks: dict[int, MaskTrack]
    names: dict[int, str]


def masks_document(clip_info: ClipInfo, tracks: Tracks, names: Names | None = None) -> dict[str, Any]:
    """All masks as a document ready for JSON, objects by increasing id.

    `{"clip": {"width", "height", "num_frames", "fps"}, "objects": [{"id", "name", "frames": [{"index",
    "present", "score", "area", "box", "rle": {"size", "counts"}}]}]}`; a box is [x1, y1, x2, y2], corners
    inside the object, or null; an object without a name is called "object <id>".

    Raises:
        OutputError: a track does not fit the clip.
    """
    _check_tracks(clip_info, tracks)
    names = names or {}
    objects = [
        {
            "id": object_id,
            "name": names.get(object_id, f"object {object_id}"),
            "frames": [_frame_entry(frame) for frame in tracks[object_id]],
        }
        for object_id in sorted(tracks)
    ]
    clip = {
        "width": clip_info.width,
        "height": clip_info.height,
        "num_frames": clip_info.num_frames,
        "fps": clip_info.fps,
    }
    return {"clip": clip, "objects": objects}


def write_masks_json(path: str | Path, document: Mapping[str, Any]) -> None:
    """Write a `masks_document` as one JSON file.

    Raises:
        OutputError: the folder cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(
            json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_masks_json(path: str | Path) -> SavedMasks:
    """Read what `write_masks_json` wrote, checking everything.

    Raises:
        MediaError: the file is missing, is no JSON or no masks document; the message says what is wrong.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        clip = ClipInfo(**document["clip"])
        names = {int(entry["id"]): str(entry["name"]) for entry in document["objects"]}
        tracks = {int(entry["id"]): _track(entry["frames"]) for entry in document["objects"]}
        if len(tracks) < len(document["objects"]):
            raise PromptError("two objects have the same id")
        _check_tracks(clip, tracks)
    except OSError as error:
        raise MediaError(f"{path}: the masks cannot be read ({error.strerror}); check the path.") from error
    except KeyError as error:
        raise MediaError(f"{path}: the masks document has no {error}; write it again.") from error
    except (TypeError, ValueError) as error:
        raise MediaError(f"{path}: not a masks document ({error}); write it again.") from error
    return SavedMasks(clip, tracks, names)


def write_palette_pngs(
    folder: str | Path, clip_info: ClipInfo, tracks: Tracks, palette: Palette | None = None
) -> list[Path]:
    """Write one palette PNG for each frame of the clip: 00000.png, 00001.png, ...

    Pixel value 0 is background, object `id` has the value id + 1. A pixel of several objects gets the lowest
    id: a palette PNG cannot hold overlaps, the JSON document can. A frame that a track lacks has nothing of
        that object.
    The pictures are made in a temporary folder first and then take their places one by one.

    Returns:
        The files, in the order of the frames.

    Raises:
        OutputError: a track does not fit the clip, an id is above 254, or the folder cannot be written.
    """
    folder = Path(folder)
    _check_tracks(clip_info, tracks)
    if tracks and max(tracks) >= _MOST_OBJECTS:
        raise OutputError(
            f"Object {max(tracks)} does not fit a palette PNG, ids end at {_MOST_OBJECTS - 1}; write JSON."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=".masks-", dir=folder))
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); give a folder that is writable."
        ) from error
    table = (palette or Palette()).table()
    try:
        names = [f"{index:05d}.png" for index in range(clip_info.num_frames)]
        for name, labels in zip(names, _label_maps(clip_info, tracks), strict=True):
            picture = Image.fromarray(labels)
            picture.putpalette(table)
            picture.save(workshop / name, optimize=False)
        for name in names:
            (workshop / name).replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); give a folder that is writable."
        ) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return [folder / name for name in names]


def write_overlay(path: str | Path, clip: Clip, tracks: Tracks, names: Names | None = None) -> None:
    """Draw the masks over the clip: a picture (.png, .jpg) for a still, a video (.mp4) otherwise, frame by
    frame.

    A video of variable frame rate is written at its mean rate.

    Raises:
        OutputError: a track does not fit the clip, the suffix does not fit a still or a video, or the folder
        cannot be written.
    """
    _check_tracks(ClipInfo.of(clip), tracks)
    drawn = (overlay(frame, _masks_at(tracks, index), names) for index, frame in clip.walk())
    if clip.is_image:
        write_picture(path, next(drawn))
    else:
        write_video(path, drawn, clip.fps)


def _frame_entry(frame: FrameMask) -> dict[str, Any]:
    box = frame.rle.box
    return {
        "index": frame.index,
        "present": bool(frame.present),
        "score": float(frame.score),
        "area": frame.rle.area,
        "box": None if box is None else list(box),
        "rle": frame.rle.to_coco(),
    }


def _track(entries: list[dict[str, Any]]) -> MaskTrack:
    return MaskTrack(
        tuple(
            FrameMask(
                int(entry["index"]),
                RLE.from_coco(entry["rle"]),
                float(entry["score"]),
                bool(entry["present"]),
            )
            for entry in entries
        )
    )


def _check_tracks(clip: ClipInfo, tracks: Tracks) -> None:
    for object_id, track in tracks.items():
        if object_id < 0:
            raise OutputError(f"Object {object_id} cannot be written; object ids count from 0.")
        if (track.width, track.height) != (clip.width, clip.height):
            raise OutputError(
                f"The masks of object {object_id} are {track.width}x{track.height}, the clip is "
                f"{clip.width}x{clip.height}; resize the masks to the clip."
            )
        if track.indices[-1] >= clip.num_frames:
            raise OutputError(
                f"Object {object_id} has a mask on frame {track.indices[-1]}, the clip has {clip.num_frames} "
                "frames; "
                "give the clip that the masks were made for."
            )


def _masks_at(tracks: Tracks, index: int) -> dict[int, Mask]:
    found = ((object_id, track.at(index)) for object_id, track in tracks.items())
    return {object_id: frame.rle.decode() for object_id, frame in found if frame is not None}


def _label_maps(clip: ClipInfo, tracks: Tracks) -> Iterator[NDArray[np.uint8]]:
    for index in range(clip.num_frames):
        labels = np.zeros((clip.height, clip.width), dtype=np.uint8)
        masks = _masks_at(tracks, index)
        for object_id in sorted(masks, reverse=True):
            labels[masks[object_id]] = object_id + 1
        yield labels
