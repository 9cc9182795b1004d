"""Ref-SAV: long descriptions of objects in SA-V videos.

The masks are those of SA-V, on every fourth frame of the video; the clip is thinned to these frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unipixel.data.annotations import Masklet
from unipixel.data.files import Node
from unipixel.data.registry import Rows, Source, dataset
from unipixel.data.sample import Expression, Facts, Media, Sample

STEP = 4
"""SA-V annotates every fourth frame."""


@dataclass(frozen=True)
class Description:
    """One object of a video: paths are below the root; `object` is its place in the masklets."""

    vid: str
    object: int
    text: str
    video: tuple[str, ...]
    masks: tuple[str, ...]


@dataset(
    "ref_sav",
    task="segment",
    splits=("train",),
    licence="descriptions: not stated; SA-V videos and masks: CC BY 4.0",
    annotations="ref_sav/Ref-SAV-Min-Ratio-0.3.json, sav/sav_train/**/*_manual.json",
    media="sav/sav_train",
    repeats=(0, 0, 3),
)
def read_ref_sav(source: Source) -> Rows[Description]:
    """One sample for each described object."""
    file = source.json("ref_sav", "Ref-SAV-Min-Ratio-0.3.json")
    found: list[Description] = []
    for vid, clip in file.items():
        with source.part():
            video, masks = _below_sav(clip["video_path"]), _below_sav(clip["anno_path"])
            if not masks[-1].endswith("manual.json"):
                raise clip["anno_path"].error("a file of masks made by hand, *_manual.json")
            for name, described in clip["objects"].items():
                with source.part():
                    number = Node(described.file, f"{described.place} (its name)", name).integer()
                    found.append(Description(vid, number, described["formated"].text(), video, masks))
    return Rows(file.file, found, partial(_make, source), {"expressions": str(len(found))})


def _below_sav(path: Node) -> tuple[str, ...]:
    """`anything/sav_train/...` as `sav/sav_train/...`: the first folder is where the authors kept it."""
    parts = path.text().split("/")
    if len(parts) < 3 or parts[1] != "sav_train":
        raise path.error("FOLDER/sav_train/...")
    return ("sav", *parts[1:])


def _make(source: Source, item: Description) -> Sample:
    return Sample(
        dataset=source.name,
        id=f"{item.vid}/{item.object}",
        task="segment",
        media=Media(item.vid, video=source.path(*item.video), step=STEP),
        rounds=(Expression(item.text, "description", id=str(item.object)),),
        object_ids=(0,),
        masks=Masklet(source.path(*item.masks), item.object),
        facts=Facts({"obj_id": str(item.object)}),
    )
