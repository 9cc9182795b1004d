"""Predictions on disk: what is written comes back, and nothing that is broken passes."""

import multiprocessing

import numpy as np
import pytest

from unipixel.core.masks import RLE
from unipixel.errors import ConfigError, OutputError, PromptError
from unipixel.evaluation.predictions import (
    PredictedObject,
    Prediction,
    Predictions,
    Shard,
    appending,
    forget_failed,
    from_line,
    to_line,
)


def mask(seed: int, size=(7, 9)) -> RLE:
    return RLE.from_mask(np.random.default_rng(seed).random(size) < 0.4)


def prediction(sample: str, frames=(0, 1, 2), **fields) -> Prediction:
    masks = tuple(mask(number) for number in range(len(frames)))
    return Prediction(sample, objects=(PredictedObject(0, frames, masks),), **fields)


ALONE = Shard()


def write(folder, *predictions, shard=ALONE):
    with appending(folder, shard) as writer:
        writer.write(predictions)
    return folder / f"predictions.{shard.number}-of-{shard.total}.jsonl"


@pytest.mark.parametrize(
    "one",
    [
        prediction("clip/3", text='says "ä\n\u2028"'),
        prediction("odd frames", frames=(2, 5, 9)),
        Prediction("none", "unanswered", "words", "no mask"),
        Prediction("broken", "failed", reason="MediaError: gone"),
    ],
    ids=lambda one: one.sample,
)
def test_a_line_comes_back_as_it_was(one):
    line = to_line(one)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert from_line(line) == one


def test_lines_are_compact():
    one = prediction("a", frames=tuple(range(60)))
    counts = sum(len(each.counts) for each in one.objects[0].masks)
    assert len(to_line(one)) < 1.1 * counts + 60 * 3 + 120


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[]\n",
        b"not json\n",
        b'{"sample":"a","status":"good"}\n',
        b'{"sample":"a","status":"failed"}\n',
        b'{"sample":"a","status":"answered","objects":[{"id":0,"frames":2,"size":[7,9],"counts":["x"]}]}\n',
    ],
)
def test_a_line_that_is_none_is_refused(line):
    with pytest.raises(PromptError):
        from_line(line)


def test_files_of_all_shards_are_read_together(tmp_path):
    write(tmp_path, prediction("a"), prediction("c"), shard=Shard(0, 2))
    write(tmp_path, prediction("b"), shard=Shard(1, 2))
    (tmp_path / "notes.jsonl").write_text("something else")
    found = Predictions.open(tmp_path)
    assert sorted(found.places) == ["a", "b", "c"] and not found.problems
    assert found.read("b") == prediction("b") and "d" not in found


def test_a_half_line_is_reported_when_read_and_cut_when_written(tmp_path):
    file = write(tmp_path, prediction("a"), prediction("b"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    found = Predictions.open(tmp_path)
    assert list(found.places) == ["a"]
    assert [str(problem) for problem in found.problems] == [
        "truncated file: predictions.0-of-1.jsonl, line 2: the last line has no end"
    ]
    write(tmp_path, prediction("b"))
    assert file.read_bytes() == whole


def test_duplicates_and_damage_are_named_with_their_lines(tmp_path):
    file = write(tmp_path, prediction("a"), prediction("b"), prediction("a"))
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"counts":["', b'"counts":["~')
    file.write_bytes(b"".join(lines))
    kinds = {problem.kind: problem.where for problem in Predictions.open(tmp_path).problems}
    assert kinds == {
        "damaged line": "predictions.0-of-1.jsonl, line 2",
        "duplicate line": "predictions.0-of-1.jsonl, line 3",
    }


def _try_to_append(folder, answers):
    try:
        with appending(folder, Shard()):
            answers.put("open")
    except OutputError as error:
        answers.put(str(error))


def test_two_processes_cannot_write_one_shard(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with appending(tmp_path, Shard()):
        other = context.Process(target=_try_to_append, args=(tmp_path, answers))
        other.start()
        assert "another process" in answers.get(timeout=60)
        other.join()


def test_failed_ones_can_be_forgotten(tmp_path):
    write(tmp_path, prediction("a"), Prediction("b", "failed", reason="x"), prediction("c"))
    assert forget_failed(tmp_path, Shard()) == 1
    assert list(Predictions.open(tmp_path).places) == ["a", "c"]
    assert forget_failed(tmp_path, Shard()) == 0


def test_shards_share_everything_once(monkeypatch):
    taken = [[place for place in range(11) if Shard(number, 3).takes(place)] for number in range(3)]
    assert sorted(place for places in taken for place in places) == list(range(11))
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Shard.here() == Shard.parse("2/4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["4/4", "1", "-1/2", "1/0", "a/b"])
def test_an_impossible_shard_is_refused(text):
    with pytest.raises(ConfigError):
        Shard.parse(text)
