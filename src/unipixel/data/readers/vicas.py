"""ViCaS: phrases for one or several things in short videos.

Published twice: for UniPixel one list of all annotations with the masks in files of their own, and by its
authors a file for each video with the masks in it. Both are read; the first is taken where it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unipixel.data.annotations import RegionMasks, StoredTrack, Track, vicas_masks
from unipixel.data.files import Node, inside, read_json
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Facts, Media, ObjectMasks, Sample

_LIST = ("vicas", "annotations", "annotations_wo_masks_v1.0.json")
_FOLDER = ("vicas", "annotations", "v1.0")

MASK_FILES = Option(
    "mask_files",
    ("referral", "track"),
    "What the number of masks/VIDEO/NUMBER.json counts (not checked). referral: the phrases of the video "
    "from 0, and a file lists the regions of all tracks of its phrase; the default because the format is "
    "described as one file for each object, and a phrase is one object. track: a file for each track id.",
)


@dataclass(frozen=True)
class Referral:
    """One phrase: its number in the video, what it says, and which tracks it means."""

    vid: str
    number: int
    text: str
    tracks: tuple[int, ...]
    frames: tuple[str, ...]
    file: Path | None
    """The file with the masks inside, where there is one for the video."""


@dataset(
    "vicas",
    task="segment",
    splits=("train", "val", "test"),
    licence="research only, not for commercial purposes",
    annotations="vicas/annotations/annotations_wo_masks_v1.0.json or vicas/annotations/v1.0/*.json, "
    "vicas/splits/v1.0/{train,val,test}.json, vicas/masks/*/*.json",
    media="vicas/video_frames",
    repeats=(0, 0, 3),
    options=(MASK_FILES,),
)
def read_vicas(source: Source) -> Rows[Referral]:
    """One sample for each phrase."""
    wanted = [_vid(node) for node in source.json("vicas", "splits", "v1.0", f"{source.split}.json").list()]
    is_list = source.path(*_LIST).is_file()
    annotations = source.json(*_LIST).list() if is_list else _annotation_files(source, wanted)
    found: list[Referral] = []
    asked, seen = set(wanted), set[str]()
    for annotation in annotations:
        with source.part():
            vid = annotation["filename"].text()[:6]
            if vid in asked:
                seen.add(vid)
                found += _referrals(vid, annotation, None if is_list else annotation.file)
    notes = {
        "expressions": str(len(found)),
        "videos without annotation": str(len(asked - seen)),
        "annotations": "one list" if is_list else "a file for each video",
    }
    return Rows(source.path(*(_LIST if is_list else _FOLDER)), found, partial(_make, source), notes)


def _vid(node: Node) -> str:
    """Six digits; the split files may have them as numbers or with more of the file's name."""
    return node.name().rjust(6, "0")[:6]


def _annotation_files(source: Source, wanted: Iterable[str]) -> Iterable[Node]:
    for vid in wanted:
        with source.part():
            yield read_json(source.path(*_FOLDER, f"{vid}.json"))


def _referrals(vid: str, annotation: Node, file: Path | None) -> list[Referral]:
    frames = tuple(entry["filename"].text() for entry in annotation["segmentations"].list())
    return [
        Referral(
            vid=vid,
            number=number,
            text=referral["prompt"].text(),
            tracks=tuple(track.integer() for track in referral["track_ids"].list()),
            frames=frames,
            file=file,
        )
        for number, referral in enumerate(annotation["object_referrals"].list())
    ]


def _make(source: Source, item: Referral) -> Sample:
    folder = source.path("vicas", "video_frames", item.vid)
    return Sample(
        dataset=source.name,
        id=f"{item.vid}/{item.number}",
        task="segment",
        media=Media(item.vid, tuple(inside(folder, name) for name in item.frames)),
        rounds=(Expression(item.text, "sentence", id=str(item.number)),),
        object_ids=(0,),
        masks=_masks(source, item),
        facts=Facts({"track_ids": ",".join(str(track) for track in item.tracks)}),
    )


def _masks(source: Source, item: Referral) -> ObjectMasks:
    frames = tuple(range(len(item.frames)))
    if item.file is not None:
        return RegionMasks((tuple(AnnotationTrack(item.file, track) for track in item.tracks),), frames)
    folder = source.path("vicas", "masks", item.vid)
    if source.choices["mask_files"] == "referral":
        return vicas_masks([inside(folder, f"{item.number}.json")], frames)
    tracks: tuple[Track, ...] = tuple(StoredTrack(folder / f"{track}.json") for track in item.tracks)
    return RegionMasks((tracks,), frames)


@dataclass(frozen=True)
class AnnotationTrack:
    """One track in the file of a video, which lists for each frame the tracks and their masks."""

    file: Path
    track: int

    def read(self) -> Node:
        """The track's region on each frame, None where it is not."""
        regions = [self._region(entry) for entry in read_json(self.file)["segmentations"].list()]
        return Node(self.file, f"track {self.track}", regions)

    def _region(self, entry: Node) -> object:
        tracks = [track.integer() for track in entry["track_ids"].list()]
        if self.track not in tracks:
            return None
        return entry["mask_rles"][tracks.index(self.track)].value
