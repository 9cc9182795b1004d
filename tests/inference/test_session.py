"""A session: what it knows, what it computes only once, and that nothing a person made is lost."""

import numpy as np
import pytest
import torch
from tests.inference.noise_clips import Open, block, noise, told
from torch import Tensor

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.progress import Progress
from unipixel.core.prompts import Box, Point, RegionMask, Scribble
from unipixel.core.request import Decoding, Request
from unipixel.errors import PromptError, SessionError, UniPixelError
from unipixel.inference.prompting import MaskView, prompted_frames
from unipixel.inference.questions import ask_together
from unipixel.inference.tracking import Track
from unipixel.model.inputs import Inputs
from unipixel.predictor import Predictor

SHORT = Decoding(10)


class Counts:
    """Frames through the image encoder, patches through the visual tower, tokens through the language
    model."""

    def __init__(self, model: Predictor, patch: pytest.MonkeyPatch) -> None:
        self.frames = self.patches = self.tokens = 0
        encode, see, think = model.model.sam2.encode, model.model.backbone.see, model.model.backbone.think

        def counted_encode(frames: Tensor) -> object:
            self.frames += len(frames)
            return encode(frames)

        def counted_see(view: object) -> object:
            self.patches += len(view.patches)  # type: ignore[attr-defined]
            return see(view)  # type: ignore[arg-type]

        def counted_think(tokens: Tensor, *others: object) -> object:
            self.tokens += tokens.shape[1]
            return think(tokens, *others)  # type: ignore[arg-type]

        patch.setattr(model.model.sam2, "encode", counted_encode)
        patch.setattr(model.model.backbone, "see", counted_see)
        patch.setattr(model.model.backbone, "think", counted_think)


@pytest.fixture
def counts(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> Counts:
    return Counts(model, monkeypatch)


# Encode once ---------------------------------------------------------------------------------------------


def test_a_second_question_costs_its_own_text_only(open_session: Open, counts: Counts) -> None:
    session = open_session(6)
    session.ask("What happens here?", decoding=SHORT)
    assert counts.patches > 0
    read = len(next(iter(session.encoded._read.values())).prefix)
    counts.frames = counts.patches = counts.tokens = 0
    question = session.question("And what else?", decoding=Decoding(3))
    answer = ask_together([question])[0]
    own = session.processor.prepare_question(
        question.request, session.encoded.read_for(question.request).shown
    )
    assert answer.objects == ()
    assert (counts.frames, counts.patches) == (0, 0)
    assert counts.tokens == own.inputs.token_ids.shape[1] + 2, "three tokens are written, two of them read"
    assert counts.tokens < read


def test_answers_do_not_depend_on_what_was_computed_before(model: Predictor, open_session: Open) -> None:
    session = open_session(5)
    texts = ["What?", "Segment it.", "And where, if anywhere, does all of it go?"]
    for text in texts:
        fresh = model.answer([replace_clip(session.question(text, decoding=Decoding(20)).request)])[0]
        again = session.ask(text, decoding=Decoding(20))
        assert again.raw_text == fresh.raw_text
        assert len(again.objects) == len(fresh.objects)


def replace_clip(request: Request) -> Request:
    """The same request, with nothing remembered of its clip."""
    from dataclasses import replace

    return replace(request, clip=Clip.open(request.clip.read(range(request.clip.num_frames))))


def test_logits_behind_a_prefix_are_those_of_the_whole(model: Predictor, open_session: Open) -> None:
    """Text, a pointer and two remembered objects; the same tokens read in one go."""
    from unipixel.model.generate import prefill

    session = open_session(5)
    first, second = session.refer(block(session.clip, 1)), session.refer(block(session.clip, 3, 30))
    for known in (first, second):
        assert known.masks is not None and known.masks.area
    asked = session.question("Is [1] on [2] and [0]?", [Point(5, 6)]).request
    prepared = model.processor.prepare(asked)
    with torch.inference_mode():
        whole = prefill(model.model, prepared.inputs).hidden
        read = session.encoded.read_for(asked)
        behind = prefill(model.model, prepared.question.inputs, read.prefix).hidden
        torch.testing.assert_close(
            model.model.backbone.speak(behind), model.model.backbone.speak(whole), rtol=0, atol=1e-4
        )


def test_frames_are_encoded_once_for_all_objects(open_session: Open, counts: Counts) -> None:
    session = open_session(9)
    session.refer(Point(20, 20, frame=4))
    assert counts.frames == 9
    counts.frames = 0
    session.refer([Box(3, 4, 30, 30, frame=8), Point(9, 9, frame=8)])
    session.correct(0, Point(12, 12, frame=0))
    assert counts.frames == 0
    assert session.nbytes > 0
    session.free()
    assert session.nbytes == 0


def test_features_beyond_the_limit_are_encoded_again(open_session: Open, counts: Counts) -> None:
    plain, frugal = open_session(7), open_session(7, keep_bytes=0)
    for session in (plain, frugal):
        session.refer(Point(20, 20, frame=3))
    counts.frames = 0
    assert len(list(frugal.track())) == 7
    assert counts.frames == 7
    assert frugal.encoded.frames.nbytes == 0
    one, other = plain[0].masks, frugal[0].masks
    assert one is not None and other is not None
    assert (one.to_array() != other.to_array()).mean() < 1e-3


def test_a_question_that_points_between_the_shown_frames_sees_that_frame(open_session: Open) -> None:
    session = open_session(9, num_frames=3)
    assert session.ask("What?", decoding=Decoding(1)).frames_seen == (0, 4, 8)
    assert session.ask("What is [0]?", [Point(4, 4, frame=5)], decoding=Decoding(1)).frames_seen == (0, 5, 8)


def test_an_object_that_no_shown_frame_holds_is_shown(open_session: Open) -> None:
    session = open_session(9, num_frames=3)
    small, large = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    small[:3, :3], large[:9, :9] = True, True
    frames = [FrameMask(2, RLE.from_mask(small), 1.0, True), FrameMask(3, RLE.from_mask(large), 1.0, True)]
    session.add(MaskTrack(tuple(frames)), "a short visit")
    assert session.ask("Who is [0]?", decoding=Decoding(1)).frames_seen == (0, 3, 8)


# Objects -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompts",
    [
        Point(20, 20, 3),
        Box(5, 5, 30, 30, 3),
        [Box(5, 5, 30, 30, 3), Point(9, 9, 3), Point(50, 30, 3, positive=False)],
        Scribble(((5, 5), (20, 9), (30, 30)), 3),
    ],
    ids=["point", "box", "box and clicks", "scribble"],
)
def test_what_is_pointed_at_is_masked_on_every_frame(open_session: Open, prompts: object) -> None:
    session = open_session(7)
    known = session.refer(prompts, "thing")  # type: ignore[arg-type]
    assert known.masks is not None
    assert known.masks.indices == tuple(range(7))
    assert (known.id, known.label, known.frames) == (0, "[0] thing", (3,))


def test_both_ways_to_a_mask_fill_one_memory(open_session: Open) -> None:
    session = open_session(5)
    clicked = session.refer(Point(20, 20, 2))
    said = session.refer(Point(20, 20, 2), "the same", by="language")
    masked = session.refer(block(session.clip), by="language")
    assert [known.origin for known in session.objects] == ["pointed", "said", "said"]
    assert [known.id for known in (clicked, said, masked)] == [0, 1, 2]
    assert said.pointer == Point(20, 20, 2)
    assert all(known.masks is not None and len(known.masks) == 5 for known in session.objects)
    assert session.exchanges == (), "a reference is no exchange"


def test_a_given_mask_stays_as_it_is(open_session: Open) -> None:
    session = open_session(5)
    region = block(session.clip, 2)
    known = session.refer(region)
    assert known.masks is not None
    found = known.masks.at(2)
    assert found is not None
    assert np.array_equal(found.rle.decode(), region.mask)
    assert (found.score, found.present) == (1.0, True)


def test_corrections_are_followed_from_all_prompted_frames(open_session: Open) -> None:
    session = open_session(9)
    known = session.refer(Point(20, 20, frame=4))
    before = known.masks
    corrected = session.correct(0, [Point(30, 30, 7), Point(3, 3, 7, positive=False)])
    assert before is not None and corrected.masks is not None
    assert corrected.frames == (4, 7)
    tracked = before.at(7)
    assert tracked is not None
    if tracked.rle.area:
        assert corrected.pointings[1].corrects == tracked.rle
    assert corrected.masks.indices == tuple(range(9))
    region = block(session.clip, 0)
    third = session.correct(0, region)
    assert third.masks is not None
    first = third.masks.at(0)
    assert first is not None
    assert np.array_equal(first.rle.decode(), region.mask)
    assert (third.masks.to_array() != corrected.masks.to_array()).any()


def test_a_second_click_on_the_same_frame_refines_the_first(open_session: Open) -> None:
    session = open_session(4)
    session.refer(Point(20, 20, 1))
    session.correct(0, Box(4, 4, 30, 30, 1))
    known = session.correct(0, Point(2, 2, 1, positive=False))
    (frame,) = prompted_frames(known, MaskView.of(session.clip, session.model.config.sam2))
    labels = [step.labels.tolist() for step in frame.steps if step.labels is not None]
    assert labels == [[[1]], [[2, 3, 1]], [[2, 3, 1, 0]]]
    assert all(step.previous is None for step in frame.steps), "each step refines what the one before decodes"


def test_several_frames_may_be_pointed_at_together(open_session: Open) -> None:
    session = open_session(6)
    known = session.refer([Point(20, 20, 4), Box(4, 4, 30, 30, 1), Point(2, 2, 1, positive=False)])
    assert known.frames == (1, 4)
    assert [len(pointing.prompts) for pointing in known.pointings] == [1, 2]
    other = open_session(6)
    other.refer(block(other.clip, 2), follow=False)
    with pytest.raises(PromptError, match="no mask on frame 5"):
        other.correct(0, [Point(9, 9, 0), Point(3, 3, 5, positive=False)])
    assert other[0].frames == (2,), "all or nothing"


def test_previews_touch_the_prompted_frame_alone(open_session: Open, counts: Counts) -> None:
    session = open_session(9)
    known = session.refer(Point(20, 20, 4), follow=False)
    assert known.masks is not None
    assert known.masks.indices == (4,)
    assert counts.frames == 1
    assert [index for index, _ in session.track([0])] == [4, 5, 6, 7, 8, 3, 2, 1, 0]
    masks = session[0].masks
    assert masks is not None
    assert masks.indices == tuple(range(9))


def test_forward_is_a_stream_and_backward_is_forward_in_a_reversed_clip(model: Predictor) -> None:
    """At 16 frames or more the distance of pointers is counted the same way."""
    clip, at = noise(36), 18
    session = model.session(clip)
    masks = session.refer(Point(20, 20, at)).masks
    reverse = model.session(clip.read(range(35, -1, -1))).refer(Point(20, 20, 35 - at)).masks
    live = model.live()
    streamed = [live.step(clip.frame(at), {0: Point(20, 20)})[0]]
    streamed += [live.step(clip.frame(index))[0] for index in range(at + 1, 36)]
    assert masks is not None and reverse is not None
    ours = masks.to_array()
    assert (ours[::-1] != reverse.to_array()).mean() < 1e-3
    assert (ours[at:] != np.stack([frame.rle.decode() for frame in streamed])).mean() < 1e-3
    assert len({frame.tobytes() for frame in ours}) > 5, "the case shows nothing when the masks stand still"


def test_objects_with_different_starts_do_not_disturb_each_other(open_session: Open) -> None:
    together = open_session(8)
    for place in range(3):
        together.refer(Point(10 + 15 * place, 20, frame=3 * place), follow=False)
    list(together.track())
    for place in range(3):
        alone = open_session(8)
        known = alone.refer(Point(10 + 15 * place, 20, frame=3 * place))
        one, other = together[place].masks, known.masks
        assert one is not None and other is not None
        assert one.indices == other.indices == tuple(range(8))
        assert (one.to_array() != other.to_array()).mean() < 1e-3


def test_ids_are_never_given_twice(open_session: Open) -> None:
    session = open_session(2)
    for _ in range(3):
        session.refer(Point(9, 9))
    session.remove(2)
    assert session.refer(Point(9, 9)).id == 3
    with pytest.raises(SessionError, match=r"no object \[2\]; the session knows \[0\], \[1\], \[3\]"):
        session.ask("Where is [2]?")
    with pytest.raises(SessionError, match=r"no object \[7\]"):
        session.correct(7, Point(1, 1))
    with pytest.raises(SessionError, match="were given already"):
        session.ask("Where is [2]?", {2: Point(3, 3)})
    assert session.ask("[9]?", {9: Point(3, 3)}, decoding=Decoding(1)) is not None
    assert session.next_id == 10


def test_rename_merge_and_show(open_session: Open) -> None:
    session = open_session(4)
    left, right = session.refer(block(session.clip, 0, 2), "left"), session.refer(block(session.clip, 1, 30))
    assert session.rename(1, "right").label == "[1] right"
    shown = session.show(1)
    assert shown.shape == (40, 60, 3)
    assert (shown != session.clip.frame(1)).any()
    assert left.masks is not None and right.masks is not None
    merged = session.merge([0, 1])
    assert merged.masks is not None
    union = left.masks.to_array() | right.masks.to_array()
    assert np.array_equal(merged.masks.to_array(), union)
    assert [known.id for known in session.objects] == [0]
    assert session.correct(0, Point(3, 3, 3)).masks is not None
    with pytest.raises(SessionError, match="two objects or more"):
        session.merge([0, 0])
    for name in ("", "  ", "two\nlines", "x" * 201):
        with pytest.raises(SessionError, match="name"):
            session.rename(0, name)


def test_tracking_stopped_early_keeps_what_was_found(open_session: Open) -> None:
    session = open_session(8)
    session.refer(Point(20, 20, 2), follow=False)
    for index, _ in session.track():
        if index == 4:
            break
    masks = session[0].masks
    assert masks is not None
    assert masks.indices == (2, 3, 4)


def test_an_interruption_keeps_the_object(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session, step = open_session(30), Track._step

    def interrupted(track: Track, number: int, index: int, *others: object) -> object:
        if index == 12:
            raise KeyboardInterrupt
        return step(track, number, index, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Track, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.refer(Point(20, 20, 9), "half")
    masks = session[0].masks
    assert masks is not None
    assert masks.indices == (9, 10, 11)


def test_progress_is_told(model: Predictor) -> None:
    heard: list[Progress] = []
    session = model.session(noise(5), on_progress=heard.append)
    session.refer(Point(9, 9, 2))
    assert [one.done for one in heard] == [1, 2, 3, 4, 5]
    assert heard[-1].total == 5
    assert heard[-1].seconds_left == 0
    assert "5 of 5" in str(heard[-1])


# Odd cases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("where", ["first", "last"])
def test_any_number_of_frames(open_session: Open, frames: int, where: str) -> None:
    session = open_session(frames)
    at = 0 if where == "first" else frames - 1
    known = session.refer(Point(20, 20, at))
    assert known.masks is not None
    assert known.masks.indices == tuple(range(frames))
    session.correct(0, Point(3, 3, at, positive=False))
    session.add(MaskTrack((FrameMask(at, RLE.from_mask(block(session.clip).mask), 1.0, True),)))
    response = session.ask("What is [1]?", [Point(5, 5, at)], decoding=Decoding(2))
    assert at in response.frames_seen


def test_an_object_that_comes_later(open_session: Open) -> None:
    """Nothing is known of it on frame 0, and everything of it is masked from where it was pointed at."""
    session = open_session(6)
    known = session.refer(block(session.clip, 5))
    assert known.masks is not None
    assert known.masks.indices == tuple(range(6))
    last = known.masks.at(5)
    assert last is not None and last.rle.area == 400


def test_objects_may_overlap(open_session: Open) -> None:
    session = open_session(2)
    session.refer(block(session.clip, 0, 5), follow=False)
    session.refer(block(session.clip, 0, 10), follow=False)
    one, other = (known.masks for known in session.objects)
    assert one is not None and other is not None
    assert (one.to_array() & other.to_array()).sum() == 300
    assert session.ask("Is [0] before [1]?", decoding=Decoding(1)) is not None


def test_thirty_two_objects(open_session: Open) -> None:
    session = open_session(3)
    for place in range(32):
        session.refer(Point(1 + place, 20, place % 3), follow=False)
    seen = dict.fromkeys(range(3), 0)
    for index, found in session.track():
        seen[index] = max(seen[index], len(found))
    assert all(len(known.masks or ()) == 3 for known in session.objects)
    assert seen[2] == 32
    visible = [known.id for known in session.objects if known.masks is not None and known.masks.area]
    listed = " ".join(f"[{number}]" for number in visible)
    assert session.ask(f"Name {listed}.", decoding=Decoding(1)) is not None


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda one: one.refer(RegionMask(np.zeros((40, 60), bool))), "empty"),
        (lambda one: one.refer(RegionMask(np.ones((9, 9), bool))), "9x9"),
        (lambda one: one.refer(Point(9, 9, 6)), "frame 6"),
        (lambda one: one.refer(Point(61, 9)), "outside"),
        (lambda one: one.refer(Point(9, 9, positive=False)), "negative"),
        (lambda one: one.refer([Point(9, 9, 1), Point(9, 9, 2, positive=False)]), "no mask on frame 2"),
        (lambda one: one.refer([]), "nothing"),
        (lambda one: one.refer("here"), "found str"),
        (lambda one: one.refer([Box(1, 1, 5, 5), Box(1, 1, 6, 6)]), "one box"),
        (lambda one: one.refer([block(one.clip), Point(1, 1)]), "mask says all"),
        (lambda one: one.refer(Point(1, 1), by="magic"), "magic"),
        (lambda one: one.refer([Point(1, 1), Point(2, 2)], by="language"), "one click"),
        (lambda one: one.ask(" "), "empty"),
        (lambda one: one.ask("What is [0]?"), r"no object \[0\]"),
        (lambda one: one.track([0]), r"no object \[0\]"),
        (lambda one: one.show(9), "frame 9"),
        (lambda one: one.show("a"), "frame"),
        (lambda one: one.ask(None), "is text"),
        (lambda one: one.ask("What?", [None]), "found NoneType"),
        (lambda one: one.ask("What?", {7.5: Point(1, 1)}), "whole number"),
        (lambda one: one.ask("What?", {-1: Point(1, 1)}), "from 0 to"),
        (lambda one: one.merge(["a", 0]), "whole number"),
        (lambda one: one.remove(None), "whole number"),
        (lambda one: one.add(None), "MaskTrack"),
        (lambda one: one.refer(Point("a", 2)), "coordinates"),
        (lambda one: one.refer(Scribble([(1, 2, 3)])), "list of points"),
        (lambda one: one.refer(Point(1, 1), "two\nlines", by="language"), "name"),
        (lambda one: one.refer(Point(1, 1), by="language", follow=False), "frame 0"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    open_session: Open, counts: Counts, act: object, message: str
) -> None:
    session = open_session(6)
    with pytest.raises(UniPixelError, match=message):
        act(session)  # type: ignore[operator]
    assert (counts.frames, counts.patches, counts.tokens) == (0, 0, 0)
    assert session.objects == ()


def test_an_object_that_was_found_nowhere_is_named(open_session: Open) -> None:
    session, empty = open_session(2), RLE.from_mask(np.zeros((40, 60), bool))
    session.add(MaskTrack((FrameMask(0, empty, 0.2, False),)), "ghost")
    with pytest.raises(SessionError, match=r"\[0\] ghost was found on no frame"):
        session.ask("Where is [0]?")
    told(session, "Is something here?", "Not [0].")
    assert session.question("Sure?", follow_up=True).request.memory == ()


def test_negative_clicks_need_something_to_correct(open_session: Open) -> None:
    session = open_session(4)
    session.refer(block(session.clip, 1), follow=False)
    with pytest.raises(PromptError, match="no mask on frame 3"):
        session.correct(0, Point(3, 3, 3, positive=False))
    assert session[0].frames == (1,)


def test_inputs_of_a_session_are_what_training_reads(model: Predictor, open_session: Open) -> None:
    """One path from words to tensors: clip and question together are the whole."""
    session = open_session(3)
    session.refer(block(session.clip), follow=False)
    prepared = model.processor.prepare(session.question("What is [0] to [1]?", [Point(9, 9)]).request)
    whole: Inputs = prepared.inputs
    parts = (prepared.clip.inputs, prepared.question.inputs)
    assert torch.equal(whole.token_ids, torch.cat([part.token_ids for part in parts], dim=1))
    assert whole.view is prepared.clip.inputs.view
    assert len(whole.prompts) == 1
    region = whole.regions[0]
    assert region is not None and region.shape[1] == 1


def test_what_is_followed_takes_the_same_memory_at_any_length(open_session: Open) -> None:
    session, sizes = open_session(60), []
    session.refer(Point(20, 20), follow=False)
    session.refer(Point(30, 30), follow=False)
    for _ in session.track():
        sizes.append(session.tracking_nbytes)
    assert sizes[20] == sizes[-1] > sizes[0]
    assert session.tracking_nbytes == 0
