"""Videos with expressions: MeViS, ReVOS, LV-VIS, Ref-YouTube-VOS, Ref-DAVIS17 and the test part of Ref-SAV.

All have one layout: a file that lists the frames and expressions of each
video, a folder of frames for each video, and one file with all masks. There are two ways to find an
expression's masks: by its `anno_id`s (JSON), or by its place in a count of all expressions (pickle). One
expression is one object, the union of its instances, and one sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from unipixel.data.annotations import GivenTrack, RegionMasks, TableTrack, Track, is_empty_region
from unipixel.data.files import Node, inside
from unipixel.data.long_json import JsonTable
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Expression, Facts, Form, Media, ObjectMasks, Sample
from unipixel.errors import DataError

Key: TypeAlias = tuple[str, str]
"""(video, expression), as the file calls them."""

_FACTS = ("type_id", "height", "width")

MASK_ORDER = Option(
    "mask_order",
    ("auto", "json", "string_sorted", "sorted"),
    "How expressions are counted to find their masks (quirk Q3). Readers of these files disagree once a "
    "video has more than 10 expressions: json counts them as the file lists them (the published training), "
    "string_sorted sorts the expressions of each video as text (0, 1, 10, 2, ...), sorted the videos too "
    "(the published evaluation). auto is the default because only one count can be right for a given file: "
    "it takes the one under which the masks fit the videos' lengths and expressions for one object share its "
    "masks, and json where several do.",
)


@dataclass(frozen=True)
class Layout:
    """Where one data set differs from the others; `{split}` stands for the split.

    Attributes:
        meta: the file with videos and expressions.
        pictures: the folder with a folder of frames for each video.
        original: where the authors' own download has that folder, if elsewhere; taken where it exists.
        masks: the file with the masks.
        unmasked: splits whose masks are not published.
        form: how expressions name their objects; "by_ending": a sentence if it ends with "?", else a query.
        drops: splits whose expressions without target are left out.
        crops: splits in which videos under `TAO/` are cut to what is annotated.
        foreground: the file with all annotated instances of each video, for the other splits; empty for none.
        spaces: whether "_" in expressions stands for a space.
    """

    meta: str
    pictures: str
    masks: str
    original: str = ""
    unmasked: tuple[str, ...] = ()
    form: Form | Literal["by_ending"] = "query"
    drops: tuple[str, ...] = ()
    crops: tuple[str, ...] = ()
    foreground: str = ""
    spaces: bool = False


@dataclass(frozen=True)
class Entry:
    """One expression as the file has it; masks are looked up when the sample is made.

    Attributes:
        vid: the video.
        id: the expression's name, unique in its video.
        text: as published.
        frames: the video's frames that remain.
        annotations: keys of the masks whose union it is.
        offset: how many frames were cut from the beginning.
        length: how many frames the video had.
        targets: numbers of its instances.
        facts: what evaluation wants to know.
        place: where it stands in the file.
    """

    vid: str
    id: str
    text: str
    frames: tuple[str, ...]
    annotations: tuple[str, ...]
    offset: int
    length: int
    targets: tuple[str, ...]
    facts: Facts
    place: str


def read_expressions(layout: Layout, source: Source) -> Rows[Entry]:
    """Read one split."""
    if layout.original and source.path(*_path(layout.original, source)).is_dir():
        layout = replace(layout, pictures=layout.original)
    meta = source.json(*_path(layout.meta, source))
    entries: list[Entry] = []
    for vid, video in meta["videos"].items():
        with source.part():
            frames = tuple(name.name() for name in video["frames"].list())
            for id, expression in video["expressions"].items():
                with source.part():
                    entries.append(_entry(layout, vid, id, frames, video, expression))
    notes: dict[str, str] = {"expressions": str(len(entries))}
    store = _open_masks(layout, source, entries, notes)
    if isinstance(store, Counted):
        entries = [replace(entry, annotations=(store.keys[entry.vid, entry.id],)) for entry in entries]
    if source.split in layout.drops:
        kept = [entry for entry in entries if entry.targets]
        notes["left out without target"] = str(len(entries) - len(kept))
        entries = kept
    if source.split in layout.crops and isinstance(store, JsonTable):
        cropped = _crop(entries, store)
        notes["left out as too short"] = str(len(entries) - len(cropped))
        entries = cropped
    foreground = _open_foreground(layout, source, notes)
    make = partial(_make, layout, source, store, foreground)
    return Rows(meta.file, entries, make, notes)


def _path(pattern: str, source: Source) -> tuple[str, ...]:
    return tuple(pattern.format(split=source.split).split("/"))


def _entry(
    layout: Layout, vid: str, id: str, frames: tuple[str, ...], video: Node, expression: Node
) -> Entry:
    facts = {
        name: found.name() for name in _FACTS for found in [expression.get(name) or video.get(name)] if found
    }
    targets = _names(expression.get("obj_id"))
    if targets:
        facts["obj_id"] = ",".join(targets)
    text = expression["exp"].text()
    return Entry(
        vid=vid,
        id=id,
        text=text.replace("_", " ") if layout.spaces else text,
        frames=frames,
        annotations=_names(expression.get("anno_id")),
        offset=0,
        length=len(frames),
        targets=targets,
        facts=Facts(facts),
        place=expression.place,
    )


def _names(node: Node | None) -> tuple[str, ...]:
    """One id or a list of ids, numbers or texts."""
    if node is None:
        return ()
    if isinstance(node.value, list | tuple):
        return tuple(item.name() for item in node.list())
    return (node.name(),)


# Masks


@dataclass(frozen=True, eq=False)
class Counted:
    """Masks under the place of each expression in a count of them all."""

    tracks: Mapping[str, Node]
    keys: Mapping[Key, str]


Store: TypeAlias = JsonTable | Counted | None


def _open_masks(layout: Layout, source: Source, entries: Sequence[Entry], notes: dict[str, str]) -> Store:
    if source.split in layout.unmasked:
        notes["masks"] = "not published for this split"
        return None
    path = _path(layout.masks, source)
    if path[-1].endswith(".json"):
        return source.table(*path)
    masks = source.pickle(*path)
    tracks = dict(masks.items())
    with source.part():
        if len(tracks) != len(entries):
            raise masks.error(f"masks of the {len(entries)} expressions")
    order = source.choices["mask_order"]
    if order == "auto":
        order = fitting_order(entries, tracks)
        notes["mask_order"] = order
    return Counted(tracks, _keys(ORDERS[order](entries)))


def _in_file(entries: Sequence[Entry]) -> list[Key]:
    return [(entry.vid, entry.id) for entry in entries]


def _sorted_in_videos(entries: Sequence[Entry]) -> list[Key]:
    first = {vid: place for place, vid in enumerate(dict.fromkeys(entry.vid for entry in entries))}
    return sorted(_in_file(entries), key=lambda key: (first[key[0]], key[1]))


def _sorted(entries: Sequence[Entry]) -> list[Key]:
    return sorted(_in_file(entries))


ORDERS = {"json": _in_file, "string_sorted": _sorted_in_videos, "sorted": _sorted}
"""How expressions can be counted; ids are compared as text."""


def _keys(order: Sequence[Key]) -> dict[Key, str]:
    return {key: str(place) for place, key in enumerate(order)}


def fitting_order(entries: Sequence[Entry], tracks: Mapping[str, Node]) -> str:
    """The name of the count under which the fewest expressions have masks that cannot be theirs; of equal
    ones the first in ORDERS."""
    return min(ORDERS, key=lambda name: _misfits(entries, tracks, _keys(ORDERS[name](entries))))


def _misfits(entries: Iterable[Entry], tracks: Mapping[str, Node], keys: Mapping[Key, str]) -> int:
    """Expressions whose masks have another length than their video, or differ from those of an earlier
    expression for the same object."""
    first: dict[tuple[str, tuple[str, ...]], Any] = {}
    wrong = 0
    for entry in entries:
        node = tracks.get(keys[entry.vid, entry.id])
        if node is None or is_empty_region(node.value):
            continue
        is_other = first.setdefault((entry.vid, entry.targets), node.value) != node.value
        wrong += is_other or len(node.list()) != entry.length
    return wrong


# Cutting what is not annotated


def _crop(entries: Sequence[Entry], table: JsonTable) -> list[Entry]:
    """Videos under `TAO/` without the frames before the first and behind the last mask; groups of expressions
    for the same objects go by the first of them, and those with fewer than 2 frames are left out."""
    spans: dict[tuple[str, tuple[str, ...]], tuple[int, int]] = {}
    kept: list[Entry] = []
    for entry in entries:
        if not entry.vid.startswith("TAO/"):
            kept.append(entry)
            continue
        group = entry.vid, tuple(sorted(entry.targets))
        if group not in spans:
            spans[group] = _annotated_span(entry, table)
        start, stop = spans[group]
        if stop - start >= 2:
            kept.append(replace(entry, frames=entry.frames[start:stop], offset=start))
    return kept


def _annotated_span(entry: Entry, table: JsonTable) -> tuple[int, int]:
    """First annotated frame and one behind the last; (0, 0) for none."""
    tracks = [table[key].list() for key in entry.annotations]
    seen = [
        place
        for place in range(entry.length)
        if any(place < len(track) and not is_empty_region(track[place].value) for track in tracks)
    ]
    return (seen[0], seen[-1] + 1) if seen else (0, 0)


# Samples


def _open_foreground(layout: Layout, source: Source, notes: dict[str, str]) -> JsonTable | None:
    """All annotated instances of each video, where the file is there: only one metric needs it."""
    if not layout.foreground or source.split in layout.crops:
        return None
    path = _path(layout.foreground, source)
    if not source.path(*path).is_file():
        notes["foreground"] = f"{'/'.join(path)} is not there; robustness cannot be scored"
        return None
    return source.table(*path)


def _make(layout: Layout, source: Source, store: Store, foreground: JsonTable | None, entry: Entry) -> Sample:
    folder = source.path(*_path(layout.pictures, source), entry.vid)
    form: Form = "query"
    if layout.form != "by_ending":
        form = layout.form
    elif entry.text.endswith("?"):
        form = "sentence"
    return Sample(
        dataset=source.name,
        id=f"{entry.vid}/{entry.id}",
        task="segment",
        media=Media(entry.vid, tuple(inside(folder, f"{name}.jpg") for name in entry.frames)),
        rounds=(Expression(entry.text, form, id=entry.id),),
        object_ids=(0,),
        masks=_masks(store, entry),
        foreground=_foreground(foreground, entry),
        facts=entry.facts,
    )


def _masks(store: Store, entry: Entry) -> ObjectMasks | None:
    if store is None:
        return None
    tracks: tuple[Track, ...]
    if isinstance(store, JsonTable):
        tracks = tuple(TableTrack(store, key) for key in entry.annotations)
    else:
        if entry.annotations[0] not in store.tracks:
            raise DataError(
                "", entry.place, f"no mask number {entry.annotations[0]}", "masks for each expression"
            )
        regions = store.tracks[entry.annotations[0]]
        tracks = () if regions.value is None else (GivenTrack(regions),)
    return RegionMasks((tracks,), _frame_numbers(entry))


def _frame_numbers(entry: Entry) -> tuple[int, ...]:
    """The clip's frame number of each of the video's frames, -1 for those that were cut."""
    numbers = [-1] * entry.length
    numbers[entry.offset : entry.offset + len(entry.frames)] = range(len(entry.frames))
    return tuple(numbers)


def _foreground(table: JsonTable | None, entry: Entry) -> ObjectMasks | None:
    if table is None or entry.vid not in table:
        return None
    return RegionMasks(((TableTrack(table, entry.vid, ("masks_rle",)),),), _frame_numbers(entry))


# The data sets

REVOS = dataset(
    "revos",
    task="segment",
    splits=("train", "valid"),
    licence="CC BY-NC-SA 4.0",
    annotations="revos/meta_expressions_{train,valid}_.json, revos/mask_dict.json",
    media="revos",
    repeats=(0, 0, 5),
)(
    partial(
        read_expressions,
        Layout(
            meta="revos/meta_expressions_{split}_.json",
            pictures="revos",
            original="revos/JPEGImages",
            masks="revos/mask_dict.json",
            form="by_ending",
            drops=("train",),
            crops=("train",),
            foreground="revos/mask_dict_foreground.json",
        ),
    )
)

MEVIS = dataset(
    "mevis",
    task="segment",
    splits=("train", "valid_u", "valid"),
    licence="CC BY-NC-SA 4.0",
    annotations="mevis/{train,valid_u,valid}/meta_expressions.json, mevis/{train,valid_u}/mask_dict.json",
    media="mevis/{train,valid_u,valid}/JPEGImages",
    repeats=(0, 0, 5),
)(
    partial(
        read_expressions,
        Layout(
            meta="mevis/{split}/meta_expressions.json",
            pictures="mevis/{split}/JPEGImages",
            masks="mevis/{split}/mask_dict.json",
            unmasked=("valid",),
            drops=("train",),
        ),
    )
)

LVVIS = dataset(
    "lvvis",
    task="segment",
    splits=("train",),
    licence="CC BY-NC-SA 4.0",
    annotations="lvvis/meta_expressions.json, lvvis/mask_dict.json",
    media="lvvis/train/JPEGImages",
    repeats=(0, 0, 3),
)(
    partial(
        read_expressions,
        Layout(
            meta="lvvis/meta_expressions.json",
            pictures="lvvis/train/JPEGImages",
            masks="lvvis/mask_dict.json",
            drops=("train",),
            spaces=True,
        ),
    )
)

REF_YOUTUBE_VOS = dataset(
    "ref_youtube_vos",
    task="segment",
    splits=("train", "valid"),
    licence="CC BY 4.0; for research only",
    annotations="ref_youtube_vos/meta_expressions/{train,valid}/meta_expressions.json, "
    "ref_youtube_vos/mask_dict.pkl",
    media="ref_youtube_vos/{train,valid}/JPEGImages",
    repeats=(0, 3, 5),
    options=(MASK_ORDER,),
)(
    partial(
        read_expressions,
        Layout(
            meta="ref_youtube_vos/meta_expressions/{split}/meta_expressions.json",
            pictures="ref_youtube_vos/{split}/JPEGImages",
            masks="ref_youtube_vos/mask_dict.pkl",
            unmasked=("valid",),
        ),
    )
)

REF_DAVIS17 = dataset(
    "ref_davis17",
    task="segment",
    splits=("train", "valid"),
    licence="not stated",
    annotations="ref_davis17/meta_expressions/{train,valid}/meta_expressions.json, "
    "ref_davis17/{train,valid}/mask_dict.pkl",
    media="ref_davis17/DAVIS/JPEGImages/480p",
    repeats=(0, 0, 10),
    options=(MASK_ORDER,),
)(
    partial(
        read_expressions,
        Layout(
            meta="ref_davis17/meta_expressions/{split}/meta_expressions.json",
            pictures="ref_davis17/DAVIS/JPEGImages/480p",
            masks="ref_davis17/{split}/mask_dict.pkl",
        ),
    )
)

REF_SAV_EVAL = dataset(
    "ref_sav_eval",
    task="segment",
    splits=("valid",),
    licence="not stated",
    annotations="ref_sav/valid/meta_expressions_valid.json, ref_sav/valid/mask_dict.json",
    media="ref_sav/valid/videos",
)(
    partial(
        read_expressions,
        Layout(
            meta="ref_sav/valid/meta_expressions_valid.json",
            pictures="ref_sav/valid/videos",
            masks="ref_sav/valid/mask_dict.json",
            form="description",
        ),
    )
)
