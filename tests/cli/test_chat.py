"""`unipixel chat`: scripted conversations with the bundled model on real files, and one on a terminal."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import unipixel
from unipixel.cli.conversation import COMMANDS, first_word
from unipixel.cli.main import app
from unipixel.core.media import Clip
from unipixel.model.sam2 import MaskTracker
from unipixel.output.export import SavedMasks, read_masks_json
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor

QUESTION = "Please segment the red circle in this video."
ALL_FRAMES = r"on \d of 6 frames, mean area \d+ pixels \(\d+\.\d%\)"

Say = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture(scope="module")
def tiny() -> Predictor:
    return unipixel.load("unipixel-tiny", device="cpu")


@pytest.fixture
def say(tiny: Predictor, media, monkeypatch: pytest.MonkeyPatch) -> Say:
    """A conversation about the video: what it writes on stdout and, after its introduction, on stderr."""
    monkeypatch.setattr("unipixel.loading.load", lambda *_, **__: tiny)

    def talk(*lines: str, options: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
        arguments = options if "--load" in options else (str(media.video), *options)
        result = CliRunner().invoke(app, ["chat", *arguments], input="\n".join(lines))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        introduction, *notes = result.stderr.splitlines()[1:]
        assert introduction == "clip.mp4: 128x96, 6 frames; /help lists the commands"
        return result.stdout.splitlines(), notes

    return talk


def test_a_question_is_answered_with_text_and_objects(say: Say, tiny: Predictor, media) -> None:
    said, notes = say(QUESTION)
    with tiny.session(media.video) as session:
        answer = session.ask(QUESTION)
    assert len(answer.objects) == 1
    assert said[0] == answer.text
    assert re.fullmatch(rf"\[0\]: {ALL_FRAMES}", said[1])
    assert len(said) == 2
    assert notes == []


def test_no_input_is_a_conversation_too(say: Say) -> None:
    assert say() == ([], [])
    assert say("", "   ") == ([], [])


def test_nothing_is_done_after_quit(say: Say) -> None:
    said, _ = say("/quit", "/objects")
    assert said == []


def test_objects_are_pointed_at_listed_renamed_and_removed(say: Say) -> None:
    said, notes = say(
        "/objects",
        "/point 40,48 red disc",
        "/box 20,20,60,70@5",
        '/scribble "30,30;50,50@2" stroke',
        "/rename [1] Tom's box",
        "/remove 2",
        "/rename 0",
        "/objects",
    )
    assert notes == []
    assert said[0].startswith("no objects yet")
    heads = [line.split(":")[0] for line in said[1:]]
    made, renamed, gone = heads[:3], heads[3], heads[4]
    assert made == ["[0] red disc", "[1]", "[2] stroke"]
    assert (renamed, gone, said[5]) == ("[1] Tom's box", "[2]", "[2]: gone")
    assert heads[5] == "[0]"
    assert heads[6:] == ["[0]", "[1] Tom's box"]
    assert all(re.search(ALL_FRAMES, line) for line in said[1:5])


def saved(say: Say, folder: Path, *lines: str) -> SavedMasks:
    say(*lines, f'/save "{folder}"')
    return read_masks_json(folder / "masks.json")


def test_saved_files_hold_all_objects(say: Say, media, tmp_path: Path) -> None:
    folder = tmp_path / "my results" / "of today"
    result = saved(say, folder, QUESTION, f"/mask {media.mask}@3 square", "/rename 0 disc")
    assert result.names == {0: "disc", 1: "square"}
    assert [result.tracks[number].indices for number in (0, 1)] == [tuple(range(6))] * 2
    square = np.zeros((96, 128), dtype=np.bool_)
    square[20:50, 30:60] = True
    given = result.tracks[1].at(3)
    assert given is not None
    assert np.array_equal(given.rle.decode(), square)
    for index in range(6):
        expected = np.zeros((96, 128), dtype=np.uint8)
        for number in (1, 0):
            frame = result.tracks[number].at(index)
            assert frame is not None
            expected[frame.rle.decode()] = number + 1
        with Image.open(folder / "masks" / f"{index:05d}.png") as palette:
            assert np.array_equal(np.asarray(palette), expected)
    overlay = Clip.open(folder / "overlay.mp4")
    assert (overlay.width, overlay.height, overlay.num_frames) == (128, 96, 6)
    plain = Clip.open(media.video).frame(3).astype(int)
    changed = np.abs(overlay.frame(3).astype(int) - plain).sum(-1)
    assert changed[25:45, 35:55].mean() > 4 * changed[:, 100:].mean()


def test_home_is_known(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    say("/point 40,48", "/save ~/out", "/keep ~/a.unipixel")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.unipixel", "out"]


def test_what_was_saved_is_replaced_only_on_demand(say: Say, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    lines = ("/point 40,48", f"/save {folder}", "/rename 0 disc")
    _, notes = say(*lines, f"/save {folder}", f"/save {folder} --overwrite")
    assert notes[0] == notes[2] == f"written to {folder}: masks.json, masks/, overlay.mp4"
    assert "is not empty" in notes[1]
    assert "--overwrite" in notes[1]
    assert read_masks_json(folder / "masks.json").names == {0: "disc"}


def test_a_mask_corrects_its_frame_to_the_pixel(say: Say, media, tmp_path: Path) -> None:
    mended = saved(say, tmp_path / "out", "/point 40,48", f"/correct 0 mask {media.mask}@3").tracks[0].at(3)
    expected = np.zeros((96, 128), dtype=np.bool_)
    expected[20:50, 30:60] = True
    assert mended is not None
    assert np.array_equal(mended.rle.decode(), expected)


def test_clicks_reach_the_session_with_frame_and_sign(say: Say, tiny: Predictor, tmp_path: Path) -> None:
    kept = tmp_path / "a.unipixel"
    say("/point 40,48@1", "/correct 0 +58,48@3 -5,5@3 64,50@4", f"/keep {kept}")
    with tiny.load_session(kept) as session:
        clicks = [
            [(prompt.x, prompt.y, prompt.frame, prompt.positive) for prompt in pointing.prompts]
            for pointing in session[0].pointings
        ]
    assert clicks == [
        [(40, 48, 1, True)],
        [(58, 48, 3, True), (5, 5, 3, False)],
        [(64, 50, 4, True)],
    ]


def test_a_merger_is_the_union(say: Say, media, tmp_path: Path) -> None:
    before, after = tmp_path / "a", tmp_path / "b"
    lines = (QUESTION, f"/mask {media.mask} square", f"/save {before}", "/merge 1 0", f"/save {after}")
    said, _ = say(*lines)
    assert said[-2].startswith("[1] square: ")
    assert said[-1] == "[0]: gone"
    apart, merged = (read_masks_json(folder / "masks.json") for folder in (before, after))
    assert merged.names == {1: "square"}
    for index in range(6):
        found = [track.at(index) for track in (apart.tracks[0], apart.tracks[1], merged.tracks[1])]
        first, second, both = (frame.rle.decode() for frame in found if frame is not None)
        assert np.array_equal(first | second, both)


def test_the_language_model_can_make_the_masks(say: Say, tiny: Predictor, tmp_path: Path) -> None:
    kept = tmp_path / "a.unipixel"
    say("/by language", "/point 40,48 one", "/by decoder", "/point 40,48 two", f"/keep {kept}")
    with tiny.load_session(kept) as session:
        assert [(known.name, known.origin) for known in session.objects] == [
            ("one", "said"),
            ("two", "pointed"),
        ]


def test_a_kept_session_goes_on(say: Say, media, tmp_path: Path) -> None:
    kept = tmp_path / "my session.unipixel"
    said, notes = say(QUESTION, "/rename 0 disc", f'/keep "{kept}"')
    assert notes == [f"kept in {kept}; go on with --load"]
    again, _ = say("/objects", "/point 5,5", options=("--load", str(kept)))
    assert again[0] == said[-1]
    assert again[1].startswith("[1]: ")
    assert say("/objects", options=(str(media.video), "--load", str(kept)))[0] == [said[-1]]


def test_follow_ups_know_what_was_said(say: Say, tiny: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    prepare = Processor.prepare_question

    def watched(self: Processor, request, shown):
        turns.append(len(request.turns))
        return prepare(self, request, shown)

    monkeypatch.setattr(Processor, "prepare_question", watched)
    say(QUESTION, QUESTION, "/follow-up on", QUESTION, "/follow-up off", QUESTION)
    assert turns == [1, 1, 5, 1]


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("/pont 3,4", ["/pont", "did you mean /point?"]),
        ("/", ["there is no command /"]),
        ("/zzz", ["/help lists them"]),
        ("/point", ["/point X,Y[@FRAME]"]),
        ("/point abc", ["error: point 'abc'", "X,Y[@FRAME]"]),
        ("/point 500,5", ["(500, 5)", "128x96"]),
        ("/point 5,5@77", ["frame 77", "0 to 5"]),
        (f"/point 5,5 {'n' * 201}", ["1 to 200 letters"]),
        ("/box 40,40,10,10", ["swapped corners"]),
        ("/scribble 4,4;x", ["error: scribble", "no number"]),
        ("/mask nowhere.png", ["nowhere.png", "no such file"]),
        ("/correct 0", ["what is to be corrected?", "-X,Y[@FRAME]"]),
        ("/correct 7 +5,5", ["[7]", "knows [0] disc"]),
        ("/correct 0 +5,5 -5,500", ["(5, 500)"]),
        ("/correct 0 +5;5", ["point '5;5'"]),
        ("/rename x y", ["'x' is no object's number"]),
        ("/rename 7 y", ["[7]", "knows [0] disc"]),
        ("/remove 7", ["[7]", "knows [0] disc"]),
        ("/remove -1", ["'-1' is no object's number"]),
        ("/merge 0", ["two objects or more"]),
        ("/merge 0 7", ["[7]", "knows [0] disc"]),
        ("/track 7", ["[7]", "knows [0] disc"]),
        ("/by hand", ["'hand'", "decoder", "language"]),
        ("/follow-up perhaps", ["'perhaps'", "on", "off"]),
        (f"/save {'o' * 300}", ["cannot be written"]),
        ("/save a b", ["/save DIR [--overwrite]", "quotation marks"]),
        ("/keep a --overwrite", ["/keep FILE.unipixel", "quotation marks"]),
        (f"/keep {'o' * 300}/a", ["cannot be written"]),
        ("What does [7] do?", ["[7]", "knows [0] disc"]),
        ("What is \x1b[2J [7]?", ["[7]"]),
        ("/p\x1b[2Jx", ["there is no command /p\ufffd[2Jx"]),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    say: Say, media, line: str, fragments: list[str]
) -> None:
    said, notes = say(f"/mask {media.mask} disc", line, "/objects")
    assert said == [said[0], said[0]]
    assert len(notes) == 1
    assert notes[0].startswith("error: ")
    for fragment in fragments:
        assert fragment in notes[0]


def test_save_needs_masks(say: Say, tmp_path: Path) -> None:
    _, notes = say(f"/save {tmp_path / 'out'}")
    assert notes == ["error: no object has masks yet; ask for one, or point at one with /point"]
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_command(say: Say) -> None:
    said, _ = say("/help")
    assert [line.split()[0] for line in said[1:]] == list(COMMANDS)


def test_letters_that_are_none_do_no_harm(tiny, media, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipixel.loading.load", lambda *_, **__: tiny)
    script = b"/rename 0 \xff\n/save a\0b\n/objects\n"
    result = CliRunner().invoke(app, ["chat", str(media.video)], input=script)
    assert result.exception is None
    assert result.stderr.count("error: ") == 2
    assert result.stdout.startswith("no objects yet")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("", "")),
        ("one", ("one", "")),
        ("one  two three", ("one", "two three")),
        ('"a b"@3 name', ("a b", "@3 name")),
        ("'a b' the name", ("a b", "the name")),
        ("'a b", ("'a", "b")),
    ],
)
def test_first_word(line: str, expected: tuple[str, str]) -> None:
    assert first_word(line) == expected


# Interruption --------------------------------------------------------------------------------------------


def interrupted(call: Callable, number: int) -> Callable:
    """The method, interrupted once: when it is called for the `number`-th time."""
    calls = 0

    def counted(*given, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return call(*given, **options)

    return counted


def test_interrupted_tracking_keeps_what_was_found(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MaskTracker, "step", interrupted(MaskTracker.step, 4))
    said, notes = say("/point 40,48 disc", "/objects", "/track 0")
    assert notes == ["interrupted; what was found so far is kept"]
    assert re.fullmatch(r"\[0\] disc: on \d of 6 frames, .*; followed on 3 so far", said[0])
    assert said[1] == said[0]
    assert re.fullmatch(rf"\[0\] disc: {ALL_FRAMES}", said[2])


def test_an_answer_interrupted_while_its_objects_are_followed(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MaskTracker, "step", interrupted(MaskTracker.step, 3))
    said, notes = say(QUESTION, "/track")
    assert notes == ["interrupted; what was found so far is kept"]
    assert "[0]" in said[0]
    assert said[1].startswith("[0]: on 2 of 6 frames")
    assert said[1].endswith("; followed on 2 so far")
    assert re.fullmatch(rf"\[0\]: {ALL_FRAMES}", said[2])


def test_an_answer_interrupted_while_it_is_written(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = say(QUESTION)
    monkeypatch.setattr(Processor, "so_far", interrupted(Processor.so_far, 3))
    said, notes = say(QUESTION, QUESTION)
    assert notes == ["interrupted; what was found so far is kept"]
    begun, *others = said
    assert begun and expected[0].startswith(begun) and begun != expected[0]
    assert others == expected


# Around the conversation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ([], "nothing to talk about"),
        (["nowhere.mp4"], "no such file"),
        (["--model", "unipixel-tini", "VIDEO"], "did you mean 'unipixel-tiny'?"),
        (["--load", "VIDEO", "--frames", "3"], "leave out --frames"),
        (["--load", "nowhere.unipixel"], "nowhere.unipixel"),
        (["--frames", "0", "VIDEO"], "--frames"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_opened_is_told_before_torch_is_imported(
    run_without_torch, media, arguments: list[str], fragment: str
) -> None:
    given = [str(media.video) if argument == "VIDEO" else argument for argument in arguments]
    outcome = run_without_torch("chat", *given)
    assert outcome.code == 2
    assert outcome.out == ""
    assert fragment in outcome.err
    assert "Traceback" not in outcome.err


def test_a_file_that_is_no_session(run, media) -> None:
    outcome = run("chat", "--load", media.picture)
    assert outcome.code == 2
    assert "error: " in outcome.err
    assert "no session file" in outcome.err


SPAWN = """
import os, pty, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # tests that run behind nohup ignore them
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *command: str) -> None:
        pytest.importorskip("pty")
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SPAWN, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.seen = ""

    def type(self, keys: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def wait_for(self, text: str, seconds: float = 120) -> str:
        """What appears up to and with `text`."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert piece, f"{text!r} did not appear; this did: {self.seen!r}"
            self.seen += piece.decode()
        found, _, self.seen = self.seen.partition(text)
        return found + text


@pytest.fixture
def terminal(media) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "unipixel.cli.main", "chat", str(media.video), "--device", "cpu"]
    opened = Terminal(*command)
    yield opened
    opened.process.kill()
    opened.process.communicate()


def test_on_a_terminal(terminal: Terminal) -> None:
    terminal.wait_for("> ")
    terminal.type(f"{QUESTION}\n")
    written = terminal.wait_for("> ")
    assert "[0]" in written
    assert "following: 6 of 6" in written
    assert written.split("\x1b[K")[-1].startswith("[0]: on ")
    terminal.type("half a quest")
    terminal.wait_for("quest")
    time.sleep(0.5)  # a signal that comes before the program waits for a key is noticed with the next key
    terminal.type("\x03")
    terminal.wait_for("> ")
    terminal.type("/objects\n")
    assert "[0]: on " in terminal.wait_for("\n> ")
    terminal.type("\x04")
    assert terminal.process.wait(30) == 0
