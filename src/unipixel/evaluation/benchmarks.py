"""The table of benchmarks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unipixel.core.request import TOKEN_PIXELS, PixelBudget
from unipixel.data.registry import open_dataset
from unipixel.errors import ConfigError
from unipixel.evaluation import protocols
from unipixel.evaluation.asking import PixelQa, Pointing, Segment, Words
from unipixel.evaluation.benchmark import Benchmark, Figure, Opened, Protocol
from unipixel.evaluation.made_up import FreshClips, PointAtThings
from unipixel.evaluation.made_up_families import MADE_UP_ROWS


@dataclass(frozen=True)
class Registered:
    """A split of a registered data set, with the options that this benchmark always takes."""

    name: str
    split: str
    always: Mapping[str, str] = field(default_factory=dict)
    needs_root: bool = True

    def open(self, root: Path, choices: Mapping[str, str]) -> Opened:
        """Its samples; ConfigError or DataError if they cannot be opened."""
        values: dict[str, Any] = {**self.always, **choices}
        found = open_dataset(self.name, self.split, root, **values)
        return Opened(found, dict(found.choices))


# Rows


def _jf(*figures: tuple[float, float]) -> tuple[Figure, ...]:
    return tuple(Figure(name, *pair) for name, pair in zip(("J", "F", "J&F"), figures, strict=True))


def _video(
    name: str,
    title: str,
    data: Registered,
    ways: Sequence[Protocol],
    figures: tuple[Figure, ...] = (),
    server: str = "",
) -> Benchmark:
    group = name.removesuffix("_val_u").removesuffix("_val")
    return Benchmark(name, group, title, data, Segment(), tuple(ways), figures, server)


_VIDEOS = (
    _video(
        "revos",
        "ReVOS",
        Registered("revos", "valid"),
        protocols.REVOS,
        _jf((59.7, 61.7), (64.4, 65.7), (62.1, 63.7)),
    ),
    _video("mevis_val_u", "MeViS val_u", Registered("mevis", "valid_u"), protocols.MEVIS),
    _video(
        "mevis_val",
        "MeViS val",
        Registered("mevis", "valid"),
        (),
        _jf((50.4, 53.2), (55.7, 58.3), (53.1, 55.8)),
        server="mevis",
    ),
    _video(
        "ref_youtube_vos",
        "Ref-YouTube-VOS",
        Registered("ref_youtube_vos", "valid"),
        (),
        _jf((68.6, 69.5), (72.3, 72.4), (70.5, 71.0)),
        server="ref_youtube_vos",
    ),
    _video(
        "ref_davis17",
        "Ref-DAVIS17",
        Registered("ref_davis17", "valid"),
        protocols.REF_DAVIS17,
        _jf((70.7, 72.7), (77.8, 80.1), (74.2, 76.4)),
    ),
    _video(
        "ref_sav",
        "Ref-SAV",
        Registered("ref_sav_eval", "valid"),
        protocols.REF_SAV,
        _jf((66.9, 68.5), (67.6, 69.6), (67.2, 69.0)),
    ),
    _video(
        "groundmore",
        "GroundMoRe",
        Registered("groundmore", "test"),
        protocols.GROUNDMORE,
        _jf((36.0, 36.5), (38.7, 39.1), (37.4, 37.8)),
    ),
)

_REFCOCO_FIGURES: Mapping[str, tuple[float, float]] = {
    "refcoco_val": (80.5, 80.8),
    "refcoco_testA": (82.6, 83.0),
    "refcoco_testB": (76.9, 77.4),
    "refcoco+_val": (74.3, 75.3),
    "refcoco+_testA": (78.9, 80.1),
    "refcoco+_testB": (68.4, 70.0),
    "refcocog_val": (76.3, 76.4),
    "refcocog_test": (77.0, 77.1),
}
"""Which IoU they are is not said; by the field's convention cIoU."""

_TITLES = {"refcoco": "RefCOCO", "refcoco+": "RefCOCO+", "refcocog": "RefCOCOg"}

_PICTURE_ROWS = (
    *(
        Benchmark(
            name,
            name.split("_")[0],
            f"{_TITLES[name.split('_')[0]]} {name.split('_')[1]}",
            Registered(name.split("_")[0], name.split("_")[1]),
            Segment(),
            protocols.REFCOCO,
            (Figure("cIoU", *figures),),
        )
        for name, figures in _REFCOCO_FIGURES.items()
    ),
    *(
        Benchmark(
            f"reason_seg_{split}",
            "reason_seg",
            f"ReasonSeg {split}",
            Registered("reason_seg", split),
            Segment(),
            protocols.REASON_SEG,
            (Figure("gIoU", 64.0, 60.5), Figure("cIoU", 56.2, 58.7)) if split == "val" else (),
        )
        for split in ("val", "test")
    ),
)

_SMALL_BUDGET = PixelBudget(100 * TOKEN_PIXELS, 144 * TOKEN_PIXELS)
"""Of VideoRefer-Bench-Q alone (quirk Q9)."""

_MODES = {"single": "single_frame", "multi": "multi_frame"}


def _described(mode: str, figures: tuple[float, float]) -> Benchmark:
    return Benchmark(
        f"videorefer_d_{mode}",
        "videorefer_d",
        f"VideoRefer-Bench-D {mode}",
        Registered("videorefer_bench_d", "test", {"mode": _MODES[mode]}),
        Words(),
        protocols.VIDEOREFER_D,
        (Figure("average", *figures),),
        judged=True,
        has_masks=False,
    )


def _questioned(mode: str, figures: tuple[float, float]) -> Benchmark:
    return Benchmark(
        f"videorefer_q_{mode}",
        "videorefer_q",
        f"VideoRefer-Bench-Q {mode}",
        Registered("videorefer_bench_q", "test", {"mode": _MODES[mode]}),
        Words(pixels=_SMALL_BUDGET),
        protocols.VIDEOREFER_Q,
        (Figure("accuracy", *figures),),
        has_masks=False,
    )


def _pixel_qa(pointing: Pointing) -> Benchmark:
    return Benchmark(
        f"pixelqa_{pointing}",
        "pixelqa",
        f"PixelQA {pointing}",
        Registered("videorefer_bench_q", "test", {"mode": "multi_frame"}),
        PixelQa(pointing),
        protocols.PIXEL_QA,
        has_masks=False,
    )


BENCHMARKS: tuple[Benchmark, ...] = (
    *_VIDEOS,
    *_PICTURE_ROWS,
    _described("single", (3.42, 3.37)),
    _described("multi", (3.44, 3.36)),
    _questioned("single", (72.2, 73.4)),
    _questioned("multi", (72.8, 74.1)),
    _pixel_qa("point"),
    _pixel_qa("box"),
    _pixel_qa("mix"),
    Benchmark(
        "mvbench",
        "mvbench",
        "MVBench",
        Registered("mvbench", "test"),
        Words(max_new_tokens=256),
        protocols.MVBENCH,
        (Figure("accuracy", 62.5, 64.3),),
        has_masks=False,
    ),
    Benchmark(
        "videomme",
        "videomme",
        "Video-MME, without subtitles",
        Registered("videomme", "test"),
        Words(max_new_tokens=256),
        protocols.VIDEO_MME,
        has_masks=False,
    ),
    Benchmark(
        "fresh_clips",
        "made_up",
        "Made-up world, fresh clips",
        FreshClips(),
        Segment(num_frames=None, pixels=None),
        protocols.FRESH_CLIPS,
    ),
    Benchmark(
        "clicks",
        "made_up",
        "Made-up world, clicks and boxes",
        FreshClips(),
        PointAtThings(),
        protocols.CLICKS,
        has_masks=False,
    ),
    *MADE_UP_ROWS,
)


def find_benchmarks(names: Sequence[str]) -> tuple[Benchmark, ...]:
    """Rows by their names or the names of their groups, in the table's order, each once; "all" is all.

    Raises:
        ConfigError: an unknown name; the message has the closest match.
    """
    known = {row.name for row in BENCHMARKS} | {row.group for row in BENCHMARKS} | {"all"}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"there is no benchmark {name!r}{meant or ';'} `unipixel eval list` names them all"
            )
    return tuple(row for row in BENCHMARKS if {row.name, row.group, "all"} & set(names))


def find_protocol(row: Benchmark, name: str) -> Protocol:
    """A protocol of a row by its name; ConfigError names those that there are."""
    for protocol in row.protocols:
        if protocol.name == name:
            return protocol
    raise ConfigError(
        f"{row.name} has no protocol {name!r}; there is: "
        f"{', '.join(one.name for one in row.protocols) or 'none, only its server scores it'}"
    )
