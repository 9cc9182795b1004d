"""The made-up world as data sets: what is said is true, balanced, held out, and always the same."""

import pickle
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from unipixel.data.conversations import converse
from unipixel.data.jsonl import open_jsonl, read_items
from unipixel.data.made_up_files import write_made_up
from unipixel.data.policy import CORRECTED, EVALUATION
from unipixel.data.readers.made_up import BANNED, FAMILIES, draw, made_up_corpus
from unipixel.data.registry import Dataset, datasets, open_dataset
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Media, Sample
from unipixel.data.synthetic.families_words import VALUES
from unipixel.errors import ConfigError, DataError

NAMES = sorted(FAMILIES)
FEW = 6


@cache
def opened(name: str, split: str = "train", frames: str = "8") -> Dataset:
    return open_dataset(name, split, Path(), frames=frames)


@cache
def sample(name: str, index: int, split: str = "train", frames: str = "8") -> Sample:
    return opened(name, split, frames)[index]


def texts(one: Sample) -> list[str]:
    found = []
    for said in one.rounds:
        if isinstance(said, Expression):
            found += [said.text, said.answer]
        elif isinstance(said, Caption):
            found.append(said.text)
        elif isinstance(said, Choice):
            found += [said.question, *said.options]
        else:
            found += [said.question, said.answer]
    return found


def test_every_family_is_registered_and_needs_no_files() -> None:
    drawn = {info.name: info for info in datasets() if info.drawn}
    assert sorted(drawn) == NAMES
    assert all(info.splits[0] == "train" and len(opened(name)) == 200_000 for name, info in drawn.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_follows_from_its_number(name: str) -> None:
    one, again = sample(name, 3), pickle.loads(pickle.dumps(opened(name).rows.make))(3)
    assert one == again and one.id == "3"
    assert one.media is not None and one.media.drawn is not None
    draw.cache_clear()
    first = one.media.open().read(range(8))
    draw.cache_clear()
    assert (again.media.open().read(range(8)) == first).all()
    assert texts(one) != texts(sample(name, 4))


@pytest.mark.parametrize("policy", [CORRECTED, EVALUATION], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", NAMES)
def test_samples_become_conversations(name: str, policy: object) -> None:
    split = "train" if policy is CORRECTED else "test"
    kinds = set()
    for index in range(FEW):
        one = sample(name, index, split)
        made = converse(one, np.random.default_rng(index), policy, "box")  # type: ignore[arg-type]
        kinds.add(made.kind)
        assert made.frames == tuple(range(8))
        if FAMILIES[name].task in ("describe", "choose") and one.object_ids:
            assert len(made.memory) == len(one.object_ids)
    assert len(kinds) == 1, "the mixture relies on it"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "made_up_motion"])
def test_pictures_are_pictures(name: str) -> None:
    one = sample(name, 1, frames="1")
    assert one.media is not None and one.media.is_still and one.media.open().is_image
    said = " ".join(texts(one))
    assert not re.search(r"\b(moves?|stops?|leaves?|passes|start|end)\b", said), said


def test_motion_has_no_pictures() -> None:
    with pytest.raises(ConfigError, match="frames cannot be '1'"):
        open_dataset("made_up_motion", "train", Path(), frames="1")


def looks_so(thing: object, words: list[str]) -> bool:
    *attributes, noun = words
    noun = noun.removesuffix("s") if noun not in VALUES["shape"] else noun
    shape = thing.shape  # type: ignore[attr-defined]
    known = (thing.colour, thing.pattern, thing.size)  # type: ignore[attr-defined]
    return noun in ("thing", shape) and all(word in known for word in attributes)


@pytest.mark.parametrize("split", ["train", "unseen_combinations"])
def test_names_mean_exactly_what_fits_them(split: str) -> None:
    kinds: Counter[str] = Counter()
    for index in range(30):
        one = sample("made_up_names", index, split)
        facts = draw(one.media.drawn).facts  # type: ignore[union-attr,arg-type]
        for said in one.rounds:
            assert isinstance(said, Expression)
            meant = {one.masks.things[place] for place in said.objects} - {-1}  # type: ignore[union-attr]
            parts = [part.split() for part in said.text.split(" and the ")]
            fitting = {
                thing.index
                for thing in facts.things
                if thing.seen.area.max() > 64 and any(looks_so(thing, words) for words in parts)
            }
            assert meant == fitting, said.text
            kinds[("none", "one", "several")[min(len(meant), 2)]] += 1
    assert set(kinds) == ({"none", "one", "several"} if split == "train" else {"one", "several"})


def test_what_nothing_fits_is_never_seen() -> None:
    for index in range(60):
        one = sample("made_up_names", index)
        if -1 in one.masks.things:  # type: ignore[union-attr]
            masks = one.masks.read(range(8), 128, 128)  # type: ignore[union-attr]
            seen = [bool(mask.any()) for mask in masks]
            assert seen == [thing >= 0 for thing in one.masks.things]  # type: ignore[union-attr]
            return
    raise AssertionError("no such sample among 60")


def test_masks_are_those_of_the_things() -> None:
    one = sample("made_up_relations", 2)
    scene = draw(one.media.drawn)  # type: ignore[union-attr,arg-type]
    masks = one.masks.read([5, 1], 128, 128)  # type: ignore[union-attr]
    for row, thing in enumerate(one.masks.things):  # type: ignore[union-attr]
        assert (masks[row] == scene.masks[thing, [5, 1]]).all()
    assert (one.masks.only([0]).read([1], 128, 128)[0, 0] == masks[0, 1]).all()  # type: ignore[union-attr]
    with pytest.raises(DataError, match="64x64 pixels"):
        one.masks.read([0], 64, 64)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["made_up_region_choices", "made_up_clips"])
def test_choices_are_right_once_and_anywhere(name: str) -> None:
    keys: Counter[int] = Counter()
    for index in range(60):
        one = sample(name, index)
        (said,) = one.rounds
        assert isinstance(said, Choice) and said.key is not None
        assert len(set(said.options)) == len(said.options) <= 4
        keys[said.key if len(said.options) == 4 else -1] += 1
        if one.facts["type"] in ("colour", "shape", "pattern") and said.mentioned:
            facts = draw(one.media.drawn).facts  # type: ignore[union-attr,arg-type]
            thing = facts.things[one.masks.things[said.mentioned[0]]]  # type: ignore[union-attr]
            assert said.options[said.key] == getattr(thing, one.facts["type"])
    assert {0, 1, 2, 3} <= set(keys)


def pairs(text: str) -> set[tuple[str, str]]:
    found = re.findall(rf"\b({'|'.join(VALUES['colour'])}) ({'|'.join(VALUES['shape'])})\b", text)
    return set(found)


@pytest.mark.parametrize("name", NAMES)
def test_held_out_pairs_are_kept_from_training_and_asked_for_later(name: str) -> None:
    for index in range(FEW):
        assert not pairs(" ".join(texts(sample(name, index)))) & BANNED
        held = sample(name, index, "unseen_combinations")
        facts = draw(held.media.drawn).facts  # type: ignore[union-attr,arg-type]
        target = facts.things[facts.target]
        assert (target.colour, target.shape) in BANNED
        if held.masks is not None:
            assert facts.target in held.masks.things  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_has_every_word(name: str) -> None:
    known = set(re.findall(r"\w+", " ".join(made_up_corpus())))
    for index in range(FEW):
        for text in texts(sample(name, index)):
            assert set(re.findall(r"[A-Za-z]+", text)) <= known, text


def test_pointed_questions_are_asked_in_three_ways() -> None:
    ways = Counter(
        "own words" if one.literal else type(one.rounds[0]).__name__
        for one in (sample("made_up_pixelqa", index) for index in range(30))
    )
    assert set(ways) == {"own words", "Exchange", "Choice"}
    assert all(isinstance(sample("made_up_pixelqa", index, "test").rounds[0], Choice) for index in range(5))


def test_lengths_are_drawn_where_they_are_mixed() -> None:
    data = open_dataset("made_up_clips", "train", Path(), frames="2-8")
    lengths = {data[index].media.num_frames for index in range(12)}  # type: ignore[union-attr]
    assert len(lengths) > 3 and lengths <= set(range(2, 9))


# Drawings as media


def test_a_drawn_clip_can_be_taken_in_parts() -> None:
    media = sample("made_up_names", 0).media
    assert media is not None and media.num_frames == 8 and not media.names and not media.is_still
    part = media.take([6, 2])
    assert part.num_frames == 2
    assert (part.open().read([0, 1]) == media.open().read([6, 2])).all()
    with pytest.raises(DataError, match="clip of frames"):
        media.take([8])


def test_media_are_one_of_three_things() -> None:
    drawn = sample("made_up_names", 0).media.drawn  # type: ignore[union-attr]
    for wrong in ({}, {"drawn": drawn, "video": Path("a.mp4")}, {"drawn": drawn, "frames": (Path("a.png"),)}):
        with pytest.raises(DataError, match="either frames, a video or a drawing"):
            Media("clip", **wrong)


# Files


@pytest.mark.parametrize("name", NAMES)
def test_written_files_are_read_back(name: str, tmp_path: Path) -> None:
    file = write_made_up(opened(name, "test"), tmp_path, 2)
    assert len(list(read_items(file))) == 2
    for index, back in enumerate(open_jsonl(file)):
        one = sample(name, index, "test")
        assert back.task == one.task and back.facts == one.facts
        if name != "made_up_pixelqa":
            assert texts(back) == texts(one)
        else:
            assert isinstance(back.rounds[0], Exchange) and "[0]" in back.rounds[0].answer
        clip = back.media.open()  # type: ignore[union-attr]
        drawn = one.media.open()  # type: ignore[union-attr]
        assert clip.num_frames == drawn.num_frames
        difference = np.abs(clip.read([4]).astype(int) - drawn.read([4]))
        assert difference.mean() < 6, "H.264 loses little"
        if one.masks is not None:
            shown = back.masks.read(range(8), 128, 128)  # type: ignore[union-attr]
            assert (shown == one.masks.read(range(8), 128, 128)).all()


def test_only_made_up_data_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 200"):
        write_made_up(opened("made_up_names", "test"), tmp_path, 201)
