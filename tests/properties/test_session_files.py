"""Session files: any objects and exchanges that a session can have come back as they were."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inference.noise_clips import noise
from tests.properties.few import few

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.objects import Pointing, SessionObject
from unipixel.core.prompts import Box, Point, Prompt, RegionMask, Scribble
from unipixel.errors import UniPixelError
from unipixel.inference.questions import Exchange
from unipixel.loading import load
from unipixel.predictor import Predictor

FRAMES, HEIGHT, WIDTH = 3, 12, 15
X, Y, FRAME = st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, FRAMES - 1)
NAMES = st.none() | st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
SCORES = st.floats(-1e6, 1e6, allow_nan=False)


def mask_of(seed: int) -> np.ndarray:
    mask: np.ndarray = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.3
    mask[0, 0] = True
    return mask


SEEDS = st.integers(0, 99)


@st.composite
def pointings(draw: st.DrawFn) -> Pointing:
    frame = draw(FRAME)
    corrects = draw(st.none() | SEEDS.map(lambda seed: RLE.from_mask(mask_of(seed))))
    prompts: list[Prompt] = [Point(draw(X), draw(Y), frame, draw(st.booleans()))]
    kind = draw(st.sampled_from(["click", "box", "mask", "scribble"]))
    if kind == "mask":
        prompts = [RegionMask(mask_of(draw(SEEDS)), frame)]
    elif kind == "scribble":
        prompts = [Scribble(((draw(X), draw(Y)), (draw(X), 0.5)), frame, draw(st.floats(0.5, 9)))]
    elif kind == "box":
        prompts.append(Box(0, 0, draw(X), draw(Y), frame))
    return Pointing(tuple(prompts), corrects)


@st.composite
def tracks(draw: st.DrawFn) -> MaskTrack:
    indices = sorted(draw(st.sets(FRAME, min_size=1)))
    return MaskTrack(
        tuple(
            FrameMask(index, RLE.from_mask(mask_of(draw(SEEDS))), draw(SCORES), draw(st.booleans()))
            for index in indices
        )
    )


@st.composite
def objects(draw: st.DrawFn, number: int) -> SessionObject:
    return SessionObject(
        number,
        draw(st.sampled_from(["pointed", "said", "given"])),
        draw(NAMES),
        tuple(draw(st.lists(pointings(), max_size=2))),
        draw(st.none() | st.builds(Point, X, Y, FRAME)),
        None,
        draw(st.none() | tracks()),
    )


@st.composite
def states(draw: st.DrawFn) -> tuple[list[SessionObject], list[Exchange], int]:
    numbers = sorted(draw(st.sets(st.integers(0, 10**9 - 2), max_size=3)))
    known = [draw(objects(number)) for number in numbers]
    exchanges = [Exchange(draw(WORDS), draw(WORDS)) for _ in range(draw(st.integers(0, 3)))]
    return known, exchanges, max(numbers, default=-1) + 1


@pytest.fixture(scope="module")
def model(golden_checkpoint: Path) -> Predictor:
    return load(golden_checkpoint)


def told(known: SessionObject) -> tuple[object, ...]:
    shown = [(pointing.corrects, [_shown(one) for one in pointing.prompts]) for pointing in known.pointings]
    return known.id, known.origin, known.name, shown, known.pointer, known.masks


def _shown(prompt: Prompt) -> object:
    return (prompt.frame, prompt.mask.tobytes()) if isinstance(prompt, RegionMask) else prompt


@few
@given(state=states())
def test_a_session_comes_back_as_it_was(
    model: Predictor, tmp_path: Path, state: tuple[list[SessionObject], list[Exchange], int]
) -> None:
    session = model.session(noise(FRAMES, HEIGHT, WIDTH))
    session.restore(*state)
    session.save(tmp_path / "a.unipixel")
    again = model.load_session(tmp_path / "a.unipixel")
    assert [told(known) for known in again.objects] == [told(known) for known in session.objects]
    assert (again.exchanges, again.next_id) == (session.exchanges, session.next_id)
    again.save(tmp_path / "b.unipixel")
    one, other = (_parts(tmp_path / name) for name in ("a.unipixel", "b.unipixel"))
    assert one == other, "saving what was loaded writes the same"


def _parts(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def saved(model: Predictor, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    session = model.session(noise(1, HEIGHT, WIDTH))
    track = MaskTrack((FrameMask(0, RLE.from_mask(mask_of(1)), 1.0, True),))
    session.restore([SessionObject(0, "given", masks=track)], [], 1)
    file = tmp_path_factory.mktemp("saved") / "a.unipixel"
    session.save(file)
    return file.read_bytes()


@few
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_changes_nothing_that_breaks(
    model: Predictor, saved: bytes, tmp_path: Path, place: float, value: int
) -> None:
    content = bytearray(saved)
    content[int(place * len(content))] = value
    file = tmp_path / "a.unipixel"
    file.write_bytes(bytes(content))
    try:
        session = model.load_session(file)
    except UniPixelError:
        return
    assert (session.clip.width, session.clip.height) == (WIDTH, HEIGHT)
