"""From sample to conversation: what is shown, said, pointed at and wanted, in both readings.

Over 500 lines: all tasks share the samples at the top.
"""

import pickle
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.by_hand import HEIGHT, WIDTH, Blocks, clip_of, film_of, samples_of_every_task

from unipixel.core.conversation import Segment, Turn, assistant, user
from unipixel.core.prompts import Box, Point
from unipixel.data.annotations import resize_region
from unipixel.data.conversations import Conversation, Provenance, converse
from unipixel.data.limits import check_limits, published_words
from unipixel.data.phrasing import normalise_query
from unipixel.data.policy import CORRECTED, EVALUATION, PUBLISHED, FramePolicy, Policy, TextPolicy
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Facts, Media, Sample
from unipixel.data.shown import film_frames
from unipixel.data.visual_prompts import draw_pointer
from unipixel.data.wording import Wording
from unipixel.errors import ConfigError, LeftOut, SampleUnusable

KINDS = {
    "segment": "seg_video",
    "segment still": "seg_image",
    "refer": "ref_point",
    "refer talk": "ref_point",
    "describe": "region_video",
    "describe still": "region_image",
    "choose": "region_video",
    "choose film": "multimodal",
    "remember": "mem_point_video",
    "chat still": "multimodal",
    "chat film": "multimodal",
    "chat": "text",
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def text(turn: Turn) -> str:
    """A turn with its slots as they will be read."""
    return "".join(
        part if isinstance(part, str) else "<|seg|>" if isinstance(part, Segment) else "<|ref|>"
        for part in turn.parts
    )


def texts(conversation: Conversation) -> list[str]:
    return [text(turn) for turn in conversation.turns]


def said(sample: Sample, policy: Policy = EVALUATION) -> list[str]:
    return texts(converse(sample, rng(), policy, "point"))


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Sample]:
    return samples_of_every_task(tmp_path)


def segment(media: Media, *rounds: Any, seen: tuple[tuple[int, ...], ...] = ((0,),), **more: Any) -> Sample:
    return Sample("set", "s", "segment", media, rounds, tuple(range(len(seen))), Blocks(seen), **more)


# All tasks


def test_every_task_has_its_kind_and_travels(samples: dict[str, Sample]) -> None:
    for name, sample in samples.items():
        for policy in (PUBLISHED, CORRECTED, EVALUATION):
            made = converse(sample, rng(), policy, "point")
            assert made.kind == KINDS[name], name
            assert made.source.dataset == "by_hand" and made.source.sample == sample.id
            again = pickle.loads(pickle.dumps(converse(sample, rng(), policy, "point")))
            assert texts(again) == texts(made) and again.frames == made.frames, name


def test_boxes_and_stills_have_kinds_of_their_own(samples: dict[str, Sample], tmp_path: Path) -> None:
    assert converse(samples["refer"], rng(), PUBLISHED, "box").kind == "ref_box"
    still = replace(samples["remember"], media=clip_of(tmp_path, 1))
    assert converse(still, rng(), PUBLISHED, "box").kind == "mem_box_image"
    drawn = Counter(converse(samples["refer"], rng(seed), CORRECTED).kind for seed in range(40))
    assert 8 < drawn["ref_box"] < 32 and set(drawn) == {"ref_point", "ref_box"}


# Segmentation


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ("The dog.", "dog"),
        ("A dog on the left", "dog on the left"),
        ("an the a dog", "the a dog"),
        ("the an a dog", "dog"),
        ("Theodor's hat..", "theodor's hat"),
        ("TV", "tV"),
        ("person. second", "person. second"),
    ],
)
def test_queries_lose_full_stops_capital_and_articles(given: str, query: str) -> None:
    assert normalise_query(given) == query


def test_expressions_ask_in_the_way_of_their_form(tmp_path: Path) -> None:
    still, clip = clip_of(tmp_path, 1), clip_of(tmp_path, 2)
    ask = Expression
    assert said(segment(still, ask("The dog.", "query")))[0] == "Please segment the dog in this image."
    assert said(segment(clip, ask("The dog.", "query")))[0] == "Please segment the dog in this video."
    assert said(segment(still, ask("Where is it?", "sentence")))[0] == "Where is it? Please show me the mask."
    question, answer = said(segment(still, ask("Why?", "explanatory", answer="Because it runs.")))
    assert question == "Why? Show the mask and tell me why."
    assert answer == "What you asked for is <|seg|>. Because it runs."
    question, answer = said(segment(clip, ask("Who ran?", "question", answer="The dog")))
    assert question.startswith("Who ran? ") and answer == "The dog <|seg|>."
    assert said(segment(clip, ask("A dog runs.", "description")))[0].endswith(": A dog runs.")
    assert (
        said(segment(still, ask("dog", "part", part="leg")))[0] == "Please segment the dog leg in this image."
    )


def test_both_ways_to_name_a_part_are_drawn(tmp_path: Path) -> None:
    sample = segment(clip_of(tmp_path, 1), Expression("dog", "part", part="leg"))
    asked = [text(converse(sample, rng(seed), PUBLISHED).turns[0]) for seed in range(60)]
    ways = Counter(match for question in asked for match in re.findall("leg of the dog|dog leg", question))
    assert ways.total() == 60 and set(ways) == {"leg of the dog", "dog leg"} and min(ways.values()) > 15


def test_masks_are_unions_on_the_shown_frames_in_the_order_of_the_turns(tmp_path: Path) -> None:
    rounds = [Expression("both", "query", (0, 1), id="b"), Expression("second", "query", (1,), id="s")]
    sample = segment(clip_of(tmp_path, 3), *rounds, seen=((0, 1), (1,)))
    made = converse(sample, rng(), PUBLISHED)
    assert made.frames == (0, 1, 2) and made.targets is not None and made.num_masks == 2
    by_name = dict(zip(made.source.rounds, made.targets, strict=True))
    first, second = sample.masks.read((0, 1, 2), HEIGHT, WIDTH)  # type: ignore[union-attr]
    np.testing.assert_array_equal(by_name["b"], first | second)
    np.testing.assert_array_equal(by_name["s"], second)
    assert not second[2].any(), "frames without the object stay empty"
    for turn, name in zip(made.turns[::2], made.source.rounds, strict=True):
        assert {"b": "both", "s": "second"}[name] in text(turn)


def test_no_more_rounds_are_drawn_than_allowed_and_all_get_their_turn(tmp_path: Path) -> None:
    rounds = [Expression(f"thing {number}", "query", id=str(number)) for number in range(6)]
    sample = segment(clip_of(tmp_path, 1), *rounds)
    drawn = [converse(sample, rng(seed), PUBLISHED).source.rounds for seed in range(40)]
    assert all(len(set(names)) == 3 for names in drawn)
    assert {name for names in drawn for name in names} == {"0", "1", "2", "3", "4", "5"}
    assert converse(sample, rng(5), PUBLISHED).source.rounds == drawn[5], "a visit is its generator"
    assert converse(sample, rng(5), EVALUATION).source.rounds == ("0",)


def test_an_unseen_object_is_trained_as_empty_and_unpublished_masks_only_asked_for(tmp_path: Path) -> None:
    sample = segment(clip_of(tmp_path, 2), Expression("nothing", "query"), seen=((),))
    made = converse(sample, rng(), PUBLISHED)
    assert made.targets is not None and not made.targets.any()
    secret = replace(sample, masks=None)
    assert converse(secret, rng(), EVALUATION).targets is None
    with pytest.raises(SampleUnusable, match="no masks"):
        converse(secret, rng(), PUBLISHED)


# Frames


def frames_of(sample: Sample, policy: Policy = PUBLISHED, seeds: int = 30) -> set[tuple[int, ...]]:
    return {converse(sample, rng(seed), policy).frames for seed in range(seeds)}


def test_training_draws_frames_and_only_the_corrected_reading_the_last(tmp_path: Path) -> None:
    sample = segment(clip_of(tmp_path, 20), Expression("x", "query"))
    published = frames_of(sample)
    assert len(published) > 10 and all(len(frames) == 8 for frames in published)
    assert max(frames[-1] for frames in published) == 18
    assert max(frames[-1] for frames in frames_of(sample, CORRECTED)) == 19
    assert frames_of(sample, EVALUATION) == {tuple(round(i * 19 / 15) for i in range(16))}
    few = replace(PUBLISHED, frames=FramePolicy(number=(2, 4)))
    assert {len(frames) for frames in frames_of(sample, few)} == {2, 3, 4}
    assert few.frames.budget.shared_frames == 4


def test_frames_come_from_the_annotated_ones(tmp_path: Path) -> None:
    marked = tuple(range(1, 30, 2))
    sample = segment(clip_of(tmp_path, 30), Expression("x", "query"), annotated=marked)
    assert all(set(frames) <= set(marked) and len(frames) == 8 for frames in frames_of(sample))
    keyed = replace(sample, key_frame=15)
    assert all(15 in frames for frames in frames_of(keyed) | frames_of(keyed, EVALUATION))
    with pytest.raises(SampleUnusable, match=r"key frame without annotation.*\[4\]"):
        converse(replace(sample, key_frame=4), rng(), PUBLISHED)


def test_a_single_annotated_frame_is_shown_amid_the_whole_clip(tmp_path: Path) -> None:
    sample = segment(clip_of(tmp_path, 30), Expression("x", "query"), seen=((13,),), annotated=(13,))
    found = frames_of(sample)
    assert all(13 in frames and len(frames) == 8 and frames == tuple(sorted(frames)) for frames in found)
    assert len({frame for frames in found for frame in frames}) > 20
    made = converse(sample, rng(), PUBLISHED)
    assert made.targets is not None
    assert [mask.any() for mask in made.targets[0]] == [frame == 13 for frame in made.frames]


def test_every_frame_means_all(tmp_path: Path, samples: dict[str, Sample]) -> None:
    sample = replace(samples["describe"], media=clip_of(tmp_path, 12), every_frame=True)
    assert frames_of(sample, seeds=5) == {tuple(range(12))}


def test_general_videos_show_two_frames_a_second(tmp_path: Path) -> None:
    talk = (Exchange("What?", "That."),)
    film = Sample("set", "f", "chat", film_of(tmp_path, 48), talk)
    made = converse(film, rng(), PUBLISHED)
    assert made.frames == (0, 16, 31, 47), "48 frames at 24 a second are 2 s"
    assert made.seconds_per_step == pytest.approx(1.0)
    assert made.pixels is not None and made.pixels.shared_frames is None
    quick = converse(replace(film, media=film_of(tmp_path, 48, fps=48)), rng(), PUBLISHED)
    assert len(quick.frames) == 4 and quick.seconds_per_step == pytest.approx(0.5)
    slow = film_of(tmp_path, 48, fps=6).open()
    assert len(film_frames(slow, 8)) == 8 and film_frames(slow, 8)[-1] == 47
    assert len(film_frames(slow, 16)) == 16 and len(film_frames(film_of(tmp_path, 2).open(), 8)) == 2
    still = converse(replace(film, media=clip_of(tmp_path, 1)), rng(), PUBLISHED)
    assert still.is_still and still.pixels is not None and still.pixels.for_frames(1)[1] == 2048 * 28 * 28


# Pointing


def test_clicks_lie_on_objects_and_boxes_around_them(samples: dict[str, Sample]) -> None:
    for policy in (PUBLISHED, CORRECTED):
        for seed in range(10):
            made = converse(samples["refer"], rng(seed), policy, "point")
            (click,) = made.turns[0].prompts
            mask = samples["refer"].masks.read([click.frame], HEIGHT, WIDTH)[0, 0]  # type: ignore[union-attr]
            swollen = resize_region(mask, 768, 768)
            assert isinstance(click, Point) and click.frame in made.frames
            if policy is CORRECTED:
                assert mask[int(click.y), int(click.x)] and click.x == int(click.x)
            else:
                assert swollen[round(click.y * 768 / HEIGHT), round(click.x * 768 / WIDTH)]
            (box,) = converse(samples["refer"], rng(seed), policy, "box").turns[0].prompts
            assert isinstance(box, Box)
            rows, columns = mask.nonzero()
            tight = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
            room = np.tile([columns.max() - columns.min(), rows.max() - rows.min()], 2) * 0.1 + 2
            assert (np.abs(np.array([box.x1, box.y1, box.x2, box.y2]) - tight) <= room).all()


def test_noise_is_at_most_a_tenth_and_at_most_twenty_pixels_of_the_view() -> None:
    mask = np.zeros((768, 768), dtype=bool)
    mask[100:700, 300:341] = True
    pointers = PUBLISHED.pointers
    boxes = [draw_pointer(mask, 0, "box", rng(seed), pointers) for seed in range(150)]
    moved = np.array([[box.x1, box.y1, box.x2, box.y2] for box in boxes if isinstance(box, Box)])
    away = np.abs(moved - [300, 100, 340, 699]).max(0)
    assert (away <= [4, 20, 4, 20]).all() and (away > [3.5, 19, 3.5, 19]).all()
    assert draw_pointer(mask, 3, "box", rng(), EVALUATION.pointers) == Box(300, 100, 340, 699, 3)
    assert draw_pointer(mask, 0, "point", rng(), EVALUATION.pointers) == Point(320, 120)
    edge = np.zeros((100, 200), dtype=bool)
    edge[:, 190:] = True
    for seed in range(8):
        for policy in (PUBLISHED, CORRECTED):
            draw_pointer(edge, 0, "box", rng(seed), policy.pointers).check(200, 100, 1)
            draw_pointer(edge, 0, "point", rng(seed), policy.pointers).check(200, 100, 1)


def test_evaluation_points_on_the_key_frame(samples: dict[str, Sample]) -> None:
    sample = replace(samples["refer"], key_frame=4)
    for seed in range(5):
        (click,) = converse(sample, rng(seed), EVALUATION, "point").turns[0].prompts
        assert click.frame == 4
    assert (
        len({converse(sample, rng(s), CORRECTED, "point").turns[0].prompts[0].frame for s in range(20)}) > 2
    )


def test_what_a_person_pointed_with_is_taken_and_its_frame_shown(tmp_path: Path) -> None:
    given = (Point(3.0, 4.0, 17), Box(1.0, 2.0, 30.0, 40.0, 5))
    sample = Sample(
        "set", "p", "refer", clip_of(tmp_path, 20), (Caption("A.", 0, "brief"),), (1,), pointers=(given,)
    )
    for seed in range(10):
        made = converse(sample, rng(seed), PUBLISHED, "point")
        assert made.turns[0].prompts == (given[0],) and 17 in made.frames
        assert converse(sample, rng(seed), PUBLISHED, "box").turns[0].prompts == (given[1],)


def test_an_object_without_mask_on_the_shown_frames_cannot_be_pointed_at(samples: dict[str, Sample]) -> None:
    for name in ("refer", "remember", "describe", "choose"):
        sample = samples[name]
        hidden = replace(sample, masks=Blocks(((),) * len(sample.object_ids)))
        with pytest.raises(SampleUnusable, match="object on no shown frame") as caught:
            converse(hidden, rng(), PUBLISHED)
        assert caught.value.reason == "object on no shown frame" and not isinstance(caught.value, LeftOut)
        assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason


def test_a_pointed_object_is_slotted_by_its_number_or_in_its_place(samples: dict[str, Sample]) -> None:
    assert said(samples["refer talk"], PUBLISHED) == ["What is <|ref|>?", "A block."]
    numbered = replace(samples["refer talk"], free_ids=False)
    assert said(numbered, PUBLISHED) == ["What is [0] <|ref|>?", "A block."]
    talk = (Exchange("Is [3] near [7] or [3]?", "[7]."), Exchange("And [7]?", "No."))
    both = replace(samples["describe"], task="refer", rounds=talk)
    assert said(both, PUBLISHED) == [
        "Is [3] <|ref|> near [7] <|ref|> or [3]?",
        "[7].",
        "And [7]?",
        "No.",
    ]
    with pytest.raises(SampleUnusable, match="question about no object"):
        converse(replace(both, rounds=(Exchange("Hm?", "[3]"),)), rng(), PUBLISHED)


# Regions and memory


def test_regions_come_as_objects_of_the_memory(samples: dict[str, Sample]) -> None:
    made = converse(samples["describe"], rng(), PUBLISHED)
    assert texts(made) == ["Is [3] left of [7]?", "Yes, [3] is.", "And [7]?", "It is grey."]
    assert [thing.id for thing in made.memory] == [3, 7]
    masks = samples["describe"].masks.read(made.frames, HEIGHT, WIDTH)  # type: ignore[union-attr]
    for thing, mask in zip(made.memory, masks, strict=True):
        assert thing.masks.indices == made.frames
        np.testing.assert_array_equal(thing.masks.to_array(), mask)
    question, answer = said(samples["describe still"], PUBLISHED)
    assert "[2]" in question and answer == "A long story."
    assert said(samples["describe still"]) == [
        "Describe the highlighted object [2] in this video in detail.",
        "A long story.",
    ]


def test_half_of_inst_it_remembers_one_frame(samples: dict[str, Sample]) -> None:
    seen = ((0, 1, 2, 3), (2, 3, 4, 5))
    sample = replace(samples["describe"], dataset="inst_it_video_qa_raw", masks=Blocks(seen))
    kept = Counter(
        tuple(thing.masks.indices for thing in converse(sample, rng(seed), PUBLISHED).memory)
        for seed in range(200)
    )
    assert set(kept) == {seen, ((2,), (2,)), ((3,), (3,))}
    assert 70 < kept[seen] < 130
    apart = replace(sample, masks=Blocks(((0,), (1,))))
    assert {len(converse(apart, rng(s), PUBLISHED).memory[0].masks) for s in range(20)} == {1}
    other = replace(sample, dataset="videorefer_qa")
    assert all(len(converse(other, rng(s), PUBLISHED).memory[0].masks) == 4 for s in range(20))


def test_free_numbers_are_drawn_once_for_a_sample(samples: dict[str, Sample]) -> None:
    talk = (Exchange("What is [0]?", "[0] is a block."),)
    free = replace(samples["describe"], rounds=talk, object_ids=(0,), masks=Blocks(((0, 1),)), free_ids=True)
    numbers = set()
    for seed in range(60):
        policy = replace(PUBLISHED, seed=seed)
        made = converse(free, rng(seed), policy)
        (number,) = [thing.id for thing in made.memory]
        assert texts(made) == [f"What is [{number}]?", f"[{number}] is a block."]
        assert [thing.id for thing in converse(free, rng(seed + 99), policy).memory] == [number]
        numbers.add(number)
    assert numbers <= set(range(16)) and len(numbers) > 12
    assert [thing.id for thing in converse(free, rng(), EVALUATION).memory] == [0]


def test_memory_questions_ask_for_every_object_of_question_and_answer(samples: dict[str, Sample]) -> None:
    made = converse(samples["remember"], rng(), EVALUATION, "point")
    question, answer = texts(made)
    shown = re.fullmatch(
        r"Is \[3\] <\|ref\|> left of \[7\] <\|ref\|>\?\nOptions:\n\(([A-D])\) Yes, \[3\] is\. \S.*", question
    )
    assert shown, question
    assert answer == "[3] <|seg|> [7] <|seg|>"
    assert made.targets is not None and made.targets.shape[0] == 2
    letters = set()
    for seed in range(40):
        policy = replace(CORRECTED, seed=seed)
        found = {
            re.search(r"\(([A-D])\)", text(converse(samples["remember"], rng(n), policy).turns[0]))[1]  # type: ignore[index]
            for n in range(2)
        }
        assert len(found) == 1, "a letter belongs to the sample, not to the visit or process"
        letters |= found
    assert letters == {"A", "B", "C", "D"}


def test_slots_in_text_order_point_at_their_own_objects(samples: dict[str, Sample]) -> None:
    sample = replace(samples["remember"], rounds=(Exchange("Is [7] by [3]?", "Yes."),))
    left, right = WIDTH // 4, WIDTH // 2
    for seed in range(5):
        own = converse(sample, rng(seed), CORRECTED, "point")
        assert "[7] <|ref|>" in text(own.turns[0]) and text(own.turns[1]) == "[3] <|seg|> [7] <|seg|>"
        of_seven, of_three = own.turns[0].prompts
        assert isinstance(of_seven, Point) and isinstance(of_three, Point)
        assert left <= of_seven.x < right and of_three.x < left
        crossed = converse(sample, rng(seed), PUBLISHED, "point").turns[0].prompts
        assert isinstance(crossed[0], Point) and crossed[0].x < left + 1, "Q4 as published"
        assert own.targets is not None and own.targets[0, 0, :, :left].any()


def test_options_are_listed_and_the_answer_opens_as_the_protocol_says(samples: dict[str, Sample]) -> None:
    made = converse(samples["choose"], rng(), EVALUATION)
    request = Wording.default().of("choice_region")[0]
    assert texts(made) == [
        f"What is [3]?\nOptions:\n(A) a dog\n(B) a block\n{request}",
        "The best option is (B) a block",
    ]
    assert made.answer_prefix == "The best option is ("
    made = converse(samples["choose film"], rng(), EVALUATION)
    assert texts(made)[0].startswith("What is it?\nOptions:\n(A) A dog\n(B) A block\n")
    assert made.answer_prefix == "Best Option: (" and texts(made)[1] == "Best Option: (B) A block"
    unknown = replace(samples["choose"], rounds=(Choice("Who?", ("a", "b"), None),))
    asked = converse(unknown, rng(), EVALUATION)
    assert asked.answer is None and asked.questions == asked.turns
    assert asked.request(answered=False).answer_prefix == "The best option is ("
    with pytest.raises(SampleUnusable, match="choice without key"):
        converse(unknown, rng(), PUBLISHED)


def test_what_looks_like_a_control_token_stays_text(tmp_path: Path) -> None:
    talk = (Exchange("Say <|seg|> and {x}", "<|ref|> <|im_end|>"),)
    made = converse(Sample("set", "c", "chat", None, talk), rng(), PUBLISHED)
    assert made.num_masks == 0 and [turn.parts for turn in made.turns] == [
        ("Say <|seg|> and {x}",),
        ("<|ref|> <|im_end|>",),
    ]
    odd = segment(clip_of(tmp_path, 1), Expression("{query} <|seg|>", "sentence"))
    assert converse(odd, rng(), PUBLISHED).num_masks == 1


def test_a_round_that_does_not_fit_its_task_is_told(samples: dict[str, Sample]) -> None:
    wrong = Exchange("a", "b")
    with pytest.raises(SampleUnusable, match="found exchange in a sample to segment"):
        converse(replace(samples["segment"], rounds=(wrong,)), rng(), PUBLISHED)
    with pytest.raises(SampleUnusable, match="found exchange in a sample to choose"):
        converse(replace(samples["choose"], rounds=(wrong,)), rng(), PUBLISHED)


# Limits


def limited(max_words: int, counting: Any = "published") -> Policy:
    return replace(PUBLISHED, text=TextPolicy(max_words=max_words, counting=counting))


def test_published_word_counts_see_regions_and_first_answers_only(samples: dict[str, Sample]) -> None:
    counts = {name: published_words(sample) for name, sample in samples.items()}
    assert counts["describe"] == 5 + 3 + 2 + 3 and counts["describe still"] == -100
    assert counts["chat still"] == 2 and counts["remember"] == counts["segment"] == counts["refer"] == 0
    doubled = replace(samples["describe"], rounds=(Exchange("a  b", "c"),))
    assert published_words(doubled) == 4, "splits at every single space"
    with pytest.raises(LeftOut, match=r"too many words.*at most 12; it has 13"):
        check_limits(samples["describe"], limited(12))
    check_limits(samples["describe"], limited(13))
    check_limits(samples["segment"], limited(1))


def test_corrected_word_counts_see_all_that_is_said(samples: dict[str, Sample]) -> None:
    converse(samples["describe"], rng(), limited(13, "corrected"))
    for name in ("describe", "segment", "describe still", "remember"):
        with pytest.raises(LeftOut, match="too many words"):
            converse(samples[name], rng(), limited(4, "corrected"))


def test_long_clips_and_long_videos_are_left_out(tmp_path: Path, samples: dict[str, Sample]) -> None:
    short = replace(PUBLISHED, frames=FramePolicy(at_most=5))
    with pytest.raises(LeftOut, match=r"too many frames.*at most 5; it has 6"):
        converse(samples["segment"], rng(), short)
    converse(samples["segment"], rng(), replace(short, frames=FramePolicy(at_most=6)))
    long = replace(samples["chat film"], facts=Facts({"duration": "301.5"}))
    with pytest.raises(LeftOut, match="too long a video"):
        converse(long, rng(), PUBLISHED)
    converse(replace(long, facts=Facts({"duration": "long"})), rng(), PUBLISHED)
    converse(replace(long, facts=Facts({"duration": "300"})), rng(), PUBLISHED)


# The value


def test_a_conversation_checks_itself(samples: dict[str, Sample]) -> None:
    made = converse(samples["segment"], rng(), PUBLISHED)
    assert made.targets is not None
    with pytest.raises(AssertionError, match="turns alternate"):
        replace(made, turns=made.turns[1:])
    with pytest.raises(AssertionError, match="masks"):
        replace(made, targets=made.targets[:, :1])
    pointed = converse(samples["refer"], rng(), PUBLISHED)
    with pytest.raises(AssertionError, match="pointers on"):
        replace(pointed, frames=tuple(range(6, 12)))
    with_instruction = Conversation(
        "seg_video",
        made.clip,
        made.frames,
        (user("This one ", Segment(), "?"), assistant("Yes.")),
        Provenance("set", "s", ("0",)),
        targets=made.targets,
    )
    assert with_instruction.num_masks == 1, "an instruction may ask for a mask as well"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FramePolicy(number=0), "frames.number is 0"),
        (lambda: FramePolicy(number=(4, 2)), "two such bounds"),
        (lambda: FramePolicy(last="fixed"), "frames.last is 'fixed'"),  # type: ignore[arg-type]
        (lambda: TextPolicy(max_rounds=0), "max_rounds is 0"),
        (lambda: replace(PUBLISHED.pointers, grid="frame"), "pointers.grid"),  # type: ignore[arg-type]
        (lambda: replace(PUBLISHED.regions, single_share=2), "single_share"),
        (lambda: replace(PUBLISHED, purpose="test"), "purpose is 'test'"),  # type: ignore[arg-type]
    ],
)
def test_impossible_policies_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()
