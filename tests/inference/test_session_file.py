"""Sessions on disk: exactly the same in another process, and refused clearly when they are not."""

import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.noise_clips import PIXELS, Open, block, noise

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.prompts import Box, Point, Scribble
from unipixel.core.request import Decoding
from unipixel.core.writing import write_picture, write_video
from unipixel.errors import MediaError, OutputError, SessionError
from unipixel.inference.questions import ask_together
from unipixel.inference.session import Session
from unipixel.inference.session_file import fingerprint
from unipixel.loading import load
from unipixel.predictor import Predictor

FAR = {"kind": "point", "x": 999.0, "y": 1.0, "frame": 0, "positive": True}
ASK = """
import sys, json
from unipixel.core.request import Decoding
from unipixel.loading import load
session = load(sys.argv[1]).load_session(sys.argv[2])
answer = session.ask("What is [0] to [1]?", follow_up=True, decoding=Decoding(24, temperature=1.0, seed=5))
again = session.refer([(__import__("unipixel").Point(9, 9, 2))])
print(json.dumps([answer.raw_text, answer.text, [one.masks.at(0).rle.to_coco() for one in answer.objects],
                  [mask.rle.to_coco() for mask in again.masks]]))
"""


@pytest.fixture
def made(open_session: Open) -> Session:
    """A session with a bit of everything."""
    session = open_session(5)
    session.refer([Box(3, 4, 30, 30, 2), Point(9, 9, 2), Point(40, 3, 2, positive=False)], "first")
    session.refer(block(session.clip, 1), by="language")
    session.refer(Scribble(((3, 3), (20, 20)), 4))
    session.correct(0, block(session.clip, 4))
    session.correct(1, Point(8, 8, 3))
    session.ask("And [3]?", [Point(4, 5, 1)], decoding=Decoding(6))
    session.remove(2)
    return session


def assert_equal(one: Session, other: Session) -> None:
    assert [known.id for known in one.objects] == [known.id for known in other.objects]
    assert (one.next_id, one.exchanges, one.num_frames, one.pixels) == (
        other.next_id,
        other.exchanges,
        other.num_frames,
        other.pixels,
    )
    for ours, theirs in zip(one.objects, other.objects, strict=True):
        assert (ours.name, ours.origin, ours.masks, ours.pointer) == (
            theirs.name,
            theirs.origin,
            theirs.masks,
            theirs.pointer,
        )
        assert np.array_equal(ours.said, theirs.said) if ours.said is not None else theirs.said is None  # type: ignore[arg-type]
        for mine, its in zip(ours.pointings, theirs.pointings, strict=True):
            assert mine.corrects == its.corrects
            assert [repr(prompt) for prompt in mine.prompts] == [repr(prompt) for prompt in its.prompts]
    assert one.clip.times == other.clip.times
    assert np.array_equal(one.clip.read([0, 4]), other.clip.read([0, 4]))


def test_a_session_comes_back_as_it_was(model: Predictor, made: Session, tmp_path: Path) -> None:
    made.save(tmp_path / "a.unipixel")
    assert_equal(made, model.load_session(tmp_path / "a.unipixel"))


def test_another_process_answers_bit_for_bit(made: Session, golden_checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.unipixel"
    made.save(file)
    command = [sys.executable, "-c", ASK, str(golden_checkpoint), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    decoding = Decoding(24, temperature=1.0, seed=5)
    answer = made.ask("What is [0] to [1]?", follow_up=True, decoding=decoding)
    again = made.refer([Point(9, 9, 2)])
    assert again.masks is not None
    first = [one.masks.at(0) for one in answer.objects]
    assert json.loads(done.stdout) == [
        answer.raw_text,
        answer.text,
        [mask.rle.to_coco() for mask in first if mask is not None],
        [mask.rle.to_coco() for mask in again.masks],
    ]


@pytest.mark.parametrize("kind", ["video", "picture", "folder", "list"])
def test_a_clip_in_files_is_named_not_copied(model: Predictor, kind: str, tmp_path: Path) -> None:
    frames = list(noise(4).read(range(4)))
    there = tmp_path / "media"
    there.mkdir()
    source: Any = there / "clip.mp4"
    if kind == "video":
        write_video(source, frames, 5)
    elif kind == "picture":
        source = there / "one.png"
        write_picture(source, frames[0])
    else:
        paths = [there / f"{index}.png" for index in range(4)]
        for path, frame in zip(paths, frames, strict=True):
            write_picture(path, frame)
        source = there if kind == "folder" else paths
    session = model.session(source, pixels=PIXELS)
    session.refer(Point(5, 5), "kept")
    session.save(tmp_path / "a.unipixel")
    with zipfile.ZipFile(tmp_path / "a.unipixel") as archive:
        assert not [name for name in archive.namelist() if name.startswith("clip/")]
    again = model.load_session(tmp_path / "a.unipixel")
    assert (again.clip.name, again.clip.fps) == (session.clip.name, session.clip.fps)
    assert again[0].masks == session[0].masks

    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(str(there), moved / "media")
    shutil.move(tmp_path / "a.unipixel", moved / "a.unipixel")
    assert model.load_session(moved / "a.unipixel")[0].name == "kept", "found beside the file"


def test_a_moved_clip_is_asked_for_and_a_changed_one_refused(model: Predictor, tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", noise(1).frame(0))
    session = model.session(tmp_path / "one.png", pixels=PIXELS)
    session.save(tmp_path / "a.unipixel")
    (tmp_path / "one.png").rename(tmp_path / "two.png")
    with pytest.raises(SessionError, match=r"one.png any more; say where it is with clip="):
        model.load_session(tmp_path / "a.unipixel")
    assert model.load_session(tmp_path / "a.unipixel", tmp_path / "two.png").clip.name == "one.png"
    write_picture(tmp_path / "two.png", noise(1, seed=4).frame(0))
    with pytest.raises(SessionError, match="its content has changed"):
        model.load_session(tmp_path / "a.unipixel", tmp_path / "two.png")
    with pytest.raises(SessionError, match="give the clip that it was made on"):
        model.load_session(tmp_path / "a.unipixel", noise(2))


def test_a_clip_can_be_taken_along(model: Predictor, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", list(noise(3).read(range(3))), 5)
    session = model.session(tmp_path / "clip.mp4", pixels=PIXELS)
    frames = session.clip.read(range(3))
    session.save(tmp_path / "a.unipixel", with_clip=True)
    (tmp_path / "clip.mp4").unlink()
    assert np.array_equal(model.load_session(tmp_path / "a.unipixel").clip.read(range(3)), frames)


def test_another_model_is_refused(model: Predictor, made: Session, tmp_path: Path) -> None:
    made.save(tmp_path / "a.unipixel")
    with pytest.raises(SessionError, match="made with another model"):
        load("unipixel-tiny").load_session(tmp_path / "a.unipixel")


def test_the_same_model_in_another_precision_is_the_same(golden_checkpoint: Path, model: Predictor) -> None:
    assert fingerprint(load(golden_checkpoint, dtype="bfloat16").model) == fingerprint(model.model)


def test_saving_is_all_or_nothing(made: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.unipixel"
    made.save(file)
    before = file.read_bytes()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", broken)
    with pytest.raises(OutputError, match="No space left"):
        made.save(file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.unipixel"]


def test_numbers_of_any_kind_are_kept(model: Predictor, open_session: Open, tmp_path: Path) -> None:
    session = open_session(3)
    session.refer(Point(np.int64(9), np.float32(9.5), np.int64(1), np.bool_(True)), follow=False)  # type: ignore[arg-type]
    session.refer(Scribble(((3, 4), (np.int32(9), 9)), thickness=np.float32(3)), follow=False)  # type: ignore[arg-type]
    rle = RLE.from_mask(block(session.clip).mask)
    session.add(MaskTrack((FrameMask(np.int64(2), rle, 1, np.bool_(True)),)))  # type: ignore[arg-type]
    told = session.question("And [7]?", {np.int64(7): Point(1, 1)}, decoding=Decoding(1))  # type: ignore[dict-item]
    ask_together([told])
    session.save(tmp_path / "a.unipixel")
    again = model.load_session(tmp_path / "a.unipixel")
    assert [known.id for known in again.objects] == [0, 1, 2, 7]
    assert [known.masks for known in again.objects] == [known.masks for known in session.objects]


def test_trouble_with_the_clip_is_said_of_the_clip(model: Predictor, made: Session, tmp_path: Path) -> None:
    made.save(tmp_path / "a.unipixel")
    with pytest.raises(MediaError, match=r"nope\.png: there is no such file"):
        model.load_session(tmp_path / "a.unipixel", tmp_path / "nope.png")


def test_a_foreign_file_beside_the_session_does_not_hide_the_clip(model: Predictor, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    write_picture(here / "one.png", noise(1).frame(0))
    model.session(here / "one.png", pixels=PIXELS).save(here / "a.unipixel")
    shutil.copy(here / "a.unipixel", there / "a.unipixel")
    write_picture(there / "one.png", noise(1, seed=5).frame(0))
    clip = model.load_session(there / "a.unipixel").clip
    assert np.array_equal(clip.frame(0), noise(1).frame(0))


# Damage --------------------------------------------------------------------------------------------------


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `session.json` inside a session file."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(parts["session.json"])
    change(about)
    parts["session.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(version=9), "version 9"),
        (lambda about: about.update(format="other"), "no session file of UniPixel"),
        (lambda about: about.update(objects=3), "'objects' is 3"),
        (lambda about: about.update(next_id=0), "ids of their own"),
        (lambda about: about["objects"][0].update(id="0"), "'id' is '0'"),
        (lambda about: about["objects"][0].update(id=1), "ids of their own"),
        (lambda about: about["objects"][0].update(origin="heaven"), "heaven"),
        (lambda about: about["objects"][0]["masks"][0]["rle"].update(size=[9, 9]), "damaged"),
        (lambda about: about["objects"][0]["masks"][-1].update(frame=77), "frames 0 to 4"),
        (lambda about: about["objects"][0]["pointings"][0]["prompts"][0].update(kind="song"), "song"),
        (lambda about: about["objects"][0]["pointings"][0]["prompts"][0].update(x1=99), "damaged"),
        (lambda about: about["clip"].update(times=[0.0]), "frames of 60x40"),
        (lambda about: about.pop("clip"), "'clip' is None"),
        (lambda about: about["clip"].update(fps=float("nan")), "no numbers"),
        (lambda about: about.update(num_frames="x"), "num_frames"),
        (lambda about: about.update(next_id=10**12), "from 0 to"),
        (
            lambda about: (about["objects"][1]["pointer"] and 0) or about["objects"][0].update(pointer=FAR),
            "outside",
        ),
        (lambda about: about["exchanges"].append({"question": 1}), "'question' is 1"),
        (lambda about: about.update(pixels={"min_pixels": -5}), "damaged"),
    ],
)
def test_damaged_descriptions_are_refused(
    model: Predictor,
    made: Session,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    file = tmp_path / "a.unipixel"
    made.save(file)
    rewrite(file, change)
    with pytest.raises(SessionError, match=message) as caught:
        model.load_session(file)
    assert "a.unipixel" in str(caught.value)


def test_foreign_files_are_refused(model: Predictor, tmp_path: Path) -> None:
    picture, archive, missing = tmp_path / "a.png", tmp_path / "b.zip", tmp_path / "c.unipixel"
    write_picture(picture, noise(1).frame(0))
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("readme.txt", "hello")
    for file, message in (
        (picture, "no session file"),
        (archive, "no session file"),
        (missing, "no such file"),
    ):
        with pytest.raises(SessionError, match=message):
            model.load_session(file)
    with pytest.raises(SessionError):
        model.load_session(tmp_path)


def test_random_damage_is_refused_or_harmless(model: Predictor, made: Session, tmp_path: Path) -> None:
    file, broken = tmp_path / "a.unipixel", tmp_path / "b.unipixel"
    made.save(file)
    whole, rng = file.read_bytes(), random.Random(7)
    harmless = 0
    for attempt in range(150):
        content = bytearray(whole)
        if attempt % 3 == 0:
            content = content[: rng.randrange(len(content))]
        for _ in range(rng.randrange(1, 6)):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
        broken.write_bytes(content)
        with suppress(SessionError):
            assert_equal(model.load_session(broken), made)
            harmless += 1
    assert harmless < 50


def test_a_name_is_kept_whatever_it_says(model: Predictor, made: Session, tmp_path: Path) -> None:
    made.rename(0, 'caña "quoted" 猫')
    made.save(tmp_path / "a.unipixel")
    assert model.load_session(tmp_path / "a.unipixel")[0].name == 'caña "quoted" 猫'
    assert replace(made[0], name=None).label == "[0]"
