"""Checkpoints that a test may damage, and when two models are the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from unipixel.core.conversation import Refer, Segment, assistant, user
from unipixel.core.media import Clip
from unipixel.core.prompts import Point, RegionMask
from unipixel.core.question import remember
from unipixel.core.request import PixelBudget, Request
from unipixel.predictor import Predictor

ADDED = ("<|ref|>", "<|seg|>", "<|mem|>")


def copy(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)
    return target


def edit_json(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def edit_tensors(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(file)
    change(state)
    save_file(state, file)


def request() -> Request:
    """A question that uses every part of the model: click, remembered object, mask."""
    clip = Clip.open(np.random.default_rng(0).integers(0, 255, (3, 56, 84, 3), dtype=np.uint8))
    region = np.zeros((56, 84), dtype=np.bool_)
    region[10:40, 20:60] = True
    return Request(
        clip=clip,
        turns=(user("Segment ", Refer(Point(30, 20)), " beside [1]."),),
        memory=(remember(1, RegionMask(region)),),
        forced_answer=assistant("[0] ", Segment(), " and [1] ", Segment()),
        pixels=PixelBudget(28 * 28, 16 * 28 * 28),
    )


def read(predictor: Predictor) -> tuple[Tensor, np.ndarray]:
    """Logits and masks."""
    prepared = predictor.processor.prepare(request())
    with torch.inference_mode():
        logits = predictor.model(prepared.inputs).logits
    objects = predictor.answer([request()])[0].objects
    return logits, np.stack([found.masks.to_array() for found in objects])


def assert_same_answers(one: Predictor, other: Predictor) -> None:
    (logits, masks), (other_logits, other_masks) = read(one), read(other)
    assert torch.equal(logits, other_logits)
    assert np.array_equal(masks, other_masks)


def assert_same_weights(one: Predictor, other: Predictor) -> None:
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert list(ours) == list(theirs)
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def assert_tables_equal(one: Predictor, other: Predictor) -> None:
    """Buffers that no checkpoint holds (rotary frequencies) keep their full precision."""
    saved = one.model.state_dict()
    tables = [name for name, _ in one.model.named_buffers() if name not in saved]
    assert tables
    for name in tables:
        ours, theirs = one.model.get_buffer(name), other.model.get_buffer(name)
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name


def edit_text(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    edit_json(folder / "config.json", text_config=content["text_config"] | changes)


def drop_tokens(folder: Path, names: tuple[str, ...]) -> None:
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["added_tokens"] = [
        token for token in definition["added_tokens"] if token["content"] not in names
    ]
    (folder / "tokenizer.json").write_text(json.dumps(definition))


def unread(*_: object) -> dict[str, Tensor]:
    raise AssertionError("the weights were read")
