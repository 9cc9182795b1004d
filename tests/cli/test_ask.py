"""`unipixel ask` on real files: what it prints, what it writes, and in which order prompts are numbered."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import unipixel.loading
from unipixel.cli.result import printable
from unipixel.core.conversation import Refer
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point, Prompt
from unipixel.core.question import ask_about
from unipixel.core.request import Decoding, Request
from unipixel.core.response import Mention, Response, SegmentedObject
from unipixel.model.config import Licences
from unipixel.model.sam2 import MaskTracker
from unipixel.output.export import read_masks_json

QUESTION = "Please segment the red disc."


@dataclass
class Pretender:
    """Stands for an opened model: answers everything with two objects and keeps what it was asked."""

    asked: list[Request] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    ids: Sequence[int] = (0, 3)
    dtype = torch.float32
    device = torch.device("cpu")
    config = SimpleNamespace(licences=Licences(weights="W-1.0", base="B-2.0"))

    @contextmanager
    def session(self, clip: Clip, *, num_frames: int | None, **_: object) -> Iterator[SimpleNamespace]:
        def ask(text: str, prompts: Sequence[Prompt], *, decoding: Decoding) -> Response:
            self.asked.append(ask_about(clip, text, prompts, num_frames=num_frames, decoding=decoding))
            self.before()
            return self._respond(clip)

        yield SimpleNamespace(ask=ask)

    def _respond(self, clip: Clip) -> Response:
        objects = tuple(SegmentedObject(number, track(clip, number)) for number in self.ids)
        text = "It is [0] \x1b[2J."
        return Response(text, objects, (Mention(6, 9, 0),), "raw", (0,), "stop")


def track(clip: Clip, number: int) -> MaskTrack:
    """10 + `number` pixels on every frame but the last of a video."""
    frames = []
    for index in range(clip.num_frames):
        present = clip.is_image or index < clip.num_frames - 1
        mask = np.zeros((clip.height, clip.width), dtype=np.bool_)
        mask.flat[: (10 + number) * present] = True
        frames.append(FrameMask(index, RLE.from_mask(mask), 0.5, present))
    return MaskTrack(tuple(frames))


@pytest.fixture
def pretender(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    stand_in = Pretender()
    monkeypatch.setattr(unipixel.loading, "load", lambda *_, **__: stand_in)
    return stand_in


@pytest.fixture(scope="module")
def seed(golden_checkpoint: Path, media) -> int:
    """A seed with which the random model happens to segment something in the video."""
    model = unipixel.loading.load(golden_checkpoint, device="cpu")
    for candidate in range(60):
        decoding = Decoding(max_new_tokens=60, temperature=1.0, seed=candidate)
        if model.ask(media.video, QUESTION, decoding=decoding).objects:
            return candidate
    raise AssertionError("no seed of 60 makes the random model say <|seg|>")


@pytest.fixture
def sampling(golden_checkpoint: Path, seed: int) -> list[str]:
    """Options with which the random model's answer holds a mask."""
    model = ["--model", str(golden_checkpoint), "--device", "cpu"]
    return [*model, "--temperature", "1", "--seed", str(seed), "--max-new-tokens", "60"]


def test_json_is_one_object_with_the_whole_answer(run_apart, media, sampling: list[str]) -> None:
    outcome = run_apart("ask", media.video, QUESTION, "--json", *sampling)
    assert outcome.code == 0, outcome.err
    answer = json.loads(outcome.out)
    assert outcome.out.count("\n") == 1
    assert "licences" in outcome.err
    assert list(answer)[:3] == ["text", "clip", "objects"]
    assert answer["clip"] == {"width": 128, "height": 96, "num_frames": 6, "fps": 8.0}
    assert answer["frames_seen"] == [0, 1, 2, 3, 4, 5]
    assert answer["finish_reason"] in ("stop", "length")
    for one in answer["objects"]:
        assert set(one) == {"id", "name", "frames"}
        assert [frame["index"] for frame in one["frames"]] == list(range(6))
        for frame in one["frames"]:
            assert set(frame) == {"index", "present", "score", "area", "box", "rle"}
            rle = RLE.from_coco(frame["rle"])
            assert (rle.width, rle.height, rle.area) == (128, 96, frame["area"])
            assert frame["box"] == (list(rle.box) if rle.box else None)
    meant = {answer["text"][m["start"] : m["stop"]] for m in answer["mentions"]}
    assert meant == {f"[{one['id']}]" for one in answer["objects"]}


def test_the_command_answers_as_the_library_does(run, media, golden_checkpoint, seed, sampling) -> None:
    outcome = run("ask", media.picture, QUESTION, "--json", "--point", "40,48", *sampling)
    model = unipixel.loading.load(golden_checkpoint, device="cpu")
    decoding = Decoding(max_new_tokens=60, temperature=1.0, seed=seed)
    response = model.ask(media.picture, QUESTION, [Point(40, 48)], decoding=decoding)
    assert json.loads(outcome.out)["text"] == response.text


def test_a_seed_draws_the_same_answer_again(run, media, golden_checkpoint: Path) -> None:
    options = ["--json", "-m", golden_checkpoint, "--temperature", "1", "--max-new-tokens", "20"]
    first, again, other = (
        run("ask", media.picture, QUESTION, *options, "--seed", number) for number in (5, 5, 6)
    )
    assert first.out == again.out
    assert json.loads(first.out)["text"] != json.loads(other.out)["text"]


def test_video_result_is_written(run, media, sampling: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "result"
    outcome = run("ask", media.video, QUESTION, *sampling, "-o", folder)
    assert outcome.code == 0, outcome.err
    assert f"written to {folder}: masks.json, masks/, overlay.mp4" in outcome.err
    assert sorted(path.name for path in folder.iterdir()) == ["masks", "masks.json", "overlay.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]
    overlay, saved = Clip.open(folder / "overlay.mp4"), read_masks_json(folder / "masks.json")
    assert (overlay.width, overlay.height, overlay.num_frames) == (128, 96, 6)
    assert saved.clip.num_frames == 6
    drawn = sorted((folder / "masks").iterdir())
    assert [path.name for path in drawn] == [f"{index:05d}.png" for index in range(6)]
    with Image.open(drawn[0]) as palette:
        found = set(np.unique(np.asarray(palette)).tolist()) - {0}
    shown = {one + 1 for one, masks in saved.tracks.items() if masks.frames[0].rle.area}
    assert found <= shown


def test_picture_result_is_written(run, media, pretender: Pretender, tmp_path: Path) -> None:
    outcome = run("ask", media.picture, QUESTION, "-o", tmp_path)
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "masks.json", "overlay.png"]
    with Image.open(tmp_path / "masks" / "00000.png") as palette:
        values, counts = np.unique(np.asarray(palette), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 128 * 96 - 13, 1: 10, 4: 3}


def test_plain_output_names_objects_and_cannot_steer_the_terminal(run, media, pretender: Pretender) -> None:
    outcome = run("ask", media.video, QUESTION)
    assert outcome.out.splitlines() == [
        "It is [0] \ufffd[2J.",
        "[0]: on 5 of 6 frames, mean area 10 pixels (0.1%)",
        "[3]: on 5 of 6 frames, mean area 13 pixels (0.1%)",
    ]
    assert "weights W-1.0; base B-2.0" in outcome.err


@pytest.mark.parametrize(
    "text", ["\U0001f469\u200d\U0001f680", "a\u00a0b\u3000c\u2009d", "\u0645\u200c\u06cc", "1\n\t2"]
)
def test_joiners_spaces_and_emoji_are_printed(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "letter", ["\x1b", "\r", "\x9b", "\x7f", "\ud800", "\u202e", "\u2066", "\u200f", "\u061c"]
)
def test_steering_letters_are_not_printed(letter: str) -> None:
    assert printable(f"a{letter}b") == "a\ufffdb"


def test_prompts_keep_the_order_of_the_command_line(run, media, pretender: Pretender) -> None:
    mixed = ["--box", "10,10,40,40@2", "--point=60,61", "--mask", f"{media.mask}@3", "--point", "5,6@1"]
    outcome = run("ask", *mixed, media.video, "Compare [3], [2], [1] and [0].", "--scribble", "1,1;20,20")
    assert outcome.code == 0, outcome.err
    request = pretender.asked[0]
    slots = [part.prompt for part in request.turns[0].parts if isinstance(part, Refer)]
    assert slots == [Point(5, 6, 1), Point(60, 61), Box(10, 10, 40, 40, 2)]  # as the text mentions them
    assert [remembered.id for remembered in request.memory] == [2, 4]
    assert request.memory[0].masks.indices == (3,)
    assert request.memory[0].masks.area == 30 * 30
    assert request.keep_frames == (0, 1, 2, 3)


def test_options_reach_the_request(run, media, pretender: Pretender) -> None:
    options = ["--frames", "3", "--temperature", "0.5", "--top-p", "0.9", "--seed", "7"]
    run("ask", media.video, QUESTION, *options, "--max-new-tokens", "9")
    request = pretender.asked[0]
    assert request.num_frames == 3
    assert request.decoding == Decoding(9, 0.5, 0.9, 7)


def test_a_mask_file_may_have_an_at_sign_in_its_name(
    run, media, pretender: Pretender, tmp_path: Path
) -> None:
    file = tmp_path / "mask@2"
    file.write_bytes(media.mask.read_bytes())
    assert run("ask", media.video, "What is [0]?", "--mask", file).code == 0
    assert run("ask", media.video, "What is [0]?", "--mask", f"{file}@2").code == 0
    assert [request.memory[0].masks.indices for request in pretender.asked] == [(0,), (2,)]


def test_overwrite_replaces_an_earlier_result(run, media, pretender: Pretender, tmp_path: Path) -> None:
    assert run("ask", media.video, QUESTION, "-o", tmp_path).code == 0
    assert run("ask", media.picture, QUESTION, "-o", tmp_path).code == 2
    assert run("ask", media.picture, QUESTION, "-o", tmp_path, "--overwrite").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "masks.json", "overlay.png"]
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["00000.png"]


def test_palette_pictures_are_left_out_for_ids_that_do_not_fit(run, media, pretender, tmp_path: Path) -> None:
    pretender.ids = (0, 400)
    outcome = run("ask", media.picture, QUESTION, "-o", tmp_path)
    assert outcome.code == 0
    assert "warning: no palette PNGs: object 400" in outcome.err
    assert sorted(read_masks_json(tmp_path / "masks.json").tracks) == [0, 400]


@pytest.mark.parametrize("existing", [True, False])
def test_interruption_leaves_nothing(run, media, pretender, tmp_path: Path, existing: bool) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    pretender.before = interrupt
    folder = tmp_path if existing else tmp_path / "a" / "b"
    outcome = run("ask", media.picture, QUESTION, "-o", folder)
    assert outcome.code == 130
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_failure_while_writing_leaves_nothing(
    run, media, pretender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unipixel.output.export.write_palette_pngs", full_disk)
    with pytest.raises(OSError, match="No space"):
        run("ask", media.picture, QUESTION, "-o", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# Interruption --------------------------------------------------------------------------------------------


def test_an_interrupted_answer_gives_what_it_has(
    run, media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = MaskTracker.step, list[int]()

    def interrupted(*given: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MaskTracker, "step", interrupted)
    out = tmp_path / "out"
    done = run("ask", media.video, QUESTION, "-o", out, "--json")
    assert done.code == 130
    assert "interrupted; these are the masks found so far" in done.err
    document = json.loads(done.out)
    assert document["finish_reason"] == "interrupted"
    assert [frame["index"] for frame in document["objects"][0]["frames"]] == [0, 1, 2]
    assert (out / "masks.json").is_file()


def test_a_required_mask_and_a_stop_text(run, media) -> None:
    plain = run("ask", media.picture, "What is this?", "--stop", "is", "--json")
    assert "is" not in json.loads(plain.out)["text"]
    masked = run("ask", media.picture, "What is this?", "--require-mask", "--max-new-tokens", "1", "--json")
    assert len(json.loads(masked.out)["objects"]) == 1
