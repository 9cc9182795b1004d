"""What a sample promises, and the contradictions that it refuses."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.data.published.drawing import rle, write_frames, write_video

from unipixel.data.annotations import GivenTrack, RegionMasks
from unipixel.data.files import Node
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Facts, Media, Sample, mentions
from unipixel.errors import DataError

MEDIA = Media("clip", (Path("0.jpg"), Path("1.jpg")))
MASKS = RegionMasks(((GivenTrack(Node(Path("m.json"), "", [rle(), None])),),))
SAMPLE = Sample(
    "set", "clip/0", "segment", MEDIA, (Expression("a dog", "query"),), object_ids=(3,), masks=MASKS
)


def test_mentions_come_in_the_order_of_the_text() -> None:
    assert mentions("[7] and [2], [7] again, [x] [] [ 1] [12]") == (7, 2, 12)
    assert Exchange("Is [2] near [1]?", "No, [5] is.").mentioned == (2, 1, 5)
    assert Choice("[4] or [0]?", ("[9]", "b"), 1).mentioned == (4, 0)
    assert Choice("q", ("a", "b", "c"), 2).letter == "C" and Choice("q", ("a", "b"), None).letter is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(SAMPLE, task="count"), "sample clip/0: found task 'count'"),
        (lambda: replace(SAMPLE, rounds=()), "no text"),
        (lambda: replace(SAMPLE, media=None), "no pictures"),
        (lambda: replace(SAMPLE, object_ids=(1, 1)), r"object ids \[1, 1\]"),
        (lambda: replace(SAMPLE, object_ids=(-1,)), r"object ids \[-1\]"),
        (lambda: replace(SAMPLE, object_ids=(1, 2)), "masks of 1 objects"),
        (lambda: replace(SAMPLE, rounds=(Expression("x", "query", objects=(1,)),)), "object number 1"),
        (lambda: replace(SAMPLE, rounds=(Caption("x", object=2),)), "object number 2"),
        (lambda: replace(SAMPLE, rounds=(Exchange("[4]?", "[3]"),)), r"mentions \[4\]"),
        (lambda: replace(SAMPLE, annotated=()), "annotated frames"),
        (lambda: replace(SAMPLE, annotated=(1, 0)), "increasing"),
        (lambda: replace(SAMPLE, annotated=(0, 2)), "below 2"),
        (lambda: replace(SAMPLE, key_frame=-1), "key frame -1"),
        (lambda: Expression(" ", "query"), "no text"),
        (lambda: Expression("x", "song"), "form 'song'"),
        (lambda: Expression("x", "part"), "both or neither"),
        (lambda: Expression("x", "query", part="leg"), "both or neither"),
        (lambda: Expression("x", "explanatory"), "without answer"),
        (lambda: Expression("x", "query", objects=()), "no object"),
        (lambda: Exchange("", "x"), "no text"),
        (lambda: Choice("q", ("a",), 0), "1 options"),
        (lambda: Choice("q", ("a", "b"), 2), "right option 2"),
        (lambda: Media("v"), "v: found 0 frames and no video"),
        (lambda: Media("v", (Path("0.jpg"),), Path("v.mp4")), "1 frames and a video"),
        (lambda: Media("v", (Path("0.jpg"),), step=4), "step 4"),
        (lambda: Facts({"n": 1}), "fact n: found 1; expected text"),
    ],
)
def test_contradictions_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_talk_needs_no_pictures_and_may_have_brackets() -> None:
    talk = Sample("set", "0", "chat", None, (Exchange("What is a[3]?", "An item."),))
    assert talk.object_ids == () and talk.annotated is None


def test_facts_are_plain_and_immutable() -> None:
    facts = Facts({"b": "2", "a": "1"})
    assert facts == {"a": "1", "b": "2"} and list(facts) == ["a", "b"] and len(facts) == 2
    assert hash(facts) == hash(Facts({"a": "1", "b": "2"})) and pickle.loads(pickle.dumps(facts)) == facts
    with pytest.raises(KeyError):
        facts["c"]
    with pytest.raises(TypeError):
        facts["a"] = "3"  # type: ignore[index]


def test_media_of_frames(tmp_path: Path) -> None:
    write_frames(tmp_path, ["a1", "a2", "a3"])
    media = Media("clip", tuple(tmp_path / f"a{number}.jpg" for number in (1, 2, 3)))
    assert media.names == ("a1", "a2", "a3") and media.num_frames == 3 and not media.is_still
    assert media.open().num_frames == 3
    (tmp_path / "a2.jpg").unlink()
    part = media.take([2, 0])  # the missing one is not looked at
    assert part.names == ("a3", "a1") and round(part.open().frame(0).mean()) == pytest.approx(20, abs=2)
    assert media.take([0]).is_still
    with pytest.raises(DataError, match="3 frames"):
        media.take([3])


def test_media_of_a_video(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 40)
    media = Media("clip", video=tmp_path / "v.mp4")
    assert media.num_frames is None and media.names == () and media.open().num_frames == 40
    thin = replace(media, step=2).open()
    assert thin.num_frames == 20 and thin.times[1] == pytest.approx(2 / 24)
    shades = [round(frame.mean()) for _, frame in thin.walk()]  # more than are decoded together
    assert shades[:13] == pytest.approx([20 * number for number in range(13)], abs=8)
    with pytest.raises(DataError, match="a video"):
        media.take([0])
