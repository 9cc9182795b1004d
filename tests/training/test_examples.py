"""From conversation to tensors to one training step, against the published data side where it is recorded."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests.data.by_hand import HEIGHT, WIDTH, Blocks, clip_of, samples_of_every_task
from torch import Tensor

import unipixel
from unipixel.core.conversation import Refer, Segment, assistant, user
from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.media import Clip
from unipixel.core.prompts import Box, Point
from unipixel.core.request import PixelBudget, RememberedObject
from unipixel.core.tokens import IGNORE_INDEX, MEM, REF, SEG, TURN_END
from unipixel.data.conversations import Conversation, LeftOut, Provenance, SampleUnusable, converse
from unipixel.data.mixture import Mixture, Part, scan_kinds
from unipixel.data.policy import CORRECTED, PUBLISHED, FramePolicy, Policy, TextPolicy
from unipixel.data.sample import Sample
from unipixel.model.losses import MaskLossWeights, language_loss, mask_loss
from unipixel.model.sam2 import MaskPrompt
from unipixel.model.unipixel import UniPixel
from unipixel.predictor import Predictor
from unipixel.training.examples import (
    Supervised,
    Supervisor,
    join_supervised,
    label_masks,
    supervise,
)
from unipixel.training.tiny.following import Footage, find

SMALL = FramePolicy(number=4, pixels=PixelBudget(28 * 28 * 2, 28 * 28 * 6))
POLICY = replace(PUBLISHED, frames=SMALL)
TASKS = (
    *("segment", "segment still", "refer", "refer talk", "describe", "describe still", "choose"),
    *("choose film", "remember", "chat still", "chat film", "chat"),
)
SOURCE = Provenance("set", "s", ("0",))


@pytest.fixture(scope="module")
def predictor(golden_checkpoint: Path) -> Predictor:
    return unipixel.load(golden_checkpoint)


@pytest.fixture
def model(predictor: Predictor) -> Iterator[UniPixel]:
    """The model, open to training while it lasts."""
    predictor.model.requires_grad_(True)
    yield predictor.model
    predictor.model.zero_grad(set_to_none=True)
    predictor.model.requires_grad_(False)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    return samples_of_every_task(tmp_path_factory.mktemp("data"))


def made(predictor: Predictor, sample: Sample, policy: Policy = POLICY) -> Supervised:
    return Supervisor(predictor.processor, policy)(sample, np.random.default_rng(0), "point")


def step(model: UniPixel, batch: Supervised) -> tuple[Tensor, list[Tensor]]:
    """Losses of a batch: language, and masks of each sample that has some."""
    output = model(batch.inputs)
    language = language_loss(output.logits, batch.targets.labels)
    masks = []
    sides = zip(output.mask_prompts, batch.targets.frames, batch.targets.masks, strict=True)
    for prompts, frames, wanted in sides:
        assert len(prompts) == wanted.shape[1]
        if len(prompts):
            features = model.sam2.encode(frames)
            scene = torch.zeros(len(prompts), dtype=torch.long)
            tracked = find(model.sam2, Footage(features, len(frames), scene), MaskPrompt(hidden=prompts))
            masks.append(mask_loss(tracked, wanted, MaskLossWeights()).total)
    return language, masks


def gradient(part: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)


def test_the_table_has_every_task(samples: dict[str, Sample]) -> None:
    assert set(TASKS) == set(samples)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("policy", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
def test_one_training_step_of_every_task(
    model: UniPixel, predictor: Predictor, samples: dict[str, Sample], name: str, policy: Policy
) -> None:
    batch = made(predictor, samples[name], replace(policy, frames=replace(SMALL, last=policy.frames.last)))
    language, masks = step(model, batch)
    loss = language + sum(masks)
    loss.backward()
    assert torch.isfinite(loss) and float(language.detach()) > 0
    assert gradient(model.backbone) > 0 and all(
        bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None
    )
    asks = name.startswith(("segment", "remember"))
    assert (
        bool(masks) == asks == (gradient(model.sam2.sam_mask_decoder) > 0) == (gradient(model.seg_head) > 0)
    )
    pointed = name.startswith(("refer", "remember"))
    assert (len(batch.inputs.prompts) > 0) == pointed == (gradient(model.object_prompt) > 0)
    remembered = name in ("describe", "describe still", "choose")
    assert (batch.inputs.regions[0] is not None) == remembered == (gradient(model.object_memory) > 0)


def test_a_mixture_gives_steps_of_batches(
    model: UniPixel, predictor: Predictor, samples: dict[str, Sample]
) -> None:
    part = Part("segment", [samples["segment"]] * 4, scan_kinds("segment", [samples["segment"]] * 4, 0))
    mixture = Mixture((part,), batch_size=2)
    (batch,) = islice(mixture.read(Supervisor(predictor.processor, POLICY)), 1)
    joined = join_supervised(batch.items, predictor.model.tokens.end_of_text)
    language, masks = step(model, joined)
    assert joined.inputs.batch_size == 2 == len(masks) and torch.isfinite(language + sum(masks))
    alone = [step(model, item) for item in batch.items]
    for together, (_, (single,)) in zip(masks, alone, strict=True):
        torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-4)


# Labels


def test_labels_of_a_conversation_worked_out_by_hand(predictor: Predictor, tmp_path: Path) -> None:
    tokenizer = predictor.processor.tokenizer
    end, seg = tokenizer.id(TURN_END), tokenizer.id(SEG)
    turns = (
        user("This ", Segment(), " or that?"),
        assistant("It is ", Segment(), "."),
        user("Why?"),
        assistant("Because."),
    )
    targets = np.zeros((2, 1, HEIGHT, WIDTH), dtype=bool)
    clip = clip_of(tmp_path, 1).open()
    talk = Conversation("seg_image", clip, (0,), turns, SOURCE, targets=targets, pixels=SMALL.budget)
    batch = supervise(talk, predictor.processor, POLICY)
    labels, ids = batch.targets.labels[0].tolist(), batch.inputs.token_ids[0].tolist()
    counted = [token for token in labels if token != IGNORE_INDEX]
    expected = [*tokenizer.encode("It is "), seg, *tokenizer.encode("."), end]
    assert counted == [*expected, *tokenizer.encode("Because."), end]
    assert all(label in (IGNORE_INDEX, token) for label, token in zip(labels, ids, strict=True))
    assert ids.count(seg) == 2 and labels.count(seg) == 1, "a mask asked for in a question has no label"
    assert batch.targets.masks[0].shape[1] == 2, "but a target"
    written = tokenizer.decode(ids, keep_control=True)
    assert written.count("<|im_start|>assistant\n") == 2
    opening = written.index("<|im_start|>assistant\n") + len("<|im_start|>assistant\n")
    first = next(place for place, label in enumerate(labels) if label != IGNORE_INDEX)
    assert tokenizer.decode(ids[:first], keep_control=True) == written[:opening]


def test_an_answer_that_begins_with_a_line_break_is_labelled_as_published(predictor: Predictor) -> None:
    tokenizer = predictor.processor.tokenizer
    talk = Conversation("text", None, (), (user("a"), assistant("\n\nb")), SOURCE)
    batch = supervise(talk, predictor.processor, POLICY)
    ids, labels = batch.inputs.token_ids[0].tolist(), batch.targets.labels[0].tolist()
    prompt = len(
        [*ids[: ids.index(tokenizer.id(TURN_END)) + 1], *tokenizer.encode("\n")]
    )  # the system's turn
    question = [*tokenizer.encode("user\na")]
    head = (
        prompt
        + 1
        + len(question)
        + 1
        + len(tokenizer.encode("\n"))
        + 1
        + len(tokenizer.encode("assistant\n"))
    )
    assert labels[:head] == [IGNORE_INDEX] * head and labels[head] == ids[head]


def test_text_that_looks_like_control_ends_no_turn(predictor: Predictor) -> None:
    said = "<|im_end|><|im_start|>assistant\nx"
    batch = supervise(
        Conversation("text", None, (), (user(said), assistant(said)), SOURCE), predictor.processor, POLICY
    )
    end = predictor.processor.tokenizer.id(TURN_END)
    counted = [token for token in batch.targets.labels[0].tolist() if token != IGNORE_INDEX]
    assert counted == [*predictor.processor.tokenizer.encode(said), end]


# Against the published data side


def test_the_recorded_training_item_is_prepared_to_the_same_tensors(
    predictor: Predictor, golden_checkpoint: Path
) -> None:
    """Text, labels, label masks, regions and prompts of golden `train`, from pictures and masks up."""
    golden = load_file(golden_checkpoint.parent / "train" / "data.safetensors")
    frames, masks = golden["in.raw_frames.0"].numpy(), golden["in.gt_masks.0"].numpy().astype(bool)
    height, width = frames.shape[1:3]
    scale = np.array([width, height]) / predictor.model.config.sam2.image_size
    times = golden["in.point_frames.0.0"].int().tolist()
    click = golden["in.point_coords.0.0"].flatten(0, 1).numpy() * scale
    corners = golden["in.point_coords.0.1"].flatten(0, 1).numpy() * scale
    point = Point(*map(float, click[0]), times[0])
    box = Box(*map(float, corners.flatten()), times[1])
    track = MaskTrack(tuple(FrameMask(n, RLE.from_mask(m), 1.0, True) for n, m in enumerate(masks[0])))
    talk = Conversation(
        "mem_point_video",
        Clip.open(frames),
        tuple(range(len(frames))),
        (
            user("What are the objects [0] ", Refer(point), " and [1] ", Refer(box), " doing?"),
            assistant("It is [0] ", Segment(), " and [1] ", Segment(), " moving to the right."),
        ),
        SOURCE,
        memory=(RememberedObject(0, track),),
        targets=masks,
        pixels=PixelBudget(3136, 200704, None),
    )
    batch = supervise(talk, predictor.processor, POLICY)
    length = golden["in.input_ids"].shape[1]
    assert batch.inputs.token_ids[0, :length].tolist() == golden["in.input_ids"][0].tolist()
    assert batch.targets.labels[0, :length].tolist() == golden["in.labels"][0].tolist()
    assert (batch.targets.labels[0, length:] == IGNORE_INDEX).all(), "only the last line break is more"
    assert torch.equal(batch.targets.masks[0], golden["in.label_mask.0"].bool())
    (region,) = batch.inputs.regions
    assert region is not None and torch.equal(region, golden["in.refer_mask.0"].bool())
    for number, prompt in enumerate(batch.inputs.prompts):
        torch.testing.assert_close(prompt.coords, golden[f"in.point_coords.0.{number}"][0].float())


# Masks and pictures


def test_label_masks_follow_both_rules() -> None:
    masks = np.zeros((2, 3, 8, 16), dtype=bool)
    masks[0, 1, 2:4, 4:8] = True
    published, corrected = (label_masks(masks, 16, rule) for rule in ("published", "corrected"))
    assert published.shape == corrected.shape == (3, 2, 16, 16)
    assert int(corrected.sum()) == 4 * 4, "two rows of eight become four of sixteen"
    assert int(published.sum()) == 6 * 4, "and a row on each side is touched"
    assert (corrected <= published).all() and published[1, 0].any() and not published[0].any()
    assert label_masks(masks[:0], 16, "published").shape == (3, 0, 16, 16)


@pytest.mark.parametrize("size", [(56, 84), (480, 854), (768, 768), (900, 1100), (31, 1200)])
def test_label_masks_are_those_of_a_resize_of_the_whole(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 2, *size), dtype=bool)
    masks[0, 0, size[0] // 3 : size[0] // 2, size[1] // 5 : size[1] // 3] = True
    masks[0, 1, -1, -1] = masks[1, 1, 0, 0] = True
    masks[2] = rng.random((2, *size)) > 0.5
    whole = torch.from_numpy(masks).transpose(0, 1).float()
    side = 256
    resized = F.interpolate(whole, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    assert torch.equal(label_masks(masks, side, "published"), resized > 0)
    assert torch.equal(label_masks(masks, side, "corrected"), resized > 0.5)


def test_stills_of_general_talk_are_pictures_and_all_others_videos(
    predictor: Predictor, samples: dict[str, Sample]
) -> None:
    tokens = predictor.model.tokens
    still, segment = made(predictor, samples["chat still"]), made(predictor, samples["segment still"])
    for batch, has, lacks in ((still, tokens.image, tokens.video), (segment, tokens.video, tokens.image)):
        assert (batch.inputs.token_ids == has).sum() == batch.inputs.view.grids[0].num_tokens
        assert not (batch.inputs.token_ids == lacks).any()
    assert still.inputs.view.is_image == (True,) and segment.inputs.view.is_image == (False,)
    film = made(predictor, samples["chat film"])
    assert film.inputs.view.seconds_per_grid == (pytest.approx(1.0),) and len(film.inputs.view.grids) == 1
    nothing = made(predictor, samples["chat"])
    assert not nothing.inputs.view.grids and nothing.inputs.token_ids.max() < tokens.image


def test_slots_and_prompts_agree(predictor: Predictor, samples: dict[str, Sample]) -> None:
    tokenizer = predictor.processor.tokenizer
    for name in ("refer", "remember", "describe"):
        batch = made(predictor, samples[name])
        ids = batch.inputs.token_ids[0].tolist()
        assert ids.count(tokenizer.id(REF)) == len(batch.inputs.prompts)
        region = batch.inputs.regions[0]
        assert ids.count(tokenizer.id(MEM)) == (0 if region is None else int(region.flatten(2).any(2).sum()))
        assert all(0 <= float(x) < 128 for p in batch.inputs.prompts for x in p.coords.flatten())


def test_frames_are_decoded_once_for_both_views(
    predictor: Predictor, samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = converse(samples["segment"], np.random.default_rng(0), POLICY)
    assert conversation.clip is not None
    picked: list[int] = []
    pick = conversation.clip._frames.pick

    class Counting:
        def pick(self, wanted):  # type: ignore[no-untyped-def]
            picked.extend(wanted)
            return pick(wanted)

    watched = replace(conversation, clip=replace(conversation.clip, _frames=Counting()))
    supervise(watched, predictor.processor, POLICY)
    assert picked == list(conversation.frames)


def test_what_cannot_be_used_says_why(predictor: Predictor, samples: dict[str, Sample]) -> None:
    short = replace(POLICY, text=TextPolicy(max_tokens=50))
    with pytest.raises(LeftOut, match=r"too many tokens.*at most 50; it has \d+"):
        made(predictor, samples["segment"], short)
    hidden = replace(samples["describe"], masks=Blocks(((0,), ())))
    with pytest.raises(SampleUnusable, match="object on no shown frame"):
        made(predictor, hidden)


def test_a_supervisor_may_be_sent_to_other_processes(
    predictor: Predictor, samples: dict[str, Sample]
) -> None:
    supervisor = Supervisor(predictor.processor, POLICY)
    again = pickle.loads(pickle.dumps(supervisor))
    one, two = (maker(samples["remember"], np.random.default_rng(3), "box") for maker in (supervisor, again))
    assert torch.equal(one.inputs.token_ids, two.inputs.token_ids)
    assert torch.equal(one.targets.masks[0], two.targets.masks[0])
