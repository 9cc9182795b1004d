"""Better masks without training: where an object is followed from, with which weights, and what is seen."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.inference.noise_clips import PIXELS, noise, told

from unipixel.core.changes import frame_changes
from unipixel.core.conversation import Segment, assistant, user
from unipixel.core.mask_options import MaskOptions
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.response import Response, SegmentedObject
from unipixel.errors import ConfigError, RequestError, WeightsError
from unipixel.inference import starting
from unipixel.inference.mask_way import MaskWay
from unipixel.inference.starting import STARTERS, choose_starts
from unipixel.loading import load, with_masks
from unipixel.model.sam2 import MaskTracker
from unipixel.model.weights import published_state
from unipixel.predictor import Predictor

CLEAREST = MaskOptions(start="clearest")


def request(clip: Clip, *said: object) -> Request:
    parts = said or (Segment(),)
    return Request(
        clip,
        (user("Where?"),),
        forced_answer=assistant(*parts),
        num_frames=4,
        pixels=PIXELS,  # type: ignore[arg-type]
    )


def same(one: Response, other: Response) -> bool:
    pairs = zip(one.objects, other.objects, strict=True)
    return all((a.masks.to_array() == b.masks.to_array()).all() for a, b in pairs)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], None]:
    """Lets single looks find a mask with a score on some frames, and nothing on the others."""

    def pretend(scores: dict[int, float]) -> None:
        def look(
            _: object, indices: Sequence[int], hidden: torch.Tensor, __: object
        ) -> list[list[FrameMask]]:
            rle = RLE.from_mask(np.ones((40, 60), np.bool_))
            found = [FrameMask(index, rle, scores.get(index, 0), index in scores) for index in indices]
            return [found for _ in hidden]

        monkeypatch.setattr(starting, "look", look)

    return pretend


# Options


def test_options_say_what_is_not_the_published_way() -> None:
    assert str(MaskOptions()) == ""
    every = MaskOptions("clearest", "sam2.pt", "change", True)
    assert str(every) == "start clearest, propagated with sam2.pt, language frames by change, split"


@pytest.mark.parametrize("wrong", [{"start": "best"}, {"language_frames": "all"}, {"propagate_with": ""}])
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"choose|give"):
        MaskOptions(**wrong)  # type: ignore[arg-type]


# The clearest frame


def test_the_clearest_frame_is_the_one_with_the_best_score(
    model: Predictor, sees: Callable[[dict[int, float]], None]
) -> None:
    frames = MaskWay().encoded(model.model, model.processor, noise(9)).frames
    sees({2: 0.4, 7: 0.9})
    hidden = torch.zeros(2, 2, 32)
    assert choose_starts(STARTERS["clearest"], frames, [0, 2, 5, 7], hidden) == [7, 7]
    assert choose_starts(STARTERS["first"], frames, [0, 2, 5, 7], hidden) == [0, 0]
    sees({})
    assert choose_starts(STARTERS["clearest"], frames, [0, 2, 5, 7], hidden) == [0, 0]


def test_a_session_and_a_batch_follow_from_the_same_frame(
    model: Predictor, sees: Callable[[dict[int, float]], None]
) -> None:
    sees({2: 0.9})
    clearest = with_masks(model, CLEAREST)
    clip = noise(6)
    answered = clearest.answer([request(clip, Segment(), " and ", Segment())])[0]
    with clearest.session(clip, num_frames=4, pixels=PIXELS) as session:
        asked = told(session, "Where?", Segment(), " and ", Segment())
        assert [known.frames for known in session.objects] == [(2,), (2,)]
    assert same(answered, asked)
    assert answered.objects[0].masks.indices == tuple(range(6))
    assert not same(answered, model.answer([request(clip, Segment(), " and ", Segment())])[0])


def test_single_frames_are_looked_at_without_remembering_them(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"look": 0, "step": 0}
    for name in counts:
        real = getattr(MaskTracker, name)

        def counted(*given: object, real: Callable[..., object] = real, name: str = name) -> object:
            counts[name] += 1
            return real(*given)

        monkeypatch.setattr(MaskTracker, name, counted)
    with_masks(model, CLEAREST).answer([request(noise(6))])
    assert counts == {"look": 4, "step": 6}


def test_a_saved_session_knows_where_its_objects_start(
    model: Predictor, sees: Callable[[dict[int, float]], None], tmp_path: Path
) -> None:
    sees({5: 0.9})
    clearest = with_masks(model, CLEAREST)
    with clearest.session(noise(6), pixels=PIXELS) as session:
        told(session, "Where?", Segment())
        session.save(tmp_path / "one.session")
        before = session[0].masks
    with clearest.load_session(tmp_path / "one.session") as again:
        assert again[0].said_on == 5 and again.way.options == CLEAREST
        list(again.track([0]))
        assert again[0].masks == before


# Other weights


def test_the_models_own_weights_given_again_change_next_to_nothing(
    model: Predictor, golden_checkpoint: Path
) -> None:
    clip = noise(6)
    again = with_masks(model, MaskOptions(propagate_with=str(golden_checkpoint)))
    ours, theirs = (one.answer([request(clip)])[0].objects[0].masks for one in (model, again))
    assert ours.frames[0] == theirs.frames[0], "the first mask is the tuned decoder's"
    assert theirs.indices == ours.indices


def test_the_first_mask_is_ours_and_all_others_are_theirs(model: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "sam2.pt"
    weights = {
        name.removeprefix("sam2."): tensor.clone()
        for name, tensor in published_state(model.model).items()
        if name.startswith("sam2.")
    }
    torch.save({"model": weights}, file)
    same_file = with_masks(model, MaskOptions(propagate_with=str(file)))
    for name in weights:
        if name.startswith("sam_mask_decoder.pred_obj_score_head.layers.2"):
            weights[name] = torch.zeros_like(weights[name]) - (10 if name.endswith("bias") else 0)
    torch.save({"model": weights}, file)  # a decoder that sees nothing
    blind = with_masks(model, MaskOptions(propagate_with=str(tmp_path)))
    clip = noise(6)
    seen, unseen = (one.answer([request(clip)])[0].objects[0].masks for one in (same_file, blind))
    assert unseen.frames[0] == seen.frames[0]
    assert [frame.present for frame in unseen][1:] == [False] * 5
    with blind.session(clip, num_frames=4, pixels=PIXELS) as session:
        assert told(session, "Where?", Segment()).objects[0].masks == unseen


def test_weights_of_no_known_size_are_refused(model: Predictor, tmp_path: Path) -> None:
    torch.save({"model": {"no_mem_embed": torch.zeros(1, 1, 7)}}, tmp_path / "odd.pt")
    with pytest.raises(WeightsError, match=r"no SAM 2\.1 weights of a known size"):
        with_masks(model, MaskOptions(propagate_with=str(tmp_path / "odd.pt")))
    torch.save({}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="several files"):
        with_masks(model, MaskOptions(propagate_with=str(tmp_path)))


def test_loading_takes_the_options(golden_checkpoint: Path) -> None:
    options = MaskOptions("clearest", str(golden_checkpoint), "change", True)
    opened = load(golden_checkpoint, masks=options)
    assert opened.way.options == options and opened.way.propagator is not None
    assert opened.way.propagator.device == opened.device


# Frames that the language model sees


def still_then_moving() -> Clip:
    frames = np.repeat(noise(1).frame(0)[None], 40, axis=0).copy()
    frames[30:] = np.stack([noise(1, seed=seed).frame(0) for seed in range(1, 11)])
    return Clip.open(frames)


def test_changes_are_found_where_they_are() -> None:
    changes = frame_changes(still_then_moving())
    assert len(changes) == 39 and not any(changes[:29]) and min(changes[29:]) > 0.05


def test_the_language_model_sees_more_of_what_changes(model: Predictor) -> None:
    clip, change = still_then_moving(), with_masks(model, MaskOptions(language_frames="change"))
    answered = change.answer([request(clip)])[0]
    assert answered.frames_seen[0] == 0 and answered.frames_seen[-1] == 39
    assert sum(frame >= 29 for frame in answered.frames_seen) > 1
    with change.session(clip, num_frames=4, pixels=PIXELS) as session:
        assert told(session, "Where?", Segment()).frames_seen == answered.frames_seen
    assert model.answer([request(clip)])[0].frames_seen == (0, 13, 26, 39)


def test_frames_that_a_request_names_are_shown_and_must_exist(model: Predictor) -> None:
    named = Request(noise(9), (user("Where?"),), frames=(1, 4, 8), keep_frames=(5,))
    assert model.processor.shown_frames(named) == [1, 5, 8]
    for wrong in ((), (3, 3), (4, 1), (9,)):
        with pytest.raises(RequestError, match="different ones from 0 to 8"):
            Request(noise(9), (user("Where?"),), frames=wrong)


# Splitting


def two_squares() -> MaskTrack:
    mask = np.zeros((40, 60), np.bool_)
    mask[5:15, 5:15] = mask[20:26, 40:46] = True
    return MaskTrack(tuple(FrameMask(index, RLE.from_mask(mask), 0.5, True) for index in range(3)))


def test_parts_get_numbers_of_their_own_and_say_what_they_are() -> None:
    response = Response(
        "[0] and [1].", tuple(SegmentedObject(k, two_squares()) for k in (0, 1)), (), "", (0,), "stop"
    )
    split = MaskWay(MaskOptions(split=True)).split(response, 7, pointed=[1])
    assert [(one.id, one.part_of, one.label) for one in split.objects] == [
        (0, 0, "part of [0]"),
        (1, None, "[1]"),
        (7, 0, "part of [0]"),
    ]
    assert [one.masks.frames[0].rle.area for one in split.objects] == [100, 136, 36]
    assert MaskWay().split(response, 7) is response


def test_a_session_remembers_the_parts(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(track: MaskTrack) -> tuple[MaskTrack, ...]:
        return (track, track)

    monkeypatch.setattr("unipixel.inference.mask_way.split_track", two)
    with with_masks(model, MaskOptions(split=True)).session(noise(3), pixels=PIXELS) as session:
        response = told(session, "Where?", Segment())
        assert [one.id for one in response.objects] == [known.id for known in session.objects] == [0, 1]
        assert {known.origin for known in session.objects} == {"given"}
        told(session, "And [1]?", Segment())
