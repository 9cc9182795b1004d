"""What is made from finished annotations: Parquet, COCO, palette PNGs, overlays."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipixel.archive.lines import Annotated, read_annotations
from unipixel.archive.settings import Output
from unipixel.archive.store import Store
from unipixel.archive.windows import from_spans
from unipixel.core.frames import Frame
from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.core.writing import replacing, write_picture, write_video
from unipixel.errors import ConfigError
from unipixel.output.draw import Palette, overlay

PNG_IDS = 255
ROWS = 50_000
"""Masks in a file of Parquet."""
WHOLE = "_SUCCESS"
"""The empty file that says that all partitions are there; readers of Parquet pass it over."""

Seen = dict[int, dict[int, RLE]]
"""By frame, then by object."""


def export(store: Store, output: Output) -> None:
    """Make everything that is wanted beside the lines and not newer than they are."""
    if not output.extras and output.format == "jsonl":
        return
    lines, folder = store.annotations, output.folder
    since = lines.stat().st_mtime_ns
    if output.format == "parquet" and not _is_newer(folder / "masks" / WHOLE, since):
        write_parquet(lines, folder)
    if "coco" in output.extras and not _is_newer(folder / "coco.json", since):
        write_coco(lines, folder / "coco.json")
    if output.extras & {"overlay", "png"}:
        for item in read_annotations(lines):
            if item.status != "failed":
                _picture(item, output, since)


def _picture(item: Annotated, output: Output, since: int) -> None:
    name, last = safe_name(item.item), from_spans(item.clip["frames"])[-1]
    pngs = output.folder / "png" / name
    if "png" in output.extras and not _is_newer(pngs / f"{last:06d}.png", since):
        write_pngs(item, pngs)
    overlays = output.folder / "overlays"
    drawn = any(_is_newer(overlays / f"{name}{suffix}", since) for suffix in (".png", ".mp4"))
    if "overlay" in output.extras and not drawn:
        write_overlay(item, overlays)


def _is_newer(file: Path, since: int) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= since


def safe_name(item: str) -> str:
    """An id as the name of a file or folder; ids that differ only in odd letters stay apart."""
    plain = re.sub(r"[^\w.\-]+", "_", item).strip("._")
    plain = plain.encode()[-120:].decode(errors="ignore")  # names of files are short in bytes, not letters
    if plain == item:
        return plain
    return f"{plain}.{hashlib.sha256(item.encode()).hexdigest()[:8]}"


def seen(item: Annotated) -> Seen:
    """Masks by frame."""
    found: Seen = {}
    for one in item.objects:
        for mask in one.masks:
            found.setdefault(mask.frame, {})[one.id] = mask.rle
    return found


# Pictures


def write_pngs(item: Annotated, folder: Path) -> None:
    """A palette PNG for each frame that was looked at, named by its number: 0 is background, object n is
    n + 1; where objects overlap the lowest number is seen. Objects beyond 254 are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = item.clip["size"]
    table, found = Palette().table(), seen(item)
    for frame in from_spans(item.clip["frames"]):
        labels: NDArray[np.uint8] = np.zeros((height, width), dtype=np.uint8)
        for number, mask in sorted(found.get(frame, {}).items(), reverse=True):
            if number < PNG_IDS:
                labels[mask.decode()] = number + 1
        picture = Image.fromarray(labels)
        picture.putpalette(table)
        with replacing(folder / f"{frame:06d}.png") as temporary:
            picture.save(temporary, format="PNG")


def write_overlay(item: Annotated, folder: Path) -> None:
    """The masks over the frames that were looked at: a picture, or a video of their own pace."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [Path(path) for path in item.clip["media"]]
    clip = Clip.open(paths[0] if len(paths) == 1 else paths)
    names = {one.id: one.name for one in item.objects if one.name}
    numbers = from_spans(item.clip["frames"])
    frames = _drawn(clip, numbers, seen(item), names)
    target = folder / safe_name(item.item)
    if clip.is_image:
        write_picture(target.with_name(target.name + ".png"), next(frames))
        return
    seconds = clip.times[numbers[-1]] - clip.times[numbers[0]]
    fps = (len(numbers) - 1) / seconds if seconds > 0 else clip.fps
    write_video(target.with_name(target.name + ".mp4"), frames, fps)


def _drawn(clip: Clip, numbers: list[int], found: Seen, names: Mapping[int, str]) -> Iterator[Frame]:
    wanted = set(numbers)
    for index, frame in clip.walk(numbers[0], numbers[-1] + 1):
        if index in wanted:
            masks = {number: mask.decode() for number, mask in found.get(index, {}).items()}
            yield overlay(frame, masks, names)


# COCO


def write_coco(annotations: Path, file: Path) -> None:
    """One file in the form of COCO's instances: an image for each frame that was looked at, an annotation for
    each mask, a category for each question or name; `track_id` tells which masks of a video are one object.

    Written as it is read: nothing but the categories is held.
    """
    categories: dict[str, int] = {}
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"info":{"description":"UniPixel annotations"},"images":[')
        firsts = _write_images(annotations, stream)
        stream.write('],"annotations":[')
        _write_masks(annotations, stream, firsts, categories)
        rows = [{"id": number, "name": name} for name, number in categories.items()]
        stream.write(f'],"categories":{_dumps(rows)}}}\n')


def _write_images(annotations: Path, stream: TextIO) -> dict[str, int]:
    """The number of each item's first image."""
    firsts: dict[str, int] = {}
    count = 0
    for item in read_annotations(annotations):
        if item.status == "failed":
            continue
        firsts[item.item] = count + 1
        height, width = item.clip["size"]
        media = item.clip["media"]
        for frame in from_spans(item.clip["frames"]):
            count += 1
            file = media[frame] if len(media) > 1 else media[0]
            about = {"id": count, "file_name": file, "width": width, "height": height}
            _append(stream, {**about, "video": item.item, "frame": frame}, count == 1)
    return firsts


def _write_masks(
    annotations: Path, stream: TextIO, firsts: Mapping[str, int], categories: dict[str, int]
) -> None:
    count = tracks = 0
    for item in read_annotations(annotations):
        if item.item not in firsts:
            continue
        images = {
            frame: firsts[item.item] + place for place, frame in enumerate(from_spans(item.clip["frames"]))
        }
        for one in item.objects:
            tracks += 1
            query = item.queries[one.query]
            name = one.name or query.get("ask") or "object"
            category = categories.setdefault(name, len(categories) + 1)
            for mask in one.masks:
                count += 1
                x1, y1, x2, y2 = mask.rle.box or (0, 0, -1, -1)
                entry = {
                    "id": count,
                    "image_id": images[mask.frame],
                    "category_id": category,
                    "track_id": tracks,
                    "segmentation": mask.rle.to_coco(),
                    "area": mask.rle.area,
                    "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                    "iscrowd": 0,
                    "score": mask.score,
                }
                _append(stream, entry, count == 1)


def _append(stream: TextIO, entry: Mapping[str, Any], is_first: bool) -> None:
    stream.write(("" if is_first else ",") + "\n" + _dumps(entry))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


# Parquet


def write_parquet(annotations: Path, folder: Path) -> None:
    """Two tables in place of the lines, in partitions of about ROWS masks:

    items/part=00000/items.parquet    item, status, digest, media, height, width, num_frames, fps, and as JSON
                                      frames, queries, answers, failures
    masks/part=00000/masks.parquet    item, object, query, name, frame, time, score, quality, area, height,
                                      width, counts

    Partitions of an earlier run go first; masks/_SUCCESS is written last.
    """
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    item_schema, mask_schema = _schemas(pyarrow)
    _clear(folder)
    part, items, masks = 0, list[dict[str, Any]](), list[dict[str, Any]]()

    def flush() -> None:
        for name, rows, schema in (("items", items, item_schema), ("masks", masks, mask_schema)):
            target = folder / name / f"part={part:05d}"
            target.mkdir(parents=True, exist_ok=True)
            with replacing(target / f"{name}.parquet") as temporary:
                parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), temporary)

    for item in read_annotations(annotations):
        items.append(_item_row(item))
        masks += _mask_rows(item)
        if len(masks) >= ROWS or len(items) >= ROWS:
            flush()
            part, items, masks = part + 1, [], []
    if items or part == 0:
        flush()
    (folder / "masks" / WHOLE).touch()


def _clear(folder: Path) -> None:
    """Take away the partitions of an earlier run: there may be more of them than of this one."""
    (folder / "masks" / WHOLE).unlink(missing_ok=True)
    for name in ("items", "masks"):
        for old in (folder / name).glob(f"part=*/{name}.parquet"):
            old.unlink()
            old.parent.rmdir()


def _schemas(arrow: Any) -> tuple[Any, Any]:
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    of_items = {"item": text, "status": text, "digest": text, "media": arrow.list_(text), "height": whole}
    of_items |= {"width": whole, "num_frames": whole, "fps": real, "frames": text, "queries": text}
    of_items |= {"answers": text, "failures": text}
    of_masks = {"item": text, "object": whole, "query": whole, "name": text, "frame": whole, "time": real}
    of_masks |= {"score": real, "quality": real, "area": whole, "height": whole, "width": whole}
    of_masks |= {"counts": arrow.binary()}
    return arrow.schema(list(of_items.items())), arrow.schema(list(of_masks.items()))


def _item_row(item: Annotated) -> dict[str, Any]:
    height, width = item.clip.get("size", (None, None))
    return {
        "item": item.item,
        "status": item.status,
        "digest": item.digest,
        "media": list(item.clip.get("media", ())),
        "height": height,
        "width": width,
        "num_frames": item.clip.get("num_frames"),
        "fps": item.clip.get("fps"),
        "frames": _dumps(item.clip.get("frames")),
        "queries": _dumps(item.queries),
        "answers": _dumps(item.answers),
        "failures": _dumps(item.failures),
    }


def _mask_rows(item: Annotated) -> list[dict[str, Any]]:
    return [
        {
            "item": item.item,
            "object": one.id,
            "query": one.query,
            "name": one.name,
            "frame": mask.frame,
            "time": mask.time,
            "score": mask.score,
            "quality": mask.quality,
            "area": mask.rle.area,
            "height": mask.rle.height,
            "width": mask.rle.width,
            "counts": mask.rle.counts,
        }
        for one in item.objects
        for mask in one.masks
    ]


def check_exports(output: Output) -> None:
    """ConfigError before any work if something that the output needs is not installed."""
    if output.format == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise ConfigError("Parquet is written with pyarrow: pip install 'unipixel[archive]'") from error
