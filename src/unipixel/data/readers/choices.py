"""Questions with options about videos: MVBench and Video-MME, for evaluation."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unipixel.data.files import EXPECTED_FILE, Node, list_numbered, read_json
from unipixel.data.registry import Option, Rows, Source, dataset
from unipixel.data.sample import Choice, Facts, Media, Sample
from unipixel.errors import ConfigError, DataError

# MVBench

_STAR, _CLEVRER = "star/Charades_v1_480", "clevrer/video_validation"
_PERCEPTION, _TVQA = "perception/videos", "tvqa/frames_fps3_hq"

TASKS: Mapping[str, str] = {
    "action_antonym": "ssv2_video",
    "action_count": _PERCEPTION,
    "action_localization": "sta/sta_video",
    "action_prediction": _STAR,
    "action_sequence": _STAR,
    "character_order": _PERCEPTION,
    "counterfactual_inference": _CLEVRER,
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": _TVQA,
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "fine_grained_pose": "nturgbd",
    "moving_attribute": _CLEVRER,
    "moving_count": _CLEVRER,
    "moving_direction": _CLEVRER,
    "object_existence": _CLEVRER,
    "object_interaction": _STAR,
    "object_shuffle": _PERCEPTION,
    "scene_transition": "scene_qa/video",
    "state_change": _PERCEPTION,
    "unexpected_action": "FunQA_test/test",
}
"""The tasks, as their files are called, and the folders of their videos."""

FRAMES = 32
"""How many frames of an episode (TVQA) are seen."""

FRAMES_PER_SECOND = 3
"""Of the frames of an episode."""

BOUNDS = Option(
    "bounds",
    ("ignored", "applied"),
    "Whether of a video only the time from `start` to `end` is shown, where they are given (quirk Q10). "
    "ignored is the default because the published figures were made so, and because it is right for a copy "
    "whose videos are cut already (not checked); applied is what the benchmark's authors do with theirs.",
)


@dataclass(frozen=True)
class Question:
    """One question of a task."""

    task: str
    number: int
    node: Node


@dataset(
    "mvbench",
    task="choose",
    splits=("test",),
    licence="MIT; videos under the licences of their sources",
    annotations="mvbench/json/*.json",
    media="mvbench/video",
    options=(BOUNDS,),
)
def read_mvbench(source: Source) -> Rows[Question]:
    """One sample for each question of the 20 tasks, by the tasks' names."""
    found: list[Question] = []
    notes: dict[str, str] = {}
    for task in TASKS:
        with source.part():
            items = source.json("mvbench", "json", f"{task}.json").list()
            found += [Question(task, number, item) for number, item in enumerate(items)]
            notes[task] = str(len(items))
    return Rows(source.path("mvbench", "json"), found, partial(_make_mvbench, source), notes)


def _make_mvbench(source: Source, item: Question) -> Sample:
    candidates = [candidate.text() for candidate in item.node["candidates"].list()]
    answer = item.node["answer"]
    if answer.text() not in candidates:
        raise answer.error("one of the candidates")
    facts = {"task": item.task}
    for name in ("start", "end"):
        value = item.node.get(name)
        facts |= {} if value is None else {name: str(value.number())}
    options = tuple(option[:1].upper() + option[1:] for option in candidates)
    return Sample(
        dataset=source.name,
        id=f"{item.task}/{item.number}",
        task="choose",
        media=_clip(source, item),
        rounds=(
            Choice(" ".join(item.node["question"].text().split()), options, candidates.index(answer.value)),
        ),
        every_frame=TASKS[item.task] == _TVQA,
        facts=Facts(facts),
    )


def _clip(source: Source, item: Question) -> Media:
    name = item.node["video"].text()
    path = source.path("mvbench", "video", *TASKS[item.task].split("/"), name)
    window = _window(item.node) if source.choices["bounds"] == "applied" else None
    if TASKS[item.task] == _TVQA:
        return Media(name, _episode(path, window))
    return Media(name, video=path, window=window)


def _window(item: Node) -> tuple[float, float] | None:
    start, end = item.get("start"), item.get("end")
    if start is None or end is None:
        return None
    if not 0 <= start.number() <= end.number():
        raise start.error(f"a start before the end, {end.number():g}")
    return start.number(), end.number()


def _episode(folder: Path, window: tuple[float, float] | None) -> tuple[Path, ...]:
    """32 frames of a folder, `00001.jpg` first, evenly from the beginning; all where there are few."""
    total = len(list_numbered(folder, (".jpg",)))
    if not total:
        raise DataError(folder, "", "no frames", "the frames of an episode, 00001.jpg and so on")
    first, last = 1, total
    if window is not None:
        first = min(max(1, round(window[0] * FRAMES_PER_SECOND)), total)
        last = min(max(first, round(window[1] * FRAMES_PER_SECOND)), total)
    numbers = range(first, last + 1, max(1, (last - first + 1) // (FRAMES - 1)))[:FRAMES]
    return tuple(folder / f"{number:05d}.jpg" for number in numbers)


# Video-MME

_TABLE = "test-00000-of-00001"
_FACTS = ("duration", "domain", "sub_category", "task_type", "question_id")


@dataset(
    "videomme",
    task="choose",
    splits=("test",),
    licence="for academic research only",
    annotations=f"videomme/{_TABLE}.parquet (or .json)",
    media="videomme/videos_3fps_480_noaudio",
)
def read_videomme(source: Source) -> Rows[Node]:
    """One sample for each question; subtitles are not used.

    The table is Parquet, as published, which needs pyarrow; a JSON list of its rows beside it is taken first.
    """
    file = source.path("videomme", f"{_TABLE}.json")
    if file.is_file():
        rows = read_json(file)
    else:
        file = source.path("videomme", f"{_TABLE}.parquet")
        rows = Node(file, "", read_parquet(file))
    items = rows.list()
    return Rows(file, items, partial(_make_videomme, source), {"samples": str(len(items))})


def read_parquet(file: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: the file is missing or no Parquet.
    """
    if not file.is_file():
        raise DataError(file, "", "no such file", EXPECTED_FILE)
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            f"{file}: Parquet files are read with pyarrow, which is not installed; install it with `pip "
            f"install pyarrow`, or write its rows as a JSON list to {file.stem}.json beside it"
        ) from None
    try:
        rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(file, "", f"no Parquet ({error})", "the file as published; fetch it again") from error
    return rows


def _make_videomme(source: Source, item: Node) -> Sample:
    options = [_option(node, number) for number, node in enumerate(item["options"].list())]
    answer = item["answer"]
    key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(answer.text())
    if len(answer.text()) != 1 or not 0 <= key < len(options):
        raise answer.error(f"the letter of one of the {len(options)} options")
    name = item["videoID"].text()
    folder = source.path("videomme", "videos_3fps_480_noaudio")
    found = {fact: item.get(fact) for fact in _FACTS}
    return Sample(
        dataset=source.name,
        id=item.place.strip("[]"),
        task="choose",
        media=Media(name, video=source.path("videomme", folder.name, f"{name}.mp4")),
        rounds=(Choice(" ".join(item["question"].text().split()), tuple(options), key),),
        facts=Facts({fact: node.name() for fact, node in found.items() if node is not None}),
    )


def _option(node: Node, number: int) -> str:
    """An option's text without its letter, which must be the one of its place."""
    match = re.match(r"([A-Z])\.\s*(?=\S)", node.text())
    if match is None or match[1] != chr(ord("A") + number):
        raise node.error(f"an option that begins with {chr(ord('A') + number)}.")
    text = node.text()[match.end() :].strip()
    return text[:1].upper() + text[1:]
