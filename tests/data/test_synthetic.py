"""The made-up world: what it promises about names, masks, seeds and files."""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from unipixel.data.synthetic.files import WriteOptions, write_scene
from unipixel.data.synthetic.ground import GROUND_KINDS, draw_ground
from unipixel.data.synthetic.motion import ALL_MOTIONS, MOTION_KINDS, ROAMING, Track, Walk, make_track
from unipixel.data.synthetic.render import render
from unipixel.data.synthetic.scene import (
    Scene,
    Split,
    evaluation_seed,
    make_scene,
    moves,
    split_of,
    split_seed,
    training_seed,
)
from unipixel.data.synthetic.shapes import SHAPE_KINDS, SHAPES
from unipixel.data.synthetic.world import AREAS, COLOUR_KINDS, COLOURS, CameraConfig, Thing, WorldConfig
from unipixel.errors import ConfigError, OutputError

PLAIN_CAMERA = CameraConfig(noise=0.0, blur=0.0, flicker=0.0, pan=0.0)
STAYING = WorldConfig(leave=0.0, enter=0.0)


def draw(count: int, config: WorldConfig) -> list[Scene]:
    return [make_scene(training_seed(step), config) for step in range(count)]


def fingerprint(scene: Scene) -> str:
    parts = (scene.frames.tobytes(), scene.masks.tobytes(), repr((scene.things, scene.target)).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_same_seed_same_scene_also_in_another_process() -> None:
    config = WorldConfig(height=96, width=112, num_frames=3)
    code = (
        "import hashlib\n"
        "from unipixel.data.synthetic.scene import make_scene, training_seed\n"
        "from unipixel.data.synthetic.world import WorldConfig\n"
        "s = make_scene(training_seed(7), WorldConfig(height=96, width=112, num_frames=3))\n"
        "parts = (s.frames.tobytes(), s.masks.tobytes(), repr((s.things, s.target)).encode())\n"
        "print(hashlib.sha256(b''.join(parts)).hexdigest())"
    )
    path = ":".join(item for item in sys.path if item)
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": path})
    assert other.stdout.strip() == fingerprint(make_scene(training_seed(7), config))


def test_other_seed_other_scene() -> None:
    scenes = draw(30, WorldConfig(num_frames=1))
    assert len({fingerprint(scene) for scene in scenes}) == 30


def test_drawing_does_not_touch_numpys_global_generator() -> None:
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    make_scene(training_seed(0), WorldConfig(num_frames=2))
    np.testing.assert_array_equal(np.random.random(3), expected)


def test_camera_does_not_change_the_layout() -> None:
    spoiled, plain = (make_scene(3, WorldConfig(camera=camera)) for camera in (CameraConfig(), PLAIN_CAMERA))
    assert spoiled.things == plain.things
    np.testing.assert_array_equal(spoiled.masks, plain.masks)
    assert not np.array_equal(spoiled.frames, plain.frames)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_names_are_unique_and_distractors_mislead(count: int) -> None:
    for scene in draw(40, WorldConfig(height=96, width=96, num_frames=1, num_things=count)):
        assert len({scene.expression(i) for i in range(count)}) == count
        target = scene.things[scene.target]
        assert scene.expression(scene.target) == f"{target.colour} {target.shape}"
        others = [thing for i, thing in enumerate(scene.things) if i != scene.target]
        same_colour = sum(thing.colour == target.colour for thing in others)
        same_shape = sum(thing.shape == target.shape for thing in others)
        assert (same_colour >= 1 and same_shape >= 1) if count > 2 else same_colour + same_shape == 1


def test_targets_and_layers_are_balanced() -> None:
    scenes = draw(300, WorldConfig(height=96, width=96, num_frames=1))
    names = Counter(scene.expression(scene.target) for scene in scenes)
    assert len(names) == len(SHAPES) * len(COLOURS)
    assert max(names.values()) < 60  # 25 expected
    places = Counter(scene.target for scene in scenes)
    assert min(places.values()) > 60  # 100 expected


@pytest.mark.parametrize(
    ("height", "width", "count"), [(128, 128, 3), (96, 256, 4), (256, 96, 4), (130, 97, 3)]
)
def test_areas_at_frame_0(height: int, width: int, count: int) -> None:
    config = replace(STAYING, height=height, width=width, num_frames=1, num_things=count, area=AREAS)
    for scene in draw(40, config):
        assert scene.frames.shape == (1, height, width, 3)
        assert scene.frames.dtype == np.uint8
        shares = scene.masks[:, 0].mean(axis=(1, 2))
        assert shares.min() > AREAS[0] * 0.95  # rounding to whole pixels
        assert shares.max() < AREAS[1] * 1.05


@pytest.mark.parametrize("shape", SHAPE_KINDS)
def test_table_of_shapes_states_true_areas(shape: str) -> None:
    axis = np.linspace(-1.05, 1.05, 600, dtype=np.float32)
    inside = SHAPE_KINDS[shape].distance(axis[None, :] * np.ones_like(axis)[:, None], axis[:, None]) <= 0
    assert inside.mean() * 2.1**2 == pytest.approx(SHAPE_KINDS[shape].area, rel=0.01)


def test_things_do_not_touch_at_frame_0() -> None:
    config = replace(STAYING, num_frames=1, num_things=4, area=(0.06, 0.10))
    for scene in draw(40, config):
        for mask in scene.masks[:, 0]:
            grown = mask.copy()
            grown[1:] |= mask[:-1]
            grown[:-1] |= mask[1:]
            grown[:, 1:] |= mask[:, :-1]
            grown[:, :-1] |= mask[:, 1:]
            assert not (grown & ~mask & scene.masks[:, 0].any(axis=0)).any()


def test_masks_are_disjoint_and_occlusion_hides() -> None:
    scenes = draw(40, replace(STAYING, num_frames=6))
    assert all((scene.masks.sum(axis=0) <= 1).all() for scene in scenes)
    first, last = (np.array([scene.masks[:, t].sum() for scene in scenes]) for t in (0, -1))
    assert (last < 0.97 * first).sum() >= 5  # some things came to lie under others


def test_masks_show_what_is_drawn() -> None:
    for scene in draw(40, replace(STAYING, num_frames=4, camera=PLAIN_CAMERA, shapes=tuple(SHAPE_KINDS))):
        for thing, masks in zip(scene.things, scene.masks, strict=True):
            for frame, mask in zip(scene.frames, masks, strict=True):
                if mask.sum() < 60:
                    continue
                error = frame[mask].mean(axis=0) - 255 * np.array(thing.rgb)
                assert np.abs(error).max() < 26, (scene.seed, thing.name, error)


def test_a_missed_pixel_shift_would_be_seen() -> None:
    """Inside a mask colours vary little; the mask moved by three pixels takes in ground and other things."""
    config = replace(STAYING, num_frames=4, camera=PLAIN_CAMERA)
    spreads = []
    for scene in draw(20, config):
        for mask, frame in zip(scene.masks[scene.target], scene.frames.astype(float), strict=True):
            shifted = np.roll(mask, (3, 3), axis=(0, 1))
            spreads.append([frame[inside].std(axis=0).max() for inside in (mask, shifted)])
    true, off = np.median(spreads, axis=0)
    assert off > 1.5 * true


def test_splits_share_no_seed() -> None:
    steps = range(2000)
    training = {training_seed(step) for step in steps}
    tests = {evaluation_seed(index) for index in steps}
    validation = {evaluation_seed(index, Split.VAL) for index in steps}
    assert len(training | tests | validation) == 6000
    largest = (1 << 48) - 1
    for split in Split:
        assert split_of(split_seed(split, 0)) is split_of(split_seed(split, largest)) is split
    config = WorldConfig(height=96, width=96, num_frames=1)
    assert fingerprint(make_scene(training_seed(1), config)) != fingerprint(
        make_scene(evaluation_seed(1), config)
    )


def test_seeds_out_of_range_are_refused() -> None:
    for wrong in (-1, 1 << 48):
        with pytest.raises(ConfigError, match="expected 0 to"):
            training_seed(wrong)
    with pytest.raises(ConfigError, match="training split"):
        evaluation_seed(0, Split.TRAIN)
    with pytest.raises(ConfigError, match="seed is"):
        make_scene(1 << 50)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 64}, "height is 64; expected 96 to 256"),
        ({"num_frames": 33}, "num_frames is 33"),
        ({"num_things": 7}, "num_things is 7"),
        ({"num_things": 5, "area": (0.03, 0.1)}, "expected one from 0.02 or less"),
        ({"extra_things": 4}, "extra_things is 4"),
        ({"patterns": ("tartan",)}, "do not exist"),
        ({"twins": -0.1}, "probability"),
        ({"exclude": (("red", "hexagon"),)}, "pairs"),
        (
            {
                "shapes": ("circle", "square"),
                "colours": ("red", "blue"),
                "exclude": (("red", "circle"),) * 2,
                "num_things": 4,
            },
            "leaves 3 kinds",
        ),
        ({"num_things": 2.5}, "whole number"),
        ({"shapes": ("circle", "blob")}, "do not exist"),
        ({"colours": ("red",)}, "at least 2"),
        ({"shapes": ("circle", "circle")}, "each once"),
        ({"motions": ("leave",)}, "do not exist"),
        ({"grounds": ()}, "at least 1"),
        ({"area": (0.05, 0.2)}, "area is"),
        ({"speed": (0.2, 0.1)}, "speed is"),
        ({"absent_at_start": 1.5}, "probability"),
    ],
)
def test_impossible_worlds_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(WorldConfig(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [1, 2, 32])
@pytest.mark.parametrize("motion", MOTION_KINDS)
def test_paths(motion: str, frames: int) -> None:
    low, high, reach = np.full(2, 11.0), np.full(2, 85.0), 11.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        walk = Walk(rng.uniform(low, high), low, high, reach, 4.0, frames)
        centres = make_track(rng, motion, walk).centres
        assert centres.shape == (frames, 2)
        beyond = (centres <= low - 2 * reach + 0.02) | (centres >= high + 2 * reach - 0.02)
        hidden = [bool(point.any()) for point in beyond]
        if motion in ALL_MOTIONS or motion == "cross":
            assert (centres >= low - 0.02).all()
            assert (centres <= high + 0.02).all()
            if motion in ROAMING:
                assert np.linalg.norm(np.diff(centres, axis=0), axis=1).max(initial=0) <= 1.5 * 4.0 + 0.1
            np.testing.assert_allclose(centres[0], walk.start, atol=0.02)
        elif motion == "leave":
            assert not hidden[0]
            assert frames == 1 or hidden[-1]
        else:
            assert hidden[0]
            assert frames == 1 or not hidden[-1]


def test_leaving_and_entering_show_in_the_masks() -> None:
    leaving = draw(8, replace(STAYING, leave=1.0))
    assert all(scene.masks[:, 0].any(axis=(1, 2)).all() and not scene.masks[:, -1].any() for scene in leaving)
    for scene in draw(8, replace(STAYING, absent_at_start=1.0, enter=1.0)):
        assert not scene.masks[:, 0].any()
        assert scene.masks[scene.target].any()
    for scene in draw(8, replace(STAYING, num_frames=1, absent_at_start=1.0, enter=1.0)):
        seen = [bool(mask.any()) for mask in scene.masks[:, 0]]
        assert not seen[scene.target]
        assert sum(seen) == 2


def test_things_are_cut_off_at_the_right_side_of_the_border() -> None:
    config = WorldConfig(height=96, width=96, num_frames=4, camera=PLAIN_CAMERA)
    disc = Thing("circle", "red", (0.9, 0.1, 0.1), 20.0, "still")
    centres = np.array([[0.0, 48.0], [96.0, 48.0], [48.0, 0.0], [48.0, 96.0]])
    drawn = render(np.random.default_rng(0), config, (disc,), (Track(centres, np.zeros(4)),))
    left, right, top, bottom = drawn.masks[0]
    for half in (left, right[:, ::-1], top.T, bottom[::-1].T):
        np.testing.assert_array_equal(half, left)
    widths = left.sum(axis=0)
    assert widths[0] == 40  # the whole diameter lies on the border
    assert (np.diff(widths) <= 0).all()
    assert (widths[18], widths[21]) == (pytest.approx(15, abs=2), 0)


def test_target_is_visible_at_frame_0_by_default() -> None:
    assert all(scene.masks[scene.target, 0].any() for scene in draw(100, WorldConfig(num_frames=2)))


def test_moves() -> None:
    for scene in draw(10, replace(STAYING, motions=("still",))):
        unmoved = scene.masks[scene.target, 0].sum() == scene.masks[scene.target, -1].sum()
        assert not (unmoved and moves(scene, scene.target))
    fast = draw(40, replace(STAYING, motions=("linear",), speed=(0.06, 0.06)))
    assert sum(moves(scene, scene.target) for scene in fast) > 30
    assert all(moves(scene, scene.target) for scene in draw(5, replace(STAYING, leave=1.0)))
    assert not any(moves(scene, scene.target) for scene in draw(5, WorldConfig(num_frames=1)))
    usual = [moves(scene, scene.target) for scene in draw(100, WorldConfig())]
    assert 40 < sum(usual) < 95


@pytest.mark.parametrize("kind", GROUND_KINDS)
def test_grounds_are_textured_and_muted(kind: str) -> None:
    for seed in range(10):
        ground = draw_ground(np.random.default_rng(seed), (100, 130), (kind,))
        assert ground.shape == (3, 100, 130)
        assert ground.dtype == np.float32
        assert ground.reshape(3, -1).std(axis=1).max() > 1.0
        brightest, darkest = ground.max(axis=0), ground.min(axis=0)
        assert ((brightest - darkest) / brightest).max() < 0.55  # saturation; most things have more


def test_colours_keep_apart() -> None:
    kinds = sorted(
        (kind for kind in COLOUR_KINDS.values() if kind.saturation[0] > 0.3), key=lambda kind: kind.hue
    )
    assert [kind.name for kind in COLOUR_KINDS.values() if kind not in kinds] == ["white"]
    for kind, following in zip(kinds, [*kinds[1:], kinds[0]], strict=True):
        gap = (following.hue - kind.hue) % 360
        assert gap > kind.spread + following.spread + 25


def test_video_and_masks_come_back(tmp_path: Path) -> None:
    scene = make_scene(evaluation_seed(4), WorldConfig(height=96, width=144, num_frames=5))
    paths = write_scene(scene, tmp_path / "new", "clip", WriteOptions(crf=10))
    with av.open(str(paths.media)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 8
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert decoded.shape == scene.frames.shape
    assert np.abs(decoded.astype(int) - scene.frames).mean() < 6
    for frame, path in enumerate(paths.masks):
        with Image.open(path) as image:
            assert image.mode == "P"
            labels = np.asarray(image)
        for number in range(3):
            np.testing.assert_array_equal(labels == number + 1, scene.masks[number, frame])
    assert not list(tmp_path.rglob("*.part"))


def test_facts_draw_the_scene_again(tmp_path: Path) -> None:
    config = WorldConfig(num_frames=2)
    scene = make_scene(evaluation_seed(9, Split.VAL), config)
    facts = json.loads(write_scene(scene, tmp_path, "clip").facts.read_text())
    assert facts["split"] == "val"
    assert facts["expression"] == scene.expression(scene.target) == facts["things"][facts["target"]]["name"]
    assert all((tmp_path / name).is_file() for name in [facts["media"], *facts["masks"]])
    assert fingerprint(make_scene(facts["seed"], config)) == fingerprint(scene)


@pytest.mark.parametrize(("suffix", "error"), [(".png", 0.0), (".jpg", 6.0)])
def test_stills(tmp_path: Path, suffix: str, error: float) -> None:
    scene = make_scene(2, WorldConfig(height=97, width=101, num_frames=1))
    paths = write_scene(scene, tmp_path, "still", WriteOptions(still_suffix=suffix))
    assert paths.media.suffix == suffix
    with Image.open(paths.media) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels - scene.frames[0]).mean() <= error


def test_unwritable_scenes_are_refused(tmp_path: Path) -> None:
    odd = make_scene(2, WorldConfig(height=97, num_frames=2))
    with pytest.raises(OutputError, match="128x97"):
        write_scene(odd, tmp_path, "odd")
    assert not (tmp_path / "odd.json").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="writable folder"):
        write_scene(odd, tmp_path / "file", "clip")
    with pytest.raises(OutputError, match="plain file name"):
        write_scene(odd, tmp_path, "../clip")
    with pytest.raises(ConfigError, match="still_suffix"):
        WriteOptions(still_suffix=".gif")
