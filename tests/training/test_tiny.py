"""The small model's training: every phase teaches something, a stopped run goes on, the result opens."""

import itertools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.training.one_step_each import make_in_steps

import unipixel
from unipixel.core import tokens as control
from unipixel.data.mixture import Shard
from unipixel.data.synthetic.scene import make_scene, training_seed
from unipixel.data.synthetic.shapes import ALL_SHAPES
from unipixel.data.synthetic.world import ALL_COLOURS, WorldConfig
from unipixel.errors import ConfigError
from unipixel.training.tiny.concepts import AMPLITUDE, PACE, PLACE, Facts, place_code
from unipixel.training.tiny.language_phase import LanguagePhase, _tell, draw_talk
from unipixel.training.tiny.loop import Schedule, StepResult, TrainingError, train
from unipixel.training.tiny.marks import NOUNS, Mark, _numbered, decision_of
from unipixel.training.tiny.mask_phase import MaskPhase, named_in, objects_of, places_of
from unipixel.training.tiny.model import CONTROL_TOKENS, SIDE, VOCABULARY, make_tokenizer
from unipixel.training.tiny.names import NameTable, Told, matches, wanted_tokens
from unipixel.training.tiny.scenes import BatchPlan, draw_batch, numbers_of, replayed
from unipixel.training.tiny.seg_phase import _draw_facts
from unipixel.training.tiny.visual_phase import VisualPhase, draw_sights
from unipixel.training.tiny.workshop import FIRST_WORDS, TALK, Budget, Workshop, talk_plan

SMALL = BatchPlan(num_scenes=2, num_frames=2, side=SIDE)


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop.open()


def gradient(part: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)


def test_batches_are_the_same_whenever_they_are_drawn(workshop: Workshop) -> None:
    first, again = draw_batch(SMALL, 40), draw_batch(SMALL, 40)
    assert torch.equal(first.frames, again.frames) and torch.equal(first.masks, again.masks)
    assert not torch.equal(first.frames[0], draw_batch(SMALL, 42).frames[0])
    plan = talk_plan(TALK, 4, 0)
    said, same = (draw_talk(plan, workshop.processor, 40) for _ in range(2))
    assert torch.equal(said.what.inputs.token_ids, same.what.inputs.token_ids)
    assert said.told == same.told


def test_processes_share_every_batch_among_them(workshop: Workshop) -> None:
    shards = [Shard(rank, 2) for rank in range(2)]
    whole = draw_batch(SMALL, 40)
    parts = [draw_batch(replace(SMALL, shard=shard), 40) for shard in shards]
    assert torch.equal(whole.masks, torch.cat([part.masks for part in parts]))
    plan = talk_plan(FIRST_WORDS, 5, 0)
    counts = [
        len(draw_talk(replace(plan, shard=shard), workshop.processor, 40).what.targets.labels)
        for shard in shards
    ]
    assert counts == [2, 3]
    with pytest.raises(ConfigError, match="a batch of 2 cannot be shared by 3"):
        numbers_of(Shard(0, 3), 2)


@pytest.mark.parametrize("kind", ["name", "absent", "described", "point", "box", "mask", "correction"])
def test_a_mask_step_reaches_the_decoder_and_its_encoder(workshop: Workshop, kind: str) -> None:
    phase = MaskPhase(workshop.model.sam2, workshop.table, workshop.attributes, SMALL, (kind,))
    workshop.model.zero_grad()
    result = phase.step(draw_batch(SMALL, 0), np.random.default_rng(0))
    result.loss.backward()
    assert torch.isfinite(result.loss)
    assert gradient(workshop.model.sam2.sam_mask_decoder) > 0
    assert gradient(workshop.model.sam2.image_encoder) > 0
    assert gradient(workshop.model.sam2.memory_attention) > 0, "the second frame reads the memory"


def test_a_frozen_encoder_is_neither_trained_nor_reached(workshop: Workshop) -> None:
    sam2 = workshop.model.sam2
    phase = MaskPhase(sam2, workshop.table, workshop.attributes, SMALL, ("point",), trains_encoder=False)
    frozen = set(sam2.image_encoder.parameters())
    assert not frozen & set(phase.parameters())
    assert set(sam2.sam_mask_decoder.transformer.parameters()) <= set(phase.parameters())
    workshop.model.zero_grad()
    phase.step(draw_batch(SMALL, 0), np.random.default_rng(0)).loss.backward()
    assert gradient(sam2.image_encoder) == 0 and gradient(sam2.sam_mask_decoder) > 0


def test_names_mean_all_that_they_fit_and_some_nothing() -> None:
    batch = draw_batch(SMALL, 0)
    count = batch.masks.shape[1]
    named = named_in(batch, np.random.default_rng(0), absent=True)
    assert len(named.names) == 2 * count + 2
    for scene, name, mask in zip(named.scene.tolist(), named.names, named.masks, strict=True):
        fitting = [matches(name, thing) for thing in batch.names[scene]]
        assert torch.equal(mask, batch.masks[scene][torch.tensor(fitting)].any(0))
    assert not named.masks[-2:].any(), "the last name of each scene is of nothing there"


def test_places_are_on_things_or_near_them() -> None:
    batch = draw_batch(SMALL, 0)
    masks = objects_of(batch).masks[:, 0]
    masks = masks[masks.flatten(1).any(1)]
    for place, mask in zip(places_of(masks, np.random.default_rng(0)), masks, strict=True):
        nearest = (mask.nonzero().flip(1) - place).norm(dim=1).min()
        assert nearest < SIDE / 6


def test_names_that_say_less_add_less() -> None:
    table = NameTable(2, 8)
    full, colour, shape, nothing = table(["red circle", "red thing", "circle", "thing"])
    assert torch.allclose(full, colour + shape) and not nothing.any()


def test_the_tower_the_memory_and_pointers_learn_together(workshop: Workshop) -> None:
    pixels = workshop.processor.config.pixels
    sights = draw_sights(SMALL, pixels, 0)
    assert len(sights.told) == len(sights.facts) and len(sights.prompts) == len(sights.pointed) == 2
    assert (sights.cover[sights.told] > 0).all() and not sights.facts.middle.isnan().any()
    assert len(sights.remembered) == sum(region.shape[1] for region in sights.regions)
    phase = VisualPhase(workshop.model, workshop.concepts, SMALL, pixels)
    workshop.model.zero_grad()
    phase.step(sights).loss.backward()
    model = workshop.model
    for part in (model.backbone.visual, model.object_memory, model.object_prompt):
        assert gradient(part) > 0
    assert gradient(model.backbone.text) == 0, "words stay what they are"


def test_places_are_alike_where_they_are_near() -> None:
    codes = place_code(torch.tensor([[0.5, 0.5], [0.55, 0.5], [0.8, 0.5], [0.5, 0.1]]))
    near = (codes[1:] @ codes[0]).tolist()
    assert codes.shape == (4, PLACE) and near[0] > 2 * max(near[1:])


def test_concepts_are_read_from_states_of_any_size(workshop: Workshop) -> None:
    concepts, embeddings = workshop.concepts, workshop.model.backbone.head.weight.detach()
    place = torch.tensor([[0.3, 0.7]])
    state = AMPLITUDE * place_code(place) @ concepts.directions[:PLACE]
    state = state + 3 * F.normalize(embeddings[concepts.words[:1]], dim=-1)  # red
    rest = torch.linalg.qr(torch.cat([concepts.directions, embeddings[concepts.words]]).T).Q
    other = torch.randn(state.shape[1])
    other = other - rest @ (rest.T @ other)
    state = state + other / other.norm() * (state.shape[1] - state.square().sum()).sqrt()
    for size in (0.1, 1.0, 30.0):
        assert concepts.error(size * state, "here", place_code(place)) < 0.05
        assert concepts.looks(size * state, embeddings)[0].argmax() == ALL_COLOURS.index("red")
    assert concepts.error(state, "here", place_code(torch.tensor([[0.9, 0.1]]))) > 0.5
    assert concepts.error(state, "here", torch.full((1, PLACE), torch.nan)) == 0, "nothing is told"


def test_facts_are_what_can_be_measured() -> None:
    scene = make_scene(training_seed(3), WorldConfig(num_frames=4))
    facts = Facts.of(scene, (1, 0), (1, 3))
    assert facts.looks[0, 0] == ALL_COLOURS.index(scene.things[1].colour)
    down, across = scene.masks[1, 1].nonzero()
    assert facts.middle[0].tolist() == pytest.approx([(across.mean() + 0.5) / 128, (down.mean() + 0.5) / 128])
    later = scene.masks[1, 3].nonzero()[1]
    assert facts.way[0, 0].item() == pytest.approx((later.mean() - across.mean()) / 128 * PACE / 2, abs=1e-5)


def test_conversations_are_marked_where_they_speak_of_a_thing(workshop: Workshop) -> None:
    tokenizer = workshop.processor.tokenizer
    for name in ("made_up_regions", "made_up_region_memory", "made_up_names", "made_up_pixelqa"):
        plan = talk_plan(((name, "2", 1.0),), 12, 0)
        batch = draw_talk(plan, workshop.processor, 0)
        ids = batch.what.inputs.token_ids
        assert len(batch.marked) == len(batch.marks) > 0
        for (row, place), looks in zip(batch.marked.tolist(), batch.marks.looks.tolist(), strict=True):
            word = tokenizer.decode([int(ids[row, place])])
            if not word or word.startswith("]"):  # a pointer, or a number
                continue
            shape = NOUNS[word.strip().lower()]
            assert shape in ("thing", ALL_SHAPES[looks[1]])


def test_numbers_are_known_behind_what_introduces_them() -> None:
    remembered = [
        "[",
        "1",
        "2",
        "]: ",
        control.MEM,
        "\n",
        "What",
        " is",
        " [",
        "1",
        "2",
        "]",
        "?",
        "[",
        "2",
        "]",
    ]
    assert list(_numbered(remembered, [], {12: 3, 5: 1})) == [Mark(11, 3)]
    pointed = [
        "[",
        "7",
        "] ",
        control.REF,
        " or",
        " [",
        "8",
        "] ",
        control.REF,
        ": [",
        "7",
        "]",
        " [",
        "8",
        "].",
    ]
    assert list(_numbered(pointed, [2, 0], {})) == [Mark(3, 2), Mark(8, 0), Mark(11, 2), Mark(14, 0)]


def test_a_decision_is_the_letter_of_one_of_the_options() -> None:
    tokenizer = make_tokenizer()
    asked = "Which way does [7] go?\nOptions:\n(A) left\n(B) a red star\nReply with nothing but an option.\n"
    token_ids = tokenizer.encode(asked + "The best option is (B) a red star\n")
    decision = decision_of(token_ids, tokenizer)
    assert decision is not None and decision.right == 1
    assert tokenizer.decode([token_ids[place] for place in decision.letters]) == "AB"
    options = [tokenizer.decode([token_ids[place] for place in option]) for option in decision.options]
    assert options == [" left", " a red star"]
    said = tokenizer.encode(asked + "The best option is (")
    assert decision.token == len(said) - 1
    assert decision_of(tokenizer.encode(asked + "To the left.\n"), tokenizer) is None
    assert decision_of(tokenizer.encode("A thing (A) is (B) it?\n"), tokenizer) is None


def test_what_is_written_into_states_is_read_from_them(workshop: Workshop) -> None:
    draw = torch.Generator().manual_seed(3)
    facts = _draw_facts(draw)
    words = workshop.model.backbone.head.weight.detach()
    clear, exact = torch.full((len(facts), 1), 8.0), torch.zeros(len(facts), 1)
    states = workshop.concepts.write(facts, words, clear, exact, draw)
    _, right = workshop.concepts.compare(states, words, facts)
    assert right == {"colour": 1.0, "shape": 1.0, "pattern": 1.0}
    facts = replace(
        facts, way=torch.zeros_like(facts.way)
    )  # ways lie along words, which are no fixed directions
    states = workshop.concepts.write(facts, words, exact, exact, draw)
    size = states.square().mean(-1, keepdim=True).sqrt()  # what is read is told for states of size one
    middle = workshop.concepts.read(states, "middle") * size
    told = ~facts.middle.isnan().any(1)
    torch.testing.assert_close(middle[told], place_code(facts.middle[told]), atol=1e-4, rtol=0)


def test_the_seg_head_learns_names_and_places_without_a_language_model() -> None:
    workshop = Workshop.open()
    phase = workshop.phases()["seg"]
    steps = phase.steps()
    first = next(steps).figures
    means = train("seg", phase.parameters, Schedule(150, 3e-3), lambda _: next(steps))
    assert first["place_error"] > 1 and means["place_error"] < 0.9
    assert means["name_error"] < first["name_error"] / 3


def test_batches_come_back_in_the_same_order_everywhere() -> None:
    first, again = (list(itertools.islice(replayed(itertools.count(), 3, 4), 30)) for _ in range(2))
    assert first == again and first[::3] == list(range(10))
    assert all(max(0, n // 3 - 3) <= number <= n // 3 for n, number in enumerate(first))


def test_what_a_mask_shall_say_is_a_name_and_a_place() -> None:
    masks = np.zeros((3, 2, 8, 8), dtype=bool)
    masks[0, :, 0:2, 0:4] = True
    masks[1, :, 4:6, 4:6] = True
    names, things = ["red circle", "red star", "blue star"], (4, 0, 2)
    assert _tell(names, things, masks, masks[0]) == Told("red circle", (0.25, 0.125), 4)
    assert _tell(names, things, masks, masks[0] | masks[1]) == Told("red thing", None)
    assert _tell(names, things, masks, np.zeros((2, 8, 8), dtype=bool)) is None


def test_a_language_step_reaches_the_language_side_alone(workshop: Workshop) -> None:
    plan = talk_plan((("made_up_pixelqa", "2", 1.0),), 4, 0)
    phase = LanguagePhase(workshop.model, workshop.table, workshop.concepts, workshop.processor, plan)
    batch = draw_talk(plan, workshop.processor, 0)
    told = [what for what in batch.told if what is not None]
    assert told, "this batch asks for masks"
    wanted = wanted_tokens(workshop.table, workshop.model.sam2.sam_prompt_encoder, told)
    assert wanted.shape == (len(told), 2, 128)
    workshop.model.zero_grad()
    light, seen = phase.look(batch)
    assert light.what.inputs.view.patches.untyped_storage().nbytes() < 8, "pictures are not kept"
    phase.step(light, seen).loss.backward()
    for part in (workshop.model.backbone, workshop.model.seg_head, workshop.model.object_prompt):
        assert gradient(part) > 0
    assert gradient(workshop.model.sam2) == 0, "the decoder is only listened to"


def test_the_tokenizer_keeps_text_and_knows_its_control_tokens() -> None:
    tokenizer = make_tokenizer()
    text = "Segment the red circle! <|seg|> Größe 12\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.id(control.SEG) not in tokenizer.encode(text)
    assert max(tokenizer.id(name) for name in CONTROL_TOKENS) < VOCABULARY


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
    caplog.set_level("INFO")
    folder = make_in_steps(tmp_path)
    assert "kept from an earlier run" not in caplog.text
    answer = unipixel.load(folder).ask(np.zeros((48, 64, 3), dtype=np.uint8), "the red circle")
    assert answer.finish_reason in ("stop", "length")
    first = (folder / "model.safetensors").read_bytes()
    assert len(first) < 20_000_000, "half precision"
    for made in ("base", "tiny_1", "tiny_2", "tiny_3", folder.name):
        (tmp_path / made).rename(tmp_path / f"first_{made}")
    (tmp_path / "language.pt").unlink()
    make_in_steps(tmp_path)
    assert caplog.text.count("kept from an earlier run") == len(fields(Budget)) - 1
    assert (folder / "model.safetensors").read_bytes() == first
