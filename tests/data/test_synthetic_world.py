"""The made-up world, second part: facts, relations, names, held-out splits and recordings."""

import hashlib
import itertools
import json
from dataclasses import replace
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from unipixel.core.masks import RLE
from unipixel.core.media import Clip
from unipixel.data.synthetic.facts import MOTION_WORDS, SceneFacts, clear_ends
from unipixel.data.synthetic.files import MASK_PALETTE, write_scene
from unipixel.data.synthetic.motion import Track
from unipixel.data.synthetic.naming import clauses, phrase
from unipixel.data.synthetic.recordings import RecordingPlan, recorded_things, recording, write_recording
from unipixel.data.synthetic.relations import (
    above,
    below,
    extreme,
    left_of,
    nearest,
    outermost,
    passages,
    relation,
    right_of,
)
from unipixel.data.synthetic.render import CameraPath, render
from unipixel.data.synthetic.scene import Scene, evaluation_seed, make_scene, training_seed
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.splits import (
    SEEN_GROUNDS,
    SPLITS,
    UNSEEN_COMBINATIONS,
    UNSEEN_GROUNDS,
    full_world,
    scene_of,
    world_of,
)
from unipixel.data.synthetic.world import (
    ALL_COLOURS,
    COLOURS,
    MAX_THINGS,
    CameraConfig,
    Thing,
    WorldConfig,
)
from unipixel.errors import ConfigError, OutputError

SIDE, FRAMES = 128, 9
PLAIN = WorldConfig(
    num_frames=FRAMES, camera=CameraConfig(noise=0.0, blur=0.0, flicker=0.0, pan=0.0), grounds=("gradient",)
)
OFTEN = replace(full_world(), num_things=3, extra_things=1, twins=1.0, camera=PLAIN.camera)

Path2 = NDArray[np.float64]


def fingerprint(scene: Scene) -> str:
    things = [(t.shape, t.colour, t.rgb, t.radius, t.motion, t.pattern) for t in scene.things]
    parts = (scene.frames.tobytes(), scene.masks.tobytes(), repr((things, scene.target)).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (WorldConfig(), "bb997ca0940267f5"),
        (WorldConfig(area=(0.01, 0.10), enter=0.0, leave=0.0), "d1bf37a4cc0e5303"),
        (
            WorldConfig(enter=0.0, leave=0.06, area=(0.01, 0.10), speed=(0.015, 0.12), num_things=4),
            "d09ffd739ea9a55b",
        ),
    ],
)
def test_the_worlds_of_published_figures_stay_as_they_were(config: WorldConfig, expected: str) -> None:
    scenes = [make_scene(seed(i), config) for i in range(4) for seed in (training_seed, evaluation_seed)]
    assert hashlib.sha256("".join(map(fingerprint, scenes)).encode()).hexdigest()[:16] == expected


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", "cf93cdead33bf0c2"),
        ("val", "04ac2a229270b73f"),
        ("test", "320849449c5b5022"),
        ("unseen_combinations", "97a5381c2a961978"),
        ("unseen_backgrounds", "fe8a7e9565bc02d9"),
    ],
)
def test_splits_are_frozen(split: str, expected: str) -> None:
    prints = "".join(fingerprint(scene_of(split, index)) for index in range(4))
    assert hashlib.sha256(prints.encode()).hexdigest()[:16] == expected


# ------------------------------------------------------------------------------------------ things by hand


def thing(colour: str = "red", shape: str = "circle", radius: float = 10.0) -> Thing:
    return Thing(shape, colour, (0.8, 0.1, 0.1), radius, "still")


def play(*cast: tuple[Thing, Path2], drift: Path2 | None = None, scales: Path2 | None = None) -> Scene:
    """A scene of things on given ways (x, y) in pixels; the first thing takes the `scales`."""
    things = tuple(item for item, _ in cast)
    frames = len(cast[0][1])
    shift = np.zeros((frames, 2), dtype=np.intp) if drift is None else drift.astype(np.intp)
    tracks = tuple(
        Track(way + shift, np.zeros(frames), scales if number == 0 else None)
        for number, (_, way) in enumerate(cast)
    )
    config = replace(PLAIN, num_frames=frames)
    drawn = render(np.random.default_rng(0), config, things, tracks, CameraPath(shift))
    return Scene(drawn.frames, drawn.masks, things, 0, 1, tracks, drawn.covered, shift)


def line(start: tuple[float, float], end: tuple[float, float], frames: int = FRAMES) -> Path2:
    return np.linspace(start, end, frames)


def at(x: float, y: float, frames: int = FRAMES) -> Path2:
    return np.full((frames, 2), (x, y), dtype=np.float64)


def through(*points: tuple[float, float]) -> Path2:
    """From point to point, four steps each."""
    return np.concatenate(
        [at(*points[0], frames=1)] + [line(a, b, 5)[1:] for a, b in itertools.pairwise(points)]
    )


def circle(turns: float) -> Path2:
    angles = np.linspace(0, 2 * pi * turns, FRAMES)
    return np.array([(64 + 25 * cos(angle), 64 + 25 * sin(angle)) for angle in angles])


@pytest.mark.parametrize(
    ("way", "words", "direction"),
    [
        (at(60, 60), {"still"}, None),
        (line((30, 60), (95, 64)), {"moving"}, "right"),
        (line((95, 60), (30, 64)), {"moving"}, "left"),
        (line((60, 95), (60, 30)), {"moving"}, "up"),
        (line((60, 30), (60, 95)), {"moving"}, "down"),
        (line((30, 30), (90, 90)), {"moving"}, None),
        (through((30, 60), (90, 60), (90, 60)), {"moving", "stopping"}, "right"),
        (through((30, 60), (90, 60), (34, 60)), {"moving", "turning back"}, None),
        (circle(1.0), {"moving", "circling"}, None),
        (line((-20, 60), (90, 60)), {"moving", "entering"}, "right"),
        (line((90, 60), (-20, 60)), {"moving", "leaving"}, "left"),
    ],
)
def test_motion_words(way: Path2, words: set[str], direction: str | None) -> None:
    facts = play((thing(), way), (thing("blue"), at(20, 110))).facts.things[0]
    assert set(facts.motions) == words
    assert facts.direction == direction
    assert facts.says("stopping") is ("stopping" in words)
    if direction:
        opposite = {"left": "right", "right": "left", "up": "down", "down": "up"}[direction]
        assert facts.moves_to(opposite) is False


def test_what_can_be_argued_about_is_neither_said_nor_denied() -> None:
    crawling = play((thing(), line((60, 60), (66, 60))), (thing("blue"), at(20, 110))).facts.things[0]
    assert (crawling.says("still"), crawling.says("moving")) == (None, None)
    half_circle = play((thing(), circle(0.5)), (thing("blue"), at(20, 110))).facts.things[0]
    assert half_circle.says("circling") is None
    slanted = play((thing(), line((30, 60), (90, 75))), (thing("blue"), at(20, 110))).facts.things[0]
    assert (slanted.direction, slanted.moves_to("down"), slanted.moves_to("up")) == ("right", None, False)


def test_growing_and_shrinking() -> None:
    for scales, word in (
        (np.linspace(1, 1.6, FRAMES), "approaching"),
        (np.linspace(1, 0.6, FRAMES), "receding"),
    ):
        scene = play((thing(radius=16.0), at(64, 64)), (thing("blue"), at(20, 110)), scales=scales)
        facts = scene.facts.things[0]
        assert word in facts.motions
        assert facts.says("still") is None
        growth = scene.masks[0, -1].sum() / scene.masks[0, 0].sum()
        assert growth == pytest.approx(scales[-1] ** 2, rel=0.05)


def test_the_cameras_drift_is_no_motion() -> None:
    drift = np.linspace((0, 0), (20, 0), FRAMES).round()
    facts = play((thing(), at(60, 60)), (thing("blue"), line((90, 30), (40, 30))), drift=drift).facts
    assert facts.things[0].motions == ("still",)
    assert facts.things[1].direction == "left"
    assert facts.things[0].seen.centres[-1, 0] == pytest.approx(80, abs=0.5)


def test_events_tell_their_frames() -> None:
    coming = play((thing(), line((-20, 60), (90, 60))), (thing("blue"), at(20, 110)))
    entered = coming.facts.things[0].event("enters")
    assert entered is not None
    assert coming.masks[0, entered.frame].any()
    assert not coming.masks[0, entered.frame - 1].any()
    stopping = play((thing(), through((30, 60), (90, 60), (90, 60))), (thing("blue"), at(20, 110)))
    stopped = stopping.facts.things[0].event("stops")
    assert stopped is not None
    assert stopped.frame == 4


def test_who_hides_whom() -> None:
    big, small = thing("blue", "square", 26.0), thing("red", "circle", 9.0)
    facts = play((small, at(64, 64)), (big, line((15, 64), (113, 64), 9))).facts
    assert [(event.kind, event.by) for event in facts.things[0].events] == [
        ("hidden", 1),
        ("reappears", None),
    ]
    (passage,) = passages(facts)
    assert (passage.over, passage.under) == (1, 0)
    assert passage.share == pytest.approx(1.0)


def test_sizes_and_speeds_leave_a_margin() -> None:
    assert clear_ends([(1.0, 1.0), (2.9, 2.9)], 3.0, 1.5) == [0, 0]
    assert clear_ends([(1.0, 1.0), (3.1, 3.1)], 3.0, 1.5) == [-1, 1]
    assert clear_ends([(1.0, 1.0), (2.0, 2.0), (6.0, 6.0)], 3.0, 1.5) == [-1, 0, 1]
    assert clear_ends([(1.0, 4.0), (6.0, 6.0)], 3.0, 1.5) == [0, 0]  # it grows
    assert clear_ends([(1.0, 1.0)], 3.0, 1.5) == [0]
    small, large = thing(radius=8.0), thing("blue", radius=22.0)
    fast, slow = line((20, 100), (110, 100)), line((30, 30), (45, 30))
    facts = play((small, fast), (large, slow)).facts
    assert [item.size for item in facts.things] == ["small", "large"]
    assert [item.speed for item in facts.things] == ["fast", "slow"]
    assert [extreme(facts, which) for which in ("largest", "smallest", "fastest", "slowest")] == [1, 0, 0, 1]
    even = play((thing(radius=10.0), fast), (thing("blue", radius=11.0), fast - (0, 60))).facts
    assert all(extreme(even, which) is None for which in ("largest", "smallest", "fastest", "slowest"))


def test_places() -> None:
    facts = play((thing(), at(30, 60)), (thing("blue"), at(90, 64)), (thing("green"), at(90, 20))).facts
    assert left_of(facts, 0, 1)
    assert right_of(facts, 1, 0)
    assert above(facts, 2, 1)
    assert below(facts, 1, 2)
    assert not left_of(facts, 1, 0)
    assert not left_of(facts, 2, 1)
    assert (relation(facts, 0, 1), relation(facts, 1, 2), relation(facts, 0, 2)) == ("left of", "below", None)
    assert outermost(facts, "left") == 0
    assert outermost(facts, "right") is None
    assert outermost(facts, "top") == 2
    assert nearest(facts, 2) == 1
    assert nearest(facts, 1) is None or nearest(facts, 1) == 2
    gone = play((thing(), at(-50, 60)), (thing("blue"), at(90, 64))).facts
    assert relation(gone, 0, 1) is None
    assert nearest(gone, 1) is None


def test_seen_agrees_with_the_masks() -> None:
    for index in range(5):
        scene = scene_of("val", index)
        for facts, masks in zip(scene.facts.things, scene.masks, strict=True):
            for frame, mask in enumerate(masks):
                assert facts.seen.area[frame] == mask.sum()
                assert facts.seen.visible[frame] == mask.any()
                if mask.any():
                    rows, columns = np.nonzero(mask)
                    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    assert facts.seen.boxes[frame].tolist() == box
                    middle = (columns.mean() + 0.5, rows.mean() + 0.5)
                    assert facts.seen.centres[frame] == pytest.approx(middle)


# ----------------------------------------------------------------------------------------- whole worlds


def holds(facts: SceneFacts, number: int, kind: str, fact: str) -> bool | None:
    item = facts.things[number]
    if kind == "direction":
        return item.moves_to(fact)
    return item.says(fact) if kind == "motion" else {"size": item.size, "speed": item.speed}.get(kind) == fact


def test_twins_can_be_told_apart() -> None:
    kinds = set()
    for step in range(45):
        scene = make_scene(training_seed(step), OFTEN)
        facts, count = scene.facts, len(scene.things)
        assert len({scene.expression(number) for number in range(count)}) == count
        names = [item.name for item in scene.things]
        assert len(set(names)) == count - 1
        first, second = (number for number in range(count) if names.count(names[number]) == 2)
        for number, twin in ((first, second), (second, first)):
            clause = clauses(facts, number)[0]
            kinds.add(clause.kind)
            assert clause.apply(names[number]) == scene.expression(number) == phrase(facts, number)
            if clause.kind in ("direction", "motion", "size", "speed"):
                assert holds(facts, number, clause.kind, clause.fact) is True
                assert holds(facts, twin, clause.kind, clause.fact) is False
    assert {"size", "pattern", "direction", "motion", "place"} <= kinds


def test_every_word_and_event_occurs() -> None:
    facts = [scene_of("train", index).facts for index in range(90)]
    things = [item for scene in facts for item in scene.things]
    for word in MOTION_WORDS:
        assert sum(word in item.motions for item in things) >= 3, word
    for kind in ("enters", "leaves", "stops", "turns back", "hidden", "reappears"):
        assert any(item.event(kind) for item in things), kind
    assert {item.direction for item in things} == {"left", "right", "up", "down", None}
    assert {item.colour for item in things} == set(ALL_COLOURS)
    assert {item.shape for item in things} == set(ALL_SHAPES)
    assert {item.size for item in things} == {item.speed for item in things} - {"fast", "slow"} | {
        "small",
        "large",
    }
    assert {len(scene.things) for scene in facts} == {2, 3, 4}


def test_held_out_pairs_and_grounds() -> None:
    assert {colour for colour, _ in UNSEEN_COMBINATIONS} < set(ALL_COLOURS)
    assert len(set(UNSEEN_COMBINATIONS)) == 4
    assert not set(UNSEEN_GROUNDS) & set(SEEN_GROUNDS)
    assert world_of("unseen_backgrounds").grounds == UNSEEN_GROUNDS
    for split in SPLITS:
        assert split == "unseen_backgrounds" or world_of(split).grounds == SEEN_GROUNDS
        for index in range(25):
            scene = scene_of(split, index, num_frames=1, height=96, width=96)
            unseen = {item.pair for item in scene.things} & set(UNSEEN_COMBINATIONS)
            target = scene.things[scene.target].pair
            assert unseen == ({target} if split == "unseen_combinations" else set())
    seeds = {split.seed(index) for split in SPLITS.values() for index in range(100)}
    assert len(seeds) == 100 * len(SPLITS)


def test_unknown_splits_and_indices_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'unseen_combinations'"):
        scene_of("unseen_combination", 0)
    with pytest.raises(ConfigError, match="scene index"):
        scene_of("test", 1 << 40)


def test_patterns_show_even_on_small_things() -> None:
    small = replace(OFTEN, area=(0.01, 0.01), num_things=2, extra_things=0, twins=0.0, num_frames=1)
    for pattern in ("striped", "dotted"):
        for step in range(30):
            scene = make_scene(training_seed(step), replace(small, patterns=(pattern,), contrast=0.0))
            for item, mask in zip(scene.things, scene.masks[:, 0], strict=True):
                if item.second is None:
                    assert item.shape in ("star", "ring")  # too narrow here to tell stripes from dots
                    continue
                first, second = (255 * np.array(shade) for shade in (item.rgb, item.second))
                share = (
                    (scene.frames[0][mask] - first) @ (second - first) / ((second - first) @ (second - first))
                )
                assert (share > 0.6).mean() > 0.08, (step, item)
                assert (share < 0.4).mean() > 0.25, (step, item)


def test_worlds_draw_nothing_new_unless_asked() -> None:
    assert WorldConfig().is_plain
    assert WorldConfig().colours == COLOURS == ("red", "green", "blue", "yellow")
    for change in ({"extra_things": 1}, {"twins": 0.1}, {"patterns": ("striped",)}, {"num_things": 5}):
        assert not replace(WorldConfig(), **change).is_plain  # type: ignore[arg-type]


def test_drift_and_shadow_change_the_picture_not_the_facts() -> None:
    calm = replace(OFTEN, twins=0.0)
    wild = replace(calm, camera=replace(PLAIN.camera, drift=1.0, sweep=1.0))
    drifted = 0
    for step in range(10):
        before, after = make_scene(training_seed(step), calm), make_scene(training_seed(step), wild)
        assert before.things == after.things
        assert not np.array_equal(before.frames, after.frames)
        drifted += int(np.abs(after.drift).max() > 3)
        for first, second in zip(before.facts.things, after.facts.things, strict=True):
            assert first.direction == second.direction or not second.seen.visible.all()
    assert drifted >= 5


def test_scenes_of_six_things_as_files(tmp_path: Path) -> None:
    world = replace(full_world(num_frames=4), num_things=6, extra_things=0, twins=1.0, area=(0.01, 0.09))
    scene = make_scene(evaluation_seed(3), world)
    paths = write_scene(scene, tmp_path, "clip")
    told = json.loads(paths.facts.read_text())
    assert len(told["things"]) == 6 <= MAX_THINGS
    assert len(MASK_PALETTE) == 3 * (1 + MAX_THINGS)
    for number, item in enumerate(told["things"]):
        facts = scene.facts.things[number]
        assert item["expression"] == scene.expression(number)
        assert (item["size"], item["direction"], tuple(item["motions"])) == (
            facts.size,
            facts.direction,
            facts.motions,
        )
        shown = [box is not None for box in item["boxes"]]
        assert shown == scene.masks[number].any(axis=(1, 2)).tolist()
    for row in told["relations"]:
        assert relation(scene.facts, row["thing"], row["other"]) == row["is"]


# ------------------------------------------------------------------------------------------- recordings

SHORT = RecordingPlan(minutes=1.0, fps=2.0, height=96, width=112, num_things=3, away=(2.0, 6.0))


def test_things_of_a_recording_return() -> None:
    shown = list(recording(5, SHORT))
    assert [item.number for item in shown] == list(range(120))
    assert shown[3].time == 1.5
    assert shown[0].frame.shape == (96, 112, 3)
    assert all((item.masks.sum(axis=0) <= 1).all() for item in shown)
    things = recorded_things(5, SHORT)
    assert len({item.name for item in things}) == 3
    present = np.array([item.masks.any(axis=(1, 2)) for item in shown])
    comings = (np.diff(present.astype(int), axis=0) == 1).sum(axis=0)
    assert (comings >= 2).all()
    for number, item in enumerate(things):
        if item.second is None:
            for frame in [frame for frame in shown if frame.masks[number].sum() > 100][::8]:
                error = frame.frame[frame.masks[number]].mean(axis=0) - 255 * np.array(item.rgb)
                assert np.abs(error).max() < 30


def test_recordings_repeat_and_do_not_depend_on_their_length() -> None:
    longer = replace(SHORT, minutes=100.0)
    for first, second in itertools.islice(zip(recording(5, SHORT), recording(5, longer), strict=False), 40):
        np.testing.assert_array_equal(first.frame, second.frame)
        np.testing.assert_array_equal(first.masks, second.masks)


def test_recordings_as_files(tmp_path: Path) -> None:
    plan = replace(SHORT, minutes=0.5)
    paths = write_recording(tmp_path / "new", "place", 6, plan)
    head, *frames, last = (json.loads(row) for row in paths.objects.read_text().splitlines())
    assert (head["seed"], head["plan"]["fps"], len(head["things"])) == (6, 2.0, 3)
    assert Clip.open(paths.video).num_frames == len(frames) == 60
    for row, shown in zip(frames, recording(6, plan), strict=True):
        assert [item["thing"] for item in row["objects"]] == list(shown.present)
        for item in row["objects"]:
            np.testing.assert_array_equal(RLE.from_coco(item["mask"]).decode(), shown.masks[item["thing"]])
    for number, stretches in enumerate(last["presence"]):
        told = {frame for first, end in stretches for frame in range(first, end + 1)}
        assert told == {row["frame"] for row in frames if any(o["thing"] == number for o in row["objects"])}
    with pytest.raises(OutputError, match="plain file name"):
        write_recording(tmp_path, "../place", 6, plan)


def test_a_recording_holds_up_to_six_things() -> None:
    for count in (1, 6):
        plan = replace(SHORT, num_things=count)
        assert next(recording(3, plan)).masks.shape == (count, 96, 112)
    assert len(recorded_things(3, RecordingPlan())) == 5


def test_impossible_recordings_are_refused() -> None:
    for change in ({"minutes": 0.0}, {"num_things": 7}, {"away": (5.0, 1.0)}, {"height": 20}):
        with pytest.raises(ConfigError):
            replace(SHORT, **change)  # type: ignore[arg-type]
