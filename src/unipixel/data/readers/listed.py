"""What the readers of long lists of items share: choosing items, and what the two sides say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from unipixel.data.files import Node, list_numbered
from unipixel.data.long_json import JsonArray
from unipixel.data.registry import Option, Source
from unipixel.data.sample import Media, mentions

Part: TypeAlias = Sequence[int]
"""(place of an item, number of a part of it)."""

PICTURES = (".jpg", ".jpeg", ".png")

ID_ORDER = Option(
    "id_order",
    ("text", "number"),
    "In which order the objects stand: their lines before the question, their masks in the answer (quirk "
    "Q4). The published loaders take them from a Python set, so that the order means nothing and clicks can "
    "end up at the wrong number. text, the order in which the text first mentions them, is the default "
    "because slots are filled in that order; number is the order of the numbers, which a set of small ones "
    "mostly has.",
)

_MEDIA_TAG = re.compile(r"\A<(?:image|video)>\n|\n<(?:image|video)>\Z")


def kept_items(source: Source, array: JsonArray, keep: Callable[[Node], bool], name: str) -> Sequence[int]:
    """Places of the items that a filter keeps; `name` is the filter's, see `JsonArray.where`."""

    def judge(item: Node) -> bool:
        is_kept = False
        with source.part():
            is_kept = keep(item)
        return is_kept

    return cast(Sequence[int], _listened(source, array).where(judge, f"{source.name} {name}"))


def kept_parts(
    source: Source, array: JsonArray, choose: Callable[[Node], Iterable[int]], name: str
) -> Sequence[Part]:
    """Places of items with the parts that are chosen of them; `name` is the choice's."""

    def judge(item: Node) -> Iterable[int]:
        chosen: list[int] = []
        with source.part():
            chosen += choose(item)
        return chosen

    return cast(Sequence[Part], _listened(source, array).parts(judge, f"{source.name} {name}"))


def _listened(source: Source, array: JsonArray) -> JsonArray:
    """Whoever wants to hear of every problem must not be answered from what was kept."""
    return array if source.on_problem is None else replace(array, cache=None)


def count_left_out(array: JsonArray, kept: Sequence[Any]) -> dict[str, str]:
    """Notes on a filter."""
    return {"items": str(len(array)), "samples": str(len(kept))}


def read_turns(conversations: Node) -> list[tuple[Node, Node]]:
    """Questions with their answers: `from` is human and gpt in turn.

    Raises:
        DataError: somebody speaks twice, or there is no answer.
    """
    turns = conversations.list()
    if not turns or len(turns) % 2:
        raise conversations.error("questions and answers in turn")
    for number, turn in enumerate(turns):
        speaker = "gpt" if number % 2 else "human"
        if turn["from"].text() != speaker:
            raise turn["from"].error(repr(speaker))
    values = [turn["value"] for turn in turns]
    for value in values:
        value.text()
    return list(zip(values[::2], values[1::2], strict=True))


def without_media_tag(text: str) -> str:
    """A first question without its place for the picture or video, where that stands at one of its ends."""
    return _MEDIA_TAG.sub("", text)


def in_order(texts: Iterable[str], order: str) -> tuple[int, ...]:
    """The ids that texts mention, in one of the orders of ID_ORDER."""
    ids = mentions("\n".join(texts))
    return ids if order == "text" else tuple(sorted(ids))


def locate(vid: str, path: Path) -> Media:
    """A clip that is published as a video file or as a folder of frames."""
    if path.is_dir():
        return Media(vid, tuple(list_numbered(path, PICTURES)))
    return Media(vid, video=path)
