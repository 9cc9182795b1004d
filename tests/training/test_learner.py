"""A step's loss: the published numbers, many objects at once, frozen parts, other precisions."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.conftest import ROOT
from torch import Tensor

from unipixel.data.conversations import Provenance
from unipixel.loading import load
from unipixel.model.inputs import Targets
from unipixel.model.losses import language_loss
from unipixel.model.unipixel import UniPixel
from unipixel.parity.cases import GoldenCase
from unipixel.parity.compare import FLOAT32
from unipixel.parity.given import follow
from unipixel.parity.gradients import compare_gradients
from unipixel.parity.ledger import Ledger
from unipixel.training.examples import Supervised
from unipixel.training.learner import Clip, Exercise, Learner, track
from unipixel.training.recipe import Recipe
from unipixel.training.recipe_file import read_recipe
from unipixel.training.start import open_start, ready, set_modes

GOLDEN = ROOT / "tests" / "golden"


def exercise_of(case: GoldenCase, side: int) -> Exercise:
    """A golden training case as a micro-batch."""
    samples = range(case.num_samples)
    masks = tuple(case.need(f"in.label_mask.{sample}").bool() for sample in samples)
    frames = tuple(case.mask_view(side, sample) for sample in samples)
    targets = Targets(case.need("in.labels"), frames, masks)
    sources = tuple(Provenance("golden", case.name, (str(sample),)) for sample in samples)
    chosen = tuple(torch.arange(mask.shape[1]) for mask in masks)
    return Exercise(Supervised(case.inputs(), targets, sources), chosen)


@pytest.fixture
def model(golden_checkpoint: Path) -> UniPixel:
    """As the published training has it."""
    return load(golden_checkpoint).model.requires_grad_(True).train()


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("name", ["train", "train_batch2"])
def test_golden_losses_and_gradients(name: str, recompute: bool, model: UniPixel) -> None:
    case = GoldenCase.open(GOLDEN / name)
    losses = Learner(model, recompute=recompute)(exercise_of(case, 128))
    for ours, theirs in ((losses.total, "out.loss"), (losses.language, "out.lm_loss")):
        assert torch.allclose(ours, case.need(theirs), rtol=1e-4), theirs
    losses.total.backward()
    ledger = Ledger(case, FLOAT32, "given")
    compare_gradients(ledger, model)
    failed = [row for row in ledger.rows if not row.passed]
    assert len(ledger.rows) > 50 and not failed, failed[:5]


def test_corrected_rotary_gradients_reach_memory_attention(golden_checkpoint: Path) -> None:
    case = GoldenCase.open(GOLDEN / "train")
    grown = {}
    for fidelity in ("published", "corrected"):
        recipe = read_recipe("debug", [f"start.model={golden_checkpoint}", f"fidelity={fidelity}"])
        model = ready(open_start(recipe).model, recipe)
        Learner(model)(exercise_of(case, 128)).total.backward()
        attention = dict(model.sam2.memory_attention.named_parameters())
        grown[fidelity] = {name: parameter.grad for name, parameter in attention.items()}
    keys = [name for name in grown["corrected"] if "self_attn.k_proj.weight" in name]
    queries = [name for name in grown["corrected"] if "q_proj.weight" in name]
    assert keys and queries
    for name in (*keys, *queries):
        assert grown["published"][name] is None or not grown["published"][name].any(), name
        assert grown["corrected"][name].any(), name


def prompts(count: int, seed: int) -> Tensor:
    return torch.randn(count, 2, 64, generator=torch.Generator().manual_seed(seed))


def test_objects_of_all_clips_are_followed_together(model: UniPixel) -> None:
    clips = [
        Clip(torch.randn(frames, 3, 128, 128), prompts(objects, number))
        for number, (frames, objects) in enumerate([(3, 2), (1, 1), (3, 3)])
    ]
    with torch.no_grad():
        together = track(model, clips)
        for clip, found in zip(clips, together, strict=True):
            alone = follow(model, model.sam2.encode(clip.frames), clip.prompts, hide_absent=False)
            assert len(found) == len(alone) == len(clip.frames)
            for ours, theirs in zip(found, alone, strict=True):
                assert torch.allclose(ours.candidates, theirs.candidates, atol=1e-3)
                assert torch.allclose(ours.object_score, theirs.object_score, atol=1e-3)


def test_only_chosen_objects_are_supervised(model: UniPixel) -> None:
    case = GoldenCase.open(GOLDEN / "train")
    exercise = exercise_of(case, 128)
    every = len(exercise.chosen[0])
    assert every > 1
    losses = [
        Learner(model)(replace(exercise, chosen=(torch.tensor([index]),))).masks for index in range(every)
    ]
    assert torch.allclose(torch.stack(losses).mean(), Learner(model)(exercise).masks, rtol=1e-4)
    counts = [2.0 * every]
    assert torch.allclose(Learner(model)(exercise, counts).masks * 2, Learner(model)(exercise).masks)


def test_language_loss_needs_the_logits_of_counted_tokens_only(model: UniPixel) -> None:
    hidden = torch.randn(2, 9, 64)
    labels = torch.randint(0, 300, (2, 9))
    labels[:, :4] = -100
    ours = Learner(model).language(hidden, labels)
    assert torch.allclose(ours, language_loss(model.backbone.speak(hidden), labels))
    assert Learner(model).language(hidden, torch.full_like(labels, -100)) == 0


def recipe_of(checkpoint: Path, *words: str) -> Recipe:
    return read_recipe("debug", [f"start.model={checkpoint}", *words])


def test_frozen_parts_follow_the_recipe(golden_checkpoint: Path) -> None:
    frozen = [f"parts.{part}.how=frozen" for part in ("sam2", "visual")]
    quiet = ready(open_start(recipe := recipe_of(golden_checkpoint, *frozen)).model, recipe)
    assert not quiet.sam2.training and not quiet.backbone.visual.training
    assert quiet.seg_head.training and quiet.backbone.text.training
    active = recipe_of(golden_checkpoint, *frozen, "choices.frozen_dropout=active")
    set_modes(quiet, active)
    assert quiet.sam2.training, "stage 2 of the published training keeps SAM's dropout and drop path"
    Learner(quiet)(exercise_of(GoldenCase.open(GOLDEN / "train"), 128)).total.backward()
    assert all(parameter.grad is None for parameter in quiet.sam2.parameters())
    assert all(parameter.grad is not None for parameter in quiet.seg_head.parameters())


@pytest.mark.parametrize("precision", ["mixed", "bfloat16"])
def test_other_precisions(precision: str, golden_checkpoint: Path) -> None:
    words = ["parts.visual.how=frozen", f"precision={precision}"]
    recipe = recipe_of(golden_checkpoint, *words)
    model = ready(open_start(recipe).model, recipe)
    kinds = {(parameter.requires_grad, parameter.dtype) for parameter in model.parameters()}
    frozen = torch.bfloat16 if precision == "bfloat16" else torch.float32
    assert kinds == {(True, torch.float32), (False, frozen)}
    exercise = exercise_of(GoldenCase.open(GOLDEN / "train"), 128)
    losses = Learner(model, autocast=torch.bfloat16)(exercise)
    losses.total.backward()
    exact = Learner(load(golden_checkpoint).model)(exercise)
    assert torch.isfinite(losses.total)
    assert abs(losses.language - exact.language) < 0.1 * exact.language
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
