"""YouTube-VOS and DAVIS: folders of frames, and folders of palette PNGs whose values are objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unipixel.data.annotations import read_labels
from unipixel.data.files import Node, inside, list_numbered, read_json
from unipixel.data.importers.common import OnNote, about, relative, unheard
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import Find, FrameSpan, ItemMedia, ItemObject, MaskPicture, Region, Round
from unipixel.data.sample import Exchange, Facts
from unipixel.errors import DataError

VOID = 255
"""Pixels that count neither way."""

_PICTURES = (".jpg", ".jpeg", ".png")


def import_vos(
    frames: Path, masks: Path, root: Path, metas: Sequence[Path] = (), on_note: OnNote = unheard
) -> Iterator[Item]:
    """One item for each expression of a video; without expressions one item for each video.

    Without expressions, a video whose objects have categories is asked for each category; one without is
    asked for its objects by pointing at them (task "remember").

    Args:
        frames: the folder with a folder of pictures for each video (`JPEGImages`, `JPEGImages/480p`).
        masks: the folder with a folder of PNGs for each video, named like the frames (`Annotations`).
        root: the folder that written paths are relative to.
        metas: `meta_expressions.json` and `meta.json`, or one of them; which is which shows by their content.
        on_note: told which objects and videos are left out.

    Raises:
        DataError: a file is missing or damaged, or names what is not there; with file and place.
        ConfigError: the folders are not inside the root.
    """
    known = _Metas.of(metas)
    videos = known.videos(masks)
    for vid in videos:
        if not inside(masks, vid).is_dir():
            on_note(f"{vid}: no masks, left out")
            continue
        clip = _Clip.of(vid, frames, masks, root, known)
        if known.expressions is not None:
            yield from _asked(clip, known.expressions["videos"][vid]["expressions"], on_note)
        elif clip.objects:
            yield _whole(clip)
        else:
            on_note(f"{vid}: no objects, left out")


@dataclass(frozen=True)
class _Metas:
    """What is said about the videos; None where there is no such file."""

    expressions: Node | None
    categories: Node | None

    @classmethod
    def of(cls, files: Sequence[Path]) -> _Metas:
        expressions = categories = None
        for file in files:
            meta = read_json(file)
            first = next((video for _, video in meta["videos"].items()), None)
            if first is not None and first.get("expressions"):
                expressions = meta
            elif first is not None and first.get("objects"):
                categories = meta
            else:
                raise meta["videos"].error('videos with "expressions" or "objects"')
        return cls(expressions, categories)

    def videos(self, masks: Path) -> list[str]:
        """Those that the files list, or else the folders with masks."""
        meta = self.expressions or self.categories
        if meta is not None:
            return [vid for vid, _ in meta["videos"].items()]
        try:
            return sorted(path.name for path in masks.iterdir() if path.is_dir())
        except OSError:
            raise DataError(masks, "", "no folder to list", "a folder of PNGs for each video") from None

    def category(self, vid: str, id: str) -> str:
        """Name of an object's category; empty where none is given."""
        video = self.categories["videos"].get(vid) if self.categories is not None else None
        thing = video["objects"].get(id) if video is not None else None
        return thing["category"].text() if thing is not None else ""


@dataclass(frozen=True)
class _Clip:
    """A video with its objects."""

    vid: str
    media: ItemMedia
    objects: tuple[ItemObject, ...]
    annotated: tuple[int, ...]
    ignored: tuple[Region, ...]

    @classmethod
    def of(cls, vid: str, frames: Path, masks: Path, root: Path, known: _Metas) -> _Clip:
        pictures = _frames(inside(frames, vid), vid, known.expressions)
        stems = {path.stem: number for number, path in enumerate(pictures)}
        seen: dict[int, list[Region]] = {}
        annotated, ignored = [], []
        for file in list_numbered(inside(masks, vid), (".png",)):
            if file.stem not in stems:
                raise DataError(file, "", "a mask of no frame", f"one of the frames of {inside(frames, vid)}")
            when = FrameSpan(stems[file.stem], stems[file.stem])
            annotated.append(when.first)
            for value in np.unique(read_labels(file)).tolist():
                region = Region(MaskPicture(relative(file, root), value), when)
                if value == VOID:
                    ignored.append(region)
                elif value:
                    seen.setdefault(value, []).append(region)
        objects = tuple(ItemObject(id, known.category(vid, str(id)), tuple(seen[id])) for id in sorted(seen))
        media = ItemMedia("frames", tuple(relative(path, root) for path in pictures), vid)
        return cls(vid, media, objects, tuple(sorted(annotated)), tuple(ignored))

    def item(self, id: str, rounds: Sequence[Round], objects: Sequence[ItemObject]) -> Item:
        return Item(
            id=id,
            task="segment" if isinstance(rounds[0], Find) else "remember",
            rounds=tuple(rounds),
            media=self.media,
            objects=tuple(objects),
            annotated="all" if len(self.annotated) == len(self.media.paths) else self.annotated,
            ignored=self.ignored,
            facts=Facts({"video": self.vid}),
        )


def _frames(folder: Path, vid: str, expressions: Node | None) -> list[Path]:
    """The frames that the expressions list, or else all of the folder."""
    found = list_numbered(folder, _PICTURES)
    if not found:
        raise DataError(folder, "", "no pictures", "the frames of this video")
    listed = expressions["videos"][vid].get("frames") if expressions is not None else None
    if listed is None:
        return found
    by_stem = {path.stem: path for path in found}
    for node in listed.list():
        if node.name() not in by_stem:
            raise node.error(f"one of the pictures of {folder}, without ending")
    return [by_stem[node.name()] for node in listed.list()]


def _asked(clip: _Clip, expressions: Node, on_note: OnNote) -> Iterator[Item]:
    """An item for each expression, with the objects that it means."""
    known = {thing.id: thing for thing in clip.objects}
    meant: set[int] = set()
    for name, expression in expressions.items():
        wanted = _targets(expression)
        meant |= set(wanted)
        objects = [known[id] for id in wanted if id in known]
        if len(objects) < len(wanted):
            # Out of sight, or masks that are not published: "nothing fits" would be a guess.
            on_note(f"{clip.vid}/{name}: objects {sorted(set(wanted) - set(known))} are on no mask, left out")
        if not objects and wanted:
            continue
        with about(expressions.file, expression.place):
            said = Find(expression["exp"].text(), tuple(thing.id for thing in objects), id=name)
            yield clip.item(f"{clip.vid}/{name}", [said], objects)
    left = sorted(set(known) - meant)
    if left:
        on_note(f"{clip.vid}: no expression means the objects {left}, left out")


def _targets(expression: Node) -> list[int]:
    target = expression.get("obj_id")
    if target is None:
        raise expression.error('"obj_id"')
    nodes = target.list() if isinstance(target.value, list) else [target]
    return list(dict.fromkeys(node.integer() for node in nodes))


def _whole(clip: _Clip) -> Item:
    """All objects of a video, asked for by category or by pointing."""
    rounds: list[Round] = []
    if all(thing.name for thing in clip.objects):
        names = dict.fromkeys(thing.name for thing in clip.objects)
        for name in names:
            rounds.append(Find(name, tuple(thing.id for thing in clip.objects if thing.name == name)))
    else:
        mentioned = ", ".join(f"[{thing.id}]" for thing in clip.objects)
        rounds.append(Exchange(f"Please segment {mentioned} in this video.", mentioned))
    return clip.item(clip.vid, rounds, clip.objects)
