"""The small model's training: every phase teaches something, a stopped run goes on, the result opens."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import unipixel
from unipixel.core import tokens as control
from unipixel.core.tokens import IGNORE_INDEX
from unipixel.data.synthetic.scene import make_scene, training_seed
from unipixel.data.tasks import ask_for_two
from unipixel.training import tiny
from unipixel.training.examples import make_example
from unipixel.training.language_phase import JointPhase, LanguagePhase
from unipixel.training.loop import Schedule, StepResult, TrainingError, train
from unipixel.training.mask_phase import MaskPhase, objects_of
from unipixel.training.questions import QuestionPlan, draw_questions
from unipixel.training.scenes import BatchPlan, draw_batch

SMALL = BatchPlan(num_scenes=2, num_frames=2, side=tiny.SIDE)


@pytest.fixture(scope="module")
def workshop() -> tiny.Workshop:
    return tiny.Workshop.open()


def gradient(part: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)


def test_batches_are_the_same_whenever_they_are_drawn(workshop: tiny.Workshop) -> None:
    first, again = draw_batch(SMALL, 40), draw_batch(SMALL, 40)
    assert torch.equal(first.frames, again.frames) and torch.equal(first.masks, again.masks)
    assert not torch.equal(first.frames[0], draw_batch(SMALL, 42).frames[0])
    plan = QuestionPlan(SMALL, (1, 2))
    asked, same = (draw_questions(plan, workshop.processor, 40) for _ in range(2))
    assert torch.equal(asked.example.inputs.token_ids, same.example.inputs.token_ids)
    assert asked.names == same.names


@pytest.mark.parametrize("kind", ["name", "absent", "point", "box", "mask", "correction"])
def test_a_mask_step_reaches_the_decoder_and_its_encoder(workshop: tiny.Workshop, kind: str) -> None:
    phase = MaskPhase(workshop.model.sam2, workshop.table, workshop.attributes, SMALL, (kind,))
    workshop.model.zero_grad()
    result = phase.step(draw_batch(SMALL, 0), np.random.default_rng(0))
    result.loss.backward()
    assert torch.isfinite(result.loss)
    assert gradient(workshop.model.sam2.sam_mask_decoder) > 0
    assert gradient(workshop.model.sam2.image_encoder) > 0
    assert gradient(workshop.model.sam2.memory_attention) > 0, "the second frame reads the memory"


def test_a_frozen_encoder_is_neither_trained_nor_reached(workshop: tiny.Workshop) -> None:
    sam2 = workshop.model.sam2
    phase = MaskPhase(sam2, workshop.table, workshop.attributes, SMALL, ("point",), trains_encoder=False)
    frozen = set(sam2.image_encoder.parameters())
    assert not frozen & set(phase.parameters())
    assert set(sam2.sam_mask_decoder.transformer.parameters()) <= set(phase.parameters())
    workshop.model.zero_grad()
    phase.step(draw_batch(SMALL, 0), np.random.default_rng(0)).loss.backward()
    assert gradient(sam2.image_encoder) == 0 and gradient(sam2.sam_mask_decoder) > 0


def test_objects_include_one_that_is_absent() -> None:
    batch = draw_batch(SMALL, 0)
    objects = objects_of(batch, np.random.default_rng(0), absent=True)
    assert len(objects.names) == 2 * 3 + 2
    for scene, name, mask in zip(objects.scene[-2:], objects.names[-2:], objects.masks[-2:], strict=True):
        assert name not in batch.names[scene] and not mask.any()


def test_language_and_joint_steps_reach_what_they_train(workshop: tiny.Workshop) -> None:
    plan = QuestionPlan(replace(SMALL, num_scenes=4), (2,), pointed=0.5)
    batch = draw_questions(plan, workshop.processor, 0)
    assert None in batch.names and any(batch.names), "this batch both points and names"
    language = LanguagePhase(workshop.model, workshop.table, workshop.processor, plan)
    workshop.model.zero_grad()
    language.step(batch).loss.backward()
    assert gradient(workshop.model.object_prompt) > 0 and gradient(workshop.model.backbone) > 0
    assert gradient(workshop.model.sam2) == 0, "the decoder is only listened to"
    workshop.model.zero_grad()
    pointing = MaskPhase(workshop.model.sam2, workshop.table, workshop.attributes, SMALL, ("point",))
    JointPhase(workshop.model, workshop.processor, plan, pointing).step(batch).loss.backward()
    assert gradient(workshop.model.sam2) > 0 and gradient(workshop.model.seg_head) > 0


def test_labels_are_the_answer_and_the_end_of_its_turn(workshop: tiny.Workshop) -> None:
    scene = make_scene(training_seed(3))
    question = ask_for_two(scene, (0, 1), np.random.default_rng(0))
    example = make_example(workshop.processor, scene, question)
    counted = example.labels[example.labels != IGNORE_INDEX].tolist()
    text = workshop.processor.tokenizer.decode(counted, keep_control=True)
    first, second = scene.expression(0), scene.expression(1)
    assert text == f"The {first} is <|seg|> and the {second} is <|seg|>.<|im_end|>"


def test_the_tokenizer_keeps_text_and_knows_its_control_tokens() -> None:
    tokenizer = tiny.make_tokenizer()
    text = "Segment the red circle! <|seg|> Größe 12\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.id(control.SEG) not in tokenizer.encode(text)
    assert max(tokenizer.id(name) for name in tiny.CONTROL_TOKENS) < tiny.VOCABULARY


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    layer = torch.nn.Linear(1, 1)

    def step(number: int) -> StepResult:
        return StepResult(layer.weight.sum() / (3 - number), {})

    with pytest.raises(TrainingError, match="probe: the loss of step 3 is"):
        train("probe", lambda: layer.parameters(), Schedule(10, 1e-3), step)


def test_the_schedule_warms_up_and_falls() -> None:
    schedule = Schedule(steps=100, rate=1.0, warmup=10, floor=0.1)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates[0] == 0.1 and max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0.1 <= rates[-1] < 0.11


def test_a_stopped_run_goes_on_and_its_result_opens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one_step = tiny.Budget(**{field.name: Schedule(1, 1e-4) for field in fields(tiny.Budget)})
    caplog.set_level("INFO")
    folder = tiny.make(tmp_path, one_step)
    assert "kept from an earlier run" not in caplog.text
    answer = unipixel.load(folder).ask(np.zeros((48, 64, 3), dtype=np.uint8), "the red circle")
    assert answer.finish_reason in ("stop", "length")
    folder.rename(tmp_path / "first")
    (tmp_path / "joint.pt").unlink()
    tiny.make(tmp_path, one_step)
    assert caplog.text.count("kept from an earlier run") == len(fields(tiny.Budget)) - 1
    weights = [path / "model.safetensors" for path in (tmp_path / "first", folder)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
