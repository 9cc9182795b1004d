"""`unipixel data`: bring in, check, list, show and count."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.published import BUILDERS
from typer.testing import CliRunner

from unipixel.cli import data as command
from unipixel.core.writing import write_picture
from unipixel.data.jsonl.samples import PlacedMasks
from unipixel.data.registry import datasets

WIDTH, HEIGHT = 80, 60
SQUARE = [10, 10, 40, 10, 40, 40, 10, 40]


def run(*arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `unipixel data ...`."""
    result = CliRunner().invoke(command.app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write_picture(tmp_path / f"{number}.png", np.full((HEIGHT, WIDTH, 3), 50 * number, dtype=np.uint8))
    return tmp_path


def item(id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "task": "segment",
        "media": {"frames": ["0.png", "1.png", "2.png"]},
        "conversation": [{"role": "user", "expression": "the cup"}, {"role": "assistant", "masks": [3]}],
        "objects": [{"id": 3, "regions": [{"frames": [1, 2], "polygons": [SQUARE]}]}],
    } | fields


POINTED = {
    "task": "refer",
    "media": {"image": "0.png"},
    "conversation": [{"role": "user", "describe": 8}, {"role": "assistant", "text": "a cup"}],
    "objects": [{"id": 8, "regions": [{"box": [10, 10, 39, 39]}]}],
}


def written(folder: Path, *items: dict[str, Any]) -> Path:
    file = folder / "mine.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in items), "utf-8")
    return file


# check


def test_a_right_file_has_no_problems(folder: Path) -> None:
    file = written(folder, item("a"), item("b", **POINTED))
    assert run("check", file) == (0, f"{file}: 2 items, no problems\n", "")


def test_every_problem_is_a_line_and_the_end_is_a_summary(folder: Path) -> None:
    missing = item("c", media={"frames": ["0.png", "7.png", "8.png"]})
    file = written(
        folder, item("a", colour="red"), item("b", **POINTED | {"task": "describe"}), missing, item("d")
    )
    code, out, err = run("check", file)
    lines = out.splitlines()
    assert code == 1 and err == "" and len(lines) == 5
    assert lines[0].startswith(f"{file}, line 1, colour: found the unknown field 'colour'; expected one of")
    assert lines[1].startswith(f"{file}, line 2, conversation[0].describe: found object [8] with only boxes")
    assert lines[2].startswith(f"{file}, line 3, media.frames[1]: found no file '7.png'")
    assert lines[3].startswith(f"{file}, line 3, media.frames[2]: found no file '8.png'")
    assert lines[4] == f"{file}: 4 items, 4 problems"


def test_a_problem_stays_on_its_line_whatever_it_quotes(folder: Path) -> None:
    code, out, _ = run("check", written(folder, item("a", **{"x\n\x1b[2J\ud800": 1})))
    assert code == 1 and len(out.splitlines()) == 2
    assert r"line 1, x\n\x1b[2J\ud800: found the unknown field" in out


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "no.jsonl"
    code, out, _ = run("check", file)
    assert code == 1 and "no.jsonl: found no such file" in out and out.endswith("0 items, 1 problem\n")


def test_paths_relative_to_another_folder(folder: Path) -> None:
    (folder / "there").mkdir()
    file = written(folder, item("a")).rename(folder / "there" / "mine.jsonl")
    assert run("check", file)[0] == 1
    assert run("check", file, "--root", folder)[0] == 0


def test_a_registered_data_set_is_checked(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    code, out, err = run("check", "mevis", "--root", tmp_path, "--split", "train")
    assert (code, err) == (0, ""), out
    assert out.startswith("mevis: ") and out.endswith("items, no problems\n") and out != "mevis: 0 items"


def test_what_is_wrong_with_a_registered_data_set_is_named(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    pictures = sorted((tmp_path / "mevis" / "train" / "JPEGImages").rglob("*.jpg"))
    pictures[0].write_bytes(b"no picture")
    vid = pictures[0].parent.name
    code, out, _ = run("check", "mevis", "--root", tmp_path, "--split", "train")
    assert code == 1
    problems = out.splitlines()[:-1]
    assert problems and all("meta_expressions.json, sample " in line for line in problems), out
    assert all(str(pictures[0]) in line and vid in line for line in problems)


def test_every_split_is_checked_unless_one_is_named(tmp_path: Path) -> None:
    code, out, _ = run("check", "mevis", "--root", tmp_path)
    assert code == 1 and out.count("found no such file") == 3 and out.endswith("mevis: 0 items, 3 problems\n")


def test_a_long_scan_tells_how_far_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EVERY", 0.0)
    file = written(folder, item("a"), item("b"))
    _, out, err = run("check", file)
    assert out == f"{file}: 2 items, no problems\n"
    assert err.splitlines()[0].startswith("checking mine.jsonl: 1 of 2")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "mevsi"), "did you mean 'mevis'?"),
        (("check", "mevis"), "Name the `data` folder with --root"),
        (("check", "mevis", "--split", "tran", "--root", "."), "did you mean 'train'?"),
        (("check", "a.jsonl", "--split", "train"), "a file has no splits"),
        (("list", "--root", "nowhere"), "--root nowhere: there is no such folder"),
        (("show", "no.jsonl", "0"), "no.jsonl: found no such file"),
        (("import", "coco", "a.json", "-o", "o.jsonl"), "coco is made from instances.json PICTURES; found 1"),
        (
            ("import", "yolo", "a", "b", "c", "d", "-o", "o.jsonl"),
            "yolo is made from PICTURES LABELS classes.txt",
        ),
        (("import", "coco", "a", "b", "--split", "x", "-o", "o.jsonl"), "coco has no splits"),
        (("import", "cocoa", "a", "b", "-o", "o.jsonl"), "'cocoa' is not one of"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], told: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2 and told in " ".join(err.split())


def test_what_did_not_change_is_not_looked_at_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    read = PlacedMasks.decode

    def decode(self: PlacedMasks, *arguments: Any) -> Any:
        looked.append(1)
        return read(self, *arguments)

    monkeypatch.setattr(PlacedMasks, "decode", decode)
    wrong = item("b", media={"frames": ["0.png", "9.png", "2.png"]})
    file = written(folder, item("a"), wrong, item("c"))
    first = run("check", file)
    assert first[0] == 1 and len(looked) == 2 and first[2] == ""
    again = run("check", file)
    assert again[:2] == first[:2] and len(looked) == 2
    assert again[2] == "3 of them are as they were when they were last checked\n"
    (folder / "9.png").write_bytes((folder / "1.png").read_bytes())
    code, out, err = run("check", file)
    assert (code, out) == (0, f"{file}: 3 items, no problems\n") and err.startswith("2 of them")
    assert len(looked) == 3
    write_picture(folder / "1.png", np.zeros((9, 9, 3), dtype=np.uint8))
    assert run("check", file)[0] == 1, "a picture that changed is looked at again"


def test_data_sets_are_remembered_as_well(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    arguments = ("check", "mevis", "--root", tmp_path, "--split", "train")
    first, again = run(*arguments), run(*arguments)
    count = first[1].split()[1]
    assert first[:2] == again[:2] and again[2].startswith(f"{count} of them")
    picture = next((tmp_path / "mevis" / "train" / "JPEGImages").rglob("*.jpg"))
    picture.write_bytes(b"no picture")
    assert run(*arguments)[0] == 1


def test_a_label_map_without_anything_to_ask_for_is_no_problem(tmp_path: Path) -> None:
    BUILDERS["ade20k"](tmp_path)
    code, out, _ = run("check", "ade20k", "--root", tmp_path, "--split", "train")
    assert (code, out) == (0, "ade20k: 2 items, no problems, 1 with nothing to ask for\n")
    assert "nothing to ask for: 1" in run("stats", "ade20k", "--root", tmp_path)[1]


# list


def test_the_list_has_every_data_set_with_its_licence() -> None:
    code, out, _ = run("list")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 1 + len(datasets())
    for info in datasets():
        line = next(line for line in lines if line.split()[0] == info.name)
        assert info.task in line and line.endswith(info.licence)


def test_the_list_says_what_is_here_and_counts_it(tmp_path: Path) -> None:
    BUILDERS["lvvis"](tmp_path)
    (tmp_path / "revos").mkdir()
    rows = {line.split()[0]: line for line in run("list", "--root", tmp_path)[1].splitlines()}
    assert rows["name"].split() == ["name", "task", "splits", "here", "licence"]
    assert " found " in rows["lvvis"] and " partly " in rows["revos"] and " missing " in rows["mevis"]
    code, out, err = run("list", "--root", tmp_path, "--count")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "train 0" not in rows["lvvis"] and "train - " not in rows["lvvis"]
    assert "train -" in rows["revos"] and "revos train: " in err


# show and stats


def test_show_says_what_is_said_and_draws_what_is_marked(folder: Path) -> None:
    file, target = written(folder, item("a"), item("b", **POINTED)), folder / "drawn.png"
    code, out, err = run("show", file, 0, "-o", target)
    assert code == 0 and out.splitlines()[:5] == [
        "a (segment)",
        "media: ., 3 frames, 2 of them annotated",
        "objects: [3]",
        "user: <query> the cup",
        "assistant: <mask of [3]>",
    ]
    assert err == f"written to {target}: frame 1, frame 2\n"
    drawn = np.asarray(Image.open(target))
    assert drawn.shape == (HEIGHT, 2 * WIDTH, 3)
    assert not (drawn[12, 12] == 50).all() and (drawn[50, 70] == 50).all() and (drawn[50, 150] == 100).all()


def test_show_draws_pointers(folder: Path) -> None:
    file, target = written(folder, item("b", **POINTED)), folder / "drawn.png"
    _, out, _ = run("show", file, 0, "-o", target)
    assert "user: <detailed description> [8]\nassistant: a cup" in out
    drawn = np.asarray(Image.open(target))
    assert drawn[10, 20].any() and not drawn[25, 25].any()


def test_show_of_a_registered_data_set(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    code, out, _ = run("show", "mevis", 0, "--root", tmp_path, "-o", tmp_path / "drawn.png")
    assert code == 0 and "(segment)" in out and (tmp_path / "drawn.png").is_file()


def test_show_has_the_conversation_as_the_model_sees_it(folder: Path) -> None:
    file = written(folder, item("a"))
    _, out, _ = run("show", file, 0)
    told = out.split("\n\n", 1)[1].splitlines()
    assert told[0] == "as unipixel-tiny sees it (corrected, seed 0):"
    assert told[1] == "kind: seg_video; frames: 1, 2".replace("frames: ", "frames ")
    assert told[2].startswith("  <|im_start|>system")
    places = re.search(r"<\|vision_start\|><\|video_pad\|> x (\d+) <\|vision_end\|>", out)
    tokens = re.fullmatch(
        r"tokens: (\d+) \((\d+) of frames, 0 <\|mem\|>, 0 <\|ref\|>, 1 <\|seg\|>, (\d+) learned\)", told[-1]
    )
    assert places and tokens and places[1] == tokens[2] and "the cup" not in told[-1]
    assert int(tokens[1]) > int(tokens[2]) + int(tokens[3]) and "cup" in out.split("x ", 1)[1]
    assert run("show", file, 0)[1] == out and "<|seg|>" in run("show", file, 0, "--seed", 3)[1]
    published = run("show", file, 0, "--policy", "published", "--model", "unipixel-tiny")[1]
    assert "(published, seed 0)" in published


def test_show_has_the_memory_and_the_slots(folder: Path) -> None:
    asked = {"role": "user", "text": "What is [3]?"}, {"role": "assistant", "text": "a cup"}
    file = written(folder, item("a", task="describe", conversation=asked), item("b", **POINTED))
    out = run("show", file, 0)[1]
    assert "[3]: <1>-<2> <|mem|>" in out and "1 <|mem|>" in out
    out = run("show", file, 1)[1]
    assert "<|ref|>" in out and "1 <|ref|>" in out and "kind: ref_box; frames 0" in out


def test_show_draws_what_training_points_with(folder: Path) -> None:
    asked = {"role": "user", "text": "What is [3]?"}, {"role": "assistant", "text": "a cup"}
    file, target = written(folder, item("a", task="refer", conversation=asked)), folder / "drawn.png"
    for seed in range(2):
        code, _, err = run("show", file, 0, "-o", target, "--seed", seed)
        assert code == 0 and "frame 1, frame 2" in err
    drawn = np.asarray(Image.open(target))
    plain = np.asarray(Image.open(folder / "1.png"))
    assert (drawn[:, :WIDTH] != plain).any()


def test_show_says_why_training_takes_another_sample(tmp_path: Path) -> None:
    BUILDERS["mevis"](tmp_path)
    code, out, _ = run("show", "mevis", 0, "--root", tmp_path, "--split", "valid", "-o", tmp_path / "a.png")
    assert code == 0 and "training (corrected) takes another sample: sample " in out
    assert "found no masks; expected published masks" in out and (tmp_path / "a.png").is_file()


def test_show_refuses_a_number_that_is_not_there(folder: Path) -> None:
    code, _, err = run("show", written(folder, item("a")), 4)
    assert code == 2 and "has samples 0 to 0; found 4" in err


def test_stats_count(folder: Path) -> None:
    code, out, _ = run("stats", written(folder, item("a"), item("b", **POINTED), item("c")))
    assert code == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert (lines["samples"], lines["clips"]) == ("3", "2")
    assert lines["tasks"] == "refer 1, segment 2"
    assert lines["marked by"] == "masks 2, pointers 1"
    assert lines["said"] == "description 1, expression (query) 2"


# import


def coco(folder: Path) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}],
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(content))
    return file


def test_import_check_and_show(folder: Path) -> None:
    target = folder / "out.jsonl"
    assert run("import", "coco", coco(folder), folder, "-o", target) == (0, f"{target}: 1 items\n", "")
    assert run("check", target)[0] == 0
    assert "user: <query> cup" in run("show", target, 0)[1]


def test_import_beside_the_pictures_needs_a_root(folder: Path) -> None:
    (folder / "out").mkdir()
    target = folder / "out" / "out.jsonl"
    code, _, err = run("import", "coco", coco(folder), folder, "-o", target)
    assert code == 2 and "is not inside" in err and not target.exists()
    code, out, _ = run("import", "coco", coco(folder), folder, "-o", target, "--root", folder)
    assert code == 0 and f"relative to {folder} (--root)" in out
    assert run("check", target, "--root", folder)[0] == 0


def test_a_damaged_source_leaves_no_file(folder: Path) -> None:
    source = coco(folder)
    source.write_text(source.read_text().replace('"category_id": 1', '"category_id": 9'))
    code, _, err = run("import", "coco", source, folder, "-o", folder / "out.jsonl")
    assert code == 2 and "annotations[0].category_id: found 9" in err
    assert not (folder / "out.jsonl").exists()
