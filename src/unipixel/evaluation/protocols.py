"""How benchmarks are scored: the protocols of the table in `evaluation.benchmarks`, and their metrics.

"published" is always the published evaluation of UniPixel; where the field's classic one differs, it is
a second protocol.
"""

from __future__ import annotations

from unipixel.evaluation.benchmark import Metric, Part, Protocol, by_clip
from unipixel.evaluation.made_up import click_cases, fresh_clip_cases
from unipixel.evaluation.measures import (
    Judged,
    Options,
    PictureMasks,
    PixelQaMasks,
    Revos,
    VideoMasks,
    davis_classic,
)
from unipixel.evaluation.metrics.judge import DIMENSIONS
from unipixel.evaluation.metrics.region import THRESHOLDS

EMPTY = "an empty mask"
WRONG = "a wrong answer"


# Metrics


def _mean(name: str, value: str, *, scale: float = 100.0, main: bool = True) -> Metric:
    return Metric(name, (Part(value),), scale, main=main)


def _subsets(name: str, value: str, *kinds: str, main: bool = True) -> Metric:
    """Mean over subsets of their means."""
    return Metric(name, tuple(Part(value, kinds=(kind,)) for kind in kinds), main=main)


J_AND_F = (_mean("J", "J"), _mean("F", "F"), _mean("J&F", "J&F"))

_REVOS = tuple(
    _subsets(f"{kind} {value}", value, kind, main=value == "J&F")
    for kind in ("referring", "reasoning")
    for value in ("J", "F", "J&F")
) + tuple(
    _subsets(value, value, "referring", "reasoning", main=value not in "AR")
    for value in ("J", "F", "J&F", "A", "R")
)

PICTURES = (
    Metric("cIoU", (Part("I", "U"),), empty=1.0),
    _mean("gIoU", "IoU"),
    *(_mean(f"P@{level}", f"P@{level}", main=level == THRESHOLDS[0]) for level in THRESHOLDS),
)

# Protocols


def _videos(cases: VideoMasks, about: str = "J and F of every expression, mean over expressions") -> Protocol:
    return Protocol("published", about, cases, J_AND_F, EMPTY)


MEVIS = (_videos(VideoMasks()),)

GROUNDMORE = (_videos(VideoMasks("q_type", missing="empty"), "J and F of 20 frames, mean over questions"),)

_LISA_ABOUT = "as LISA scores: a small number in the denominators"

REVOS = (
    Protocol(
        "published",
        "expressions rounded to two decimals, mean of the referring and the reasoning part; A and R from "
        "8-bit numbers, as the benchmark's script computes them",
        Revos("shipped"),
        _REVOS,
        EMPTY,
    ),
    Protocol("binary", "the same with A and R of truth values", Revos("binary"), _REVOS, EMPTY),
)

REF_DAVIS17 = (
    Protocol(
        "published",
        "every expression alone, mean over expressions",
        VideoMasks(),
        J_AND_F,
        EMPTY,
        options={"mask_order": "sorted"},
    ),
    Protocol(
        "classic",
        "the objects of each annotator merged, paired with the true ones (DAVIS 2017, unsupervised), "
        "mean over objects and then over the four annotators",
        davis_classic,
        tuple(_subsets(name, name, *(f"annotator {n}" for n in range(4))) for name in ("J", "F", "J&F")),
        EMPTY,
        options={"mask_order": "sorted"},
        units=by_clip,
    ),
)

_SAV_KINDS = VideoMasks("type_id", (("0", "long"), ("1", "short")))
REF_SAV = (
    _videos(_SAV_KINDS),
    Protocol(
        "sa2va",
        "mean of the long and the short descriptions, whatever their numbers",
        _SAV_KINDS,
        tuple(_subsets(name, name, "long", "short") for name in ("J", "F", "J&F")),
        EMPTY,
    ),
)

REASON_SEG = (
    Protocol(
        "published",
        "every text of a picture; 'ignore' outlines are background",
        PictureMasks(),
        PICTURES,
        EMPTY,
    ),
    Protocol(
        "lisa",
        f"{_LISA_ABOUT}, only the first text of a picture, 'ignore' outlines left out",
        PictureMasks(lisa=True),
        PICTURES,
        EMPTY,
        options={"texts": "first", "ignore_regions": "left_out"},
    ),
)

REFCOCO = (
    Protocol(
        "published",
        "cIoU, gIoU and precision over sentences; boxes as in REC",
        PictureMasks(),
        (*PICTURES, _mean("box accuracy", "box")),
        EMPTY,
    ),
    Protocol(
        "lisa",
        f"{_LISA_ABOUT}, and sentences asked in small letters",
        PictureMasks(lisa=True),
        PICTURES,
        EMPTY,
        options={"letters": "lower"},
        asks_apart=True,
    ),
)

ACCURACY = (_mean("accuracy", "right"), _mean("no option", "no option", main=False))
VIDEOREFER_Q = (
    Protocol("published", "the first letter of the reply", Options("type"), ACCURACY, WRONG),
    Protocol(
        "upstream",
        "the reply as VideoRefer's script reads it: (A), A), or its first character",
        Options("type", "upstream"),
        ACCURACY,
        WRONG,
    ),
)

MVBENCH = (
    Protocol("published", "clip bounds are ignored", Options("task"), ACCURACY, WRONG),
    Protocol(
        "bounds",
        "only the part of the clip that a question is about is shown, as the benchmark's authors do",
        Options("task"),
        ACCURACY,
        WRONG,
        options={"bounds": "applied"},
        asks_apart=True,
    ),
)

VIDEO_MME = (
    Protocol(
        "published",
        "the first letter of the reply, all and by the length of the video; without subtitles",
        Options("duration"),
        (
            *ACCURACY,
            *(Metric(kind, (Part("right", kinds=(kind,)),)) for kind in ("short", "medium", "long")),
        ),
        WRONG,
    ),
)

_JUDGED = (
    *(_mean(name, name, scale=1.0) for name in DIMENSIONS),
    Metric("average", tuple(Part(name) for name in DIMENSIONS), scale=1.0),
)
_LEFT_OUT = "nothing: it is left out"
VIDEOREFER_D = (
    Protocol("published", "replies as VideoRefer's script reads them", Judged(), _JUDGED, _LEFT_OUT),
    Protocol("lenient", "scores are found through bold marks too", Judged("lenient"), _JUDGED, _LEFT_OUT),
)

PIXEL_QA = (
    Protocol(
        "published",
        "volume IoU (J) and Dice (F) of every object on 16 frames, accuracy of the answers that rest on them",
        PixelQaMasks(),
        (*(Metric(name, (Part(name, "objects"),)) for name in ("J", "F", "J&F")), *ACCURACY),
        "empty masks and a wrong answer",
    ),
)

FRESH_CLIPS = (
    Protocol(
        "published",
        "mean IoU over frames, as the model card has it",
        fresh_clip_cases,
        tuple(
            _mean(name, value, scale=1.0)
            for name, value in (
                ("IoU", "IoU"),
                ("IoU with the wrong things", "wrong"),
                ("IoU where the target moves", "moving"),
                ("first mask repeated there", "repeated"),
                ("gain over that", "gain"),
            )
        ),
        EMPTY,
    ),
)

CLICKS = (
    Protocol(
        "published",
        "mean IoU over things, as the model card has it; corrections are clicks on the worst frame",
        click_cases,
        (
            *(
                Metric(f"{kind}, {part}", (Part(part, kinds=(kind,)),), scale=1.0)
                for kind in ("click", "box")
                for part in ("all frames", "before", "there", "after")
            ),
            *(_mean(name, name, scale=1.0) for name in ("uncorrected", "corrected", "gain")),
        ),
        "nothing: its clip is a problem",
    ),
)
