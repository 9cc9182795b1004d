"""The language model in 8 bits: it answers as before, the mask side keeps its weights, what cannot be is
refused."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from unipixel.errors import ConfigError, OutputError, SessionError
from unipixel.footprint import estimate_bytes
from unipixel.inference.session_file import fingerprint
from unipixel.loading import load, save
from unipixel.model import compiling
from unipixel.model.checkpoint import shapes_of
from unipixel.model.quantise import is_quantised, plain_state, quantise_language, saved_bytes
from unipixel.predictor import Predictor

CPU = torch.device("cpu")
QUESTION = "Please segment the green circle in this image."
STILL = Path(__file__).parents[2] / "examples" / "media" / "still.jpg"

needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="needs torchao: pip install 'unipixel[int8]'"
)


@pytest.fixture(scope="module")
def full() -> Predictor:
    return load("unipixel-tiny")


@pytest.fixture(scope="module")
def int8() -> Predictor:
    return load("unipixel-tiny", language="int8")


@needs_torchao
def test_only_the_decoders_linear_weights_change(full: Predictor, int8: Predictor) -> None:
    before, after = full.model.state_dict(), plain_state(int8.model)
    changed = {name for name in before if name not in after}
    assert changed == {
        f"backbone.text.layers.{name}.weight"
        for name, module in full.model.backbone.text.layers.named_modules()
        if isinstance(module, nn.Linear)
    }
    assert {after[f"{name}.qdata"].dtype for name in changed} == {torch.int8}
    assert all(torch.equal(before[name], after[name]) for name in before.keys() - changed)
    head, table = int8.model.backbone.head, int8.model.backbone.text.embed_tokens
    assert (head.weight is table.weight) == full.model.backbone.tied


@needs_torchao
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_answer_is_the_same_and_masks_hardly_differ(full: Predictor, dtype: str) -> None:
    answer = full.ask(STILL, QUESTION)
    other = load("unipixel-tiny", language="int8", dtype=dtype).ask(STILL, QUESTION)
    assert other.text == answer.text and len(answer.objects) == 1
    one, two = (found.objects[0].masks.to_array() for found in (answer, other))
    assert one.any() and (one & two).sum() / (one | two).sum() > 0.95


@needs_torchao
def test_weights_are_those_opened_within_half_a_step(full: Predictor, int8: Predictor) -> None:
    name = "backbone.text.layers.0.mlp.up_proj.weight"
    state, weight = plain_state(int8.model), full.model.state_dict()[name]
    scale = state[f"{name}.scale"]
    error = (state[f"{name}.qdata"].float() * scale - weight).abs()
    assert error.max() > 0 and (error <= 0.51 * scale).all()


@needs_torchao
def test_the_estimate_of_memory_is_what_it_takes(full: Predictor, int8: Predictor) -> None:
    shapes = shapes_of(full.config)
    held = sum(one.numel() * one.element_size() for one in plain_state(int8.model).values())
    tied = full.model.backbone.head.weight.nbytes if full.model.backbone.tied else 0
    assert held - tied == estimate_bytes(shapes, torch.float32) - saved_bytes(shapes, torch.float32)


@needs_torchao
def test_sessions_tell_int8_apart(full: Predictor, int8: Predictor, tmp_path: Path) -> None:
    assert fingerprint(full.model) != fingerprint(int8.model)
    with int8.session(STILL) as session:
        session.save(tmp_path / "a.unipixel")
    with int8.load_session(tmp_path / "a.unipixel"):
        pass
    with pytest.raises(SessionError, match="another model"):
        full.load_session(tmp_path / "a.unipixel")


@needs_torchao
def test_what_cannot_be_is_refused(int8: Predictor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="int8 already"):
        quantise_language(int8.model, CPU)
    with pytest.raises(OutputError, match="without language='int8'"):
        save(int8, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@needs_torchao
def test_unmerged_adapters_are_refused() -> None:
    pytest.importorskip("peft")
    from unipixel.training.lora import merge, wrap
    from unipixel.training.recipe import Lora

    model = load("unipixel-tiny").model
    wrap(model, ["backbone.text.layers.0.self_attn.q_proj"], Lora())
    with pytest.raises(ConfigError, match=r"not merged.*exported"):
        quantise_language(model, CPU)
    assert not is_quantised(model)
    merge(model)
    quantise_language(model, CPU)
    assert is_quantised(model)


def test_without_torchao_it_is_said_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchao" else find(name))
    with pytest.raises(ConfigError, match=r"unipixel\[int8\]"):
        load(tmp_path / "no such folder", language="int8")


@pytest.mark.parametrize(
    ("form", "device", "message"),
    [("int4", "cpu", "expected 'full' or 'int8'"), ("int8", "mps", "not for mps")],
)
def test_unknown_forms_and_devices_are_refused(form: str, device: str, message: str) -> None:
    from unipixel.model.quantise import check_form

    with pytest.raises(ConfigError, match=message):
        check_form(form, torch.device(device))


def test_torchao_is_not_imported_for_a_full_model() -> None:
    source = Path(sys.modules["unipixel.model.quantise"].__file__ or "").read_text(encoding="utf-8")
    early = [
        line for line in source.splitlines() if line.startswith(("import", "from")) and "torchao" in line
    ]
    assert early == []


def test_a_compiler_that_fails_is_told_and_leaves_the_model_as_it_was(
    full: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("\nno compiler on this machine\nand more")

    monkeypatch.setattr(compiling, "_run_once", fail)
    with pytest.warns(UserWarning, match=r"no compiler on this machine.*without it"):
        opened = load("unipixel-tiny", compiled=True)
    parts = list(opened.model.modules())
    assert len(parts) > 10 and all(part._compiled_call_impl is None for part in parts)
    assert opened.ask(STILL, QUESTION).text == full.ask(STILL, QUESTION).text


def test_what_is_compiled_has_fixed_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_run_once", lambda *_: None)  # compiling itself takes a minute
    model = load("unipixel-tiny", compiled=True).model
    compiled = {name for name, part in model.named_modules() if part._compiled_call_impl is not None}
    layers = len(model.backbone.text.layers)
    assert compiled == {
        "sam2.image_encoder",
        *(f"backbone.text.layers.{number}.mlp" for number in range(layers)),
    }
