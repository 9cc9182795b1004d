"""The general mix: talk about pictures and videos, and about nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from unipixel.data.files import Node
from unipixel.data.readers.listed import read_turns, without_media_tag
from unipixel.data.registry import Rows, Source, dataset
from unipixel.data.sample import Exchange, Facts, Media, Sample

_FILE = "llava_v1_5_mix665k_with_videogpt_plus_576k.json"


@dataset(
    "llava_instruct_665k_videogpt_plus_576k",
    task="chat",
    splits=("train",),
    licence="CC BY 4.0 and CC BY-NC 4.0; parts under the terms of OpenAI",
    annotations=f"general/{_FILE}",
    media="llava_instruct, videogpt_plus",
    repeats=(0, 0, 1),
)
def read_general(source: Source) -> Rows[Node]:
    """One sample for each conversation, with all its turns.

    Nothing is left out: how long a video or an answer may be is a matter of training (`duration`, in seconds,
    is among the facts).
    """
    array = source.array("general", _FILE)
    return Rows(array.file, cast(Sequence[Node], array), partial(_make, source), {"samples": str(len(array))})


def _make(source: Source, item: Node) -> Sample:
    texts = [(question.text(), answer.text()) for question, answer in read_turns(item["conversations"])]
    texts[0] = (without_media_tag(texts[0][0]), texts[0][1])
    duration = item.get("duration")
    return Sample(
        dataset=source.name,
        id=item.place.strip("[]"),
        task="chat",
        media=_media(source, item),
        rounds=tuple(Exchange(question, answer) for question, answer in texts),
        facts=Facts({} if duration is None else {"duration": str(duration.number())}),
    )


def _media(source: Source, item: Node) -> Media | None:
    """A still, a video or nothing."""
    image, video = item.get("image"), item.get("video")
    if image is not None and video is not None:
        raise item.error("an image or a video, not both")
    if image is not None:
        return Media(image.text(), (source.path("llava_instruct", image.text()),))
    if video is not None:
        return Media(video.text(), video=source.path("videogpt_plus", video.text()))
    return None
