"""SAM 2.1 against the published implementation's numbers, and the promises of the tracker."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from unipixel.errors import ConfigError, MediaError, PromptError, RequestError
from unipixel.model.sam2 import (
    FrameFeatures,
    FrameMasks,
    HieraConfig,
    MaskPrompt,
    MaskTracker,
    MemoryAttentionConfig,
    MemoryEncoderConfig,
    PromptEncoder,
    Sam2,
    Sam2Config,
    TrackState,
)

PREFIX = "sam2."


@pytest.fixture(scope="module")
def golden_dir() -> Path:
    return find_golden()


@pytest.fixture(scope="module")
def sam2() -> Sam2:
    return published_sam2("corrected")


@pytest.fixture(scope="module")
def small() -> Sam2:
    torch.manual_seed(0)
    model = Sam2(small_config())
    torch.nn.init.normal_(model.sam_mask_decoder.mask_tokens.weight)
    return model.eval()


def find_golden() -> Path:
    root = Path(__file__).parents[2]
    places = (root / "tests" / "golden", root.parent / "shared" / "golden")
    found = next((place for place in places if (place / "checkpoint").is_dir()), None)
    if found is None:
        pytest.fail("the golden files are not here")
    return found


@cache
def checkpoint() -> dict[str, Tensor]:
    tensors = load_file(find_golden() / "checkpoint" / "model.safetensors")
    return {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}


def golden_config() -> Sam2Config:
    text = (find_golden() / "checkpoint" / "sam2_architecture.json").read_text()
    return Sam2Config.from_architecture(json.loads(text))


def published_sam2(rotary_gradients: Literal["corrected", "published"]) -> Sam2:
    model = Sam2(replace(golden_config(), rotary_gradients=rotary_gradients))
    model.load_state_dict(checkpoint(), strict=True)
    return model.eval()


CASES = {"video_seg": (6, 2), "video_seg_long": (18, 1), "ref_mix_seg": (6, 2)}
"""Frames and objects; the numbers themselves are compared in tests/parity."""


@cache
def case(name: str) -> dict[str, Tensor]:
    num_frames, num_objects = CASES[name]
    generator = torch.Generator().manual_seed(num_frames + len(name))
    return {
        "in.frames.0": torch.randn(num_frames, 3, 128, 128, generator=generator),
        "sam.hidden": torch.randn(num_objects, 2, 64, generator=generator),
    }


def small_config() -> Sam2Config:
    return Sam2Config(
        image_size=64,
        hiera=HieraConfig(8, 1, (1, 1, 1, 1), (2,), (7, 7)),
        d_model=32,
        memory_attention=MemoryAttentionConfig(num_layers=1, dim_feedforward=32, dropout=0.0),
        memory_encoder=MemoryEncoderConfig(out_dim=16, fuser_layers=1),
    )


@dataclass(frozen=True)
class Tracked:
    """Every frame's answer, stacked by field as (objects, frames, ...)."""

    answers: tuple[FrameMasks, ...]
    state: TrackState

    def stack(self, field: str) -> Tensor:
        objects = len(self.answers[0].logits)
        values = [getattr(answer, field) for answer in self.answers]
        return torch.stack([value.expand(objects, *value.shape[1:]) for value in values], dim=1)


def track(
    model: Sam2,
    features: list[FrameFeatures],
    prompt: MaskPrompt,
    num_frames: int | None = None,
    direction: int = 1,
    hide_absent: bool = True,
) -> Tracked:
    tracker, answers = MaskTracker(model), []
    state = tracker.start(num_frames, direction)
    for index, frame in enumerate(features):
        answer, state = tracker.step(state, frame, prompt if index == 0 else None, hide_absent)
        answers.append(answer)
    return Tracked(tuple(answers), state)


def frames_of(features: FrameFeatures) -> list[FrameFeatures]:
    return [features[index] for index in range(len(features))]


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


# ---- against the published implementation ----


def test_published_gradients(golden_dir: Path) -> None:
    data = case("ref_mix_seg")
    facts = json.loads((golden_dir / "train" / "case.json").read_text())
    model = published_sam2("published").train()
    features = model.encode(data["in.frames.0"][:3])
    prompt = MaskPrompt(hidden=data["sam.hidden"])
    tracked = track(model, frames_of(features), prompt, len(features), hide_absent=False)
    scores = tracked.stack("object_score").mean() + tracked.stack("ious").mean()
    (tracked.stack("candidates").square().mean() + scores).backward()
    without = {f"{PREFIX}{name}" for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {name for name in facts["params_without_grad"] if name.startswith(PREFIX)}
    for name, parameter in model.named_parameters():
        if ".self_attn.k_proj." in name and name.startswith("memory_attention"):
            assert parameter.grad is not None and not parameter.grad.any()
            assert facts["grad_norms"][f"{PREFIX}{name}"] == 0.0


def test_corrected_gradients_reach_queries_and_keys() -> None:
    data = case("video_seg")
    values: dict[str, Tensor] = {}
    queries: dict[str, Tensor | None] = {}
    keys: dict[str, Tensor] = {}
    kinds: tuple[Literal["published", "corrected"], ...] = ("published", "corrected")
    for kind in kinds:
        model = published_sam2(kind)
        features = model.encode(data["in.frames.0"][:2])
        tracked = track(model, frames_of(features), MaskPrompt(hidden=data["sam.hidden"]), 2)
        values[kind] = tracked.stack("logits")
        values[kind].sum().backward()
        layer = "memory_attention.layers.0"
        queries[kind] = model.get_parameter(f"{layer}.self_attn.q_proj.weight").grad
        key = model.get_parameter(f"{layer}.cross_attn_image.k_proj.weight").grad
        assert key is not None
        keys[kind] = key
    assert torch.equal(values["published"], values["corrected"])
    assert queries["published"] is None
    assert queries["corrected"] is not None and queries["corrected"].any()
    assert keys["published"].any(), "pointer tokens are not rotated and keep their gradient"
    assert not torch.allclose(keys["published"], keys["corrected"])


def test_names_and_shapes_of_the_published_size(golden_dir: Path) -> None:
    listed = json.loads((golden_dir / "published_3b_tensors.json").read_text())["tensors"]
    with torch.device("meta"):
        model = Sam2(Sam2Config.preset("configs/sam2.1_hiera_b+"))
    ours = {f"{PREFIX}{name}": list(value.shape) for name, value in model.state_dict().items()}
    assert ours == {name: list(shape) for name, shape in listed.items() if name.startswith(PREFIX)}


def test_prompt_tokens_equal_another_implementation() -> None:
    from transformers.models.sam2.configuration_sam2 import Sam2PromptEncoderConfig
    from transformers.models.sam2.modeling_sam2 import Sam2PromptEncoder

    torch.manual_seed(0)
    theirs = Sam2PromptEncoder(Sam2PromptEncoderConfig(hidden_size=32, image_size=64, patch_size=16))
    ours = PromptEncoder(channels=32, image_size=64)
    names = dict.fromkeys(ours.state_dict())
    source = theirs.state_dict()
    convolutions = [name for name in names if name.startswith("mask_downscaling")]
    parts = ("conv1", "layer_norm1", "conv2", "layer_norm2", "conv3")
    renamed = [f"mask_embed.{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    weights = {name: source[other] for name, other in zip(convolutions, renamed, strict=True)}
    for index in range(4):
        weights[f"point_embeddings.{index}.weight"] = source["point_embed.weight"][index : index + 1]
    weights["pe_layer.positional_encoding_gaussian_matrix"] = source["shared_embedding.positional_embedding"]
    weights |= {name: source[name] for name in ("not_a_point_embed.weight", "no_mask_embed.weight")}
    ours.load_state_dict(weights, strict=True)

    points, labels = torch.rand(3, 5, 2) * 63, torch.tensor([[1, 0, 2, 3, -1]]).expand(3, -1)
    masks = torch.randn(3, 1, 16, 16)
    boxes = torch.tensor([[[4.0, 5.0, 40.0, 50.0]]])
    sparse, dense = theirs(points[:, None], labels[:, None], None, masks)
    assert difference(ours.encode_points(points, labels, pad=True), sparse[:, 0]) < 1e-5
    assert difference(ours.encode_points(points, labels, pad=False), sparse[:, 0, :-1]) < 1e-5
    assert difference(ours.encode_masks(masks), dense) < 1e-5
    corners, nothing = theirs(None, None, boxes, None)
    box = ours.encode_points(boxes.view(1, 2, 2), torch.tensor([[2, 3]]), pad=True)
    assert difference(box, corners[:, 0]) < 1e-5
    assert difference(ours.no_mask_dense(), nothing) == 0


# ---- what the tracker promises ----


@torch.no_grad()
def test_objects_together_equal_one_by_one(sam2: Sam2) -> None:
    data = case("video_seg")
    features = frames_of(sam2.encode(data["in.frames.0"]))
    together = track(sam2, features, MaskPrompt(hidden=data["sam.hidden"]), len(features))
    for index, hidden in enumerate(data["sam.hidden"].split(1)):
        alone = track(sam2, features, MaskPrompt(hidden=hidden), len(features))
        for field in ("candidates", "pointer", "memory", "conditioned"):
            assert difference(together.stack(field)[index : index + 1], alone.stack(field)) < 1e-4


@torch.no_grad()
def test_objects_of_two_clips_in_one_batch_equal_each_clip_alone(sam2: Sam2) -> None:
    clips = [case("video_seg"), case("ref_mix_seg")]
    encoded = [sam2.encode(clip["in.frames.0"][:4]) for clip in clips]
    every = sam2.encode(torch.cat([clip["in.frames.0"][:4] for clip in clips]))
    of_object = torch.tensor([0, 1, 1])  # clip of each object
    hidden = torch.cat([clips[0]["sam.hidden"][:1], clips[1]["sam.hidden"]])
    mixed = [every.select(of_object * 4 + index) for index in range(4)]
    batch = track(sam2, mixed, MaskPrompt(hidden=hidden), 4)
    for clip, rows in enumerate((slice(0, 1), slice(1, 3))):
        alone = track(sam2, frames_of(encoded[clip]), MaskPrompt(hidden=hidden[rows]), 4)
        for field in ("candidates", "ious", "object_score", "memory"):
            assert difference(batch.stack(field)[rows], alone.stack(field)) < 1e-4


@torch.no_grad()
def test_state_stays_small_on_a_long_stream(small: Sam2) -> None:
    tracker, frame = MaskTracker(small), small.encode(torch.randn(1, 3, 64, 64))
    state, sizes = tracker.start(None), []
    for index in range(61):
        _, state = tracker.step(
            state, frame, MaskPrompt(hidden=torch.zeros(2, 2, 32)) if index == 0 else None
        )
        sizes.append(state.nbytes)
    assert sizes[20] == sizes[60] > sizes[2]
    assert (len(state.conditioning), len(state.recent), len(state.pointers)) == (1, 6, 15)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["hidden", "points", "mask"])
def test_a_look_sees_what_a_first_step_sees_and_encodes_no_memory(
    small: Sam2, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tracker, frame = MaskTracker(small), small.encode(torch.randn(1, 3, 64, 64))
    prompt = {
        "hidden": MaskPrompt(hidden=torch.randn(2, 2, 32)),
        "points": MaskPrompt(points=torch.rand(2, 1, 2) * 64, labels=torch.ones(2, 1)),
        "mask": MaskPrompt(mask=torch.ones(2, 1, 64, 64)),
    }[kind]
    stepped, _ = tracker.step(tracker.start(5, 1, 3), frame, prompt)
    monkeypatch.delattr(MaskTracker, "_memorise")
    seen = tracker.look(frame, prompt)
    for field in ("logits", "candidates", "ious", "object_score"):
        assert torch.equal(getattr(seen, field), getattr(stepped, field))


@torch.no_grad()
def test_a_step_leaves_its_state_as_it_was(small: Sam2) -> None:
    tracker, frame = MaskTracker(small), small.encode(torch.randn(1, 3, 64, 64))
    _, state = tracker.step(tracker.start(4), frame, MaskPrompt(hidden=torch.ones(1, 2, 32)))
    first, _ = tracker.step(state, frame)
    again, _ = tracker.step(state, frame)
    assert torch.equal(first.logits, again.logits) and state.frame == 1


@torch.no_grad()
def test_backward_tracking_is_forward_tracking_of_the_reversed_clip(sam2: Sam2) -> None:
    data = case("video_seg")
    features = frames_of(sam2.encode(data["in.frames.0"]))[::-1]
    prompt = MaskPrompt(hidden=data["sam.hidden"])
    backward = track(sam2, features, prompt, len(features), direction=-1)
    forward = track(sam2, features, prompt, len(features))
    assert torch.equal(backward.stack("logits"), forward.stack("logits"))
    assert backward.state.frame == -1 and backward.state.recent[-1].frame == 0


@torch.no_grad()
def test_a_stream_of_unknown_length_equals_a_clip_of_sixteen_or_more(sam2: Sam2) -> None:
    data = case("video_seg_long")
    features = frames_of(sam2.encode(data["in.frames.0"]))[:5]
    prompt = MaskPrompt(hidden=data["sam.hidden"])
    stream = track(sam2, features, prompt, None).stack("conditioned")
    assert torch.equal(stream, track(sam2, features, prompt, 18).stack("conditioned"))
    assert not torch.equal(stream, track(sam2, features, prompt, 5).stack("conditioned"))


@torch.no_grad()
def test_absent_objects_are_hidden_only_when_asked(sam2: Sam2) -> None:
    data = case("ref_mix_seg")
    features = frames_of(sam2.encode(data["in.frames.0"]))
    prompt = MaskPrompt(hidden=data["sam.hidden"])
    hidden = track(sam2, features, prompt, len(features))
    absent = hidden.stack("object_score") <= 0
    assert absent.any() and (hidden.stack("logits")[absent] == -1024).all()
    shown = track(sam2, features, prompt, len(features), hide_absent=False)
    absent = shown.stack("object_score") <= 0
    assert shown.stack("logits").min() > -1024
    assert absent.any() and (shown.stack("pointer")[absent] == sam2.no_obj_ptr).all()


@torch.no_grad()
def test_a_given_mask_is_the_answer(sam2: Sam2) -> None:
    data = case("video_seg")
    features = sam2.encode(data["in.frames.0"][:2])
    mask = torch.zeros(2, 1, 128, 128)
    mask[0, :, 32:96, 16:80] = 1  # the second object is not in the frame
    tracker = MaskTracker(sam2)
    answer, state = tracker.step(tracker.start(2), features[0], MaskPrompt(mask=mask))
    assert torch.equal(answer.logits > 0, mask[:, 0, ::4, ::4] > 0)
    assert answer.object_score.tolist() == [10.0, -10.0]
    assert difference(answer.pointer[1:], sam2.no_obj_ptr) == 0
    following, _ = tracker.step(state, features[1])
    assert following.conditioned.shape[0] == 2


@torch.no_grad()
def test_points_and_corrections(sam2: Sam2) -> None:
    data = case("video_seg")
    features = sam2.encode(data["in.frames.0"][:2])
    points, labels = torch.tensor([[[60.0, 60.0]], [[10.0, 90.0]]]), torch.ones(2, 1, dtype=torch.long)
    tracker = MaskTracker(sam2)
    click = MaskPrompt(points=points, labels=labels)
    clicked, state = tracker.step(tracker.start(2), features[0], click, hide_absent=False)
    again, _ = tracker.step(tracker.start(2), features[0], click, hide_absent=False)
    assert torch.equal(clicked.logits, again.logits)
    assert difference(clicked.conditioned, features[0].top + sam2.no_mem_embed.view(1, -1, 1, 1)) == 0
    tracked, _ = tracker.step(state, features[1], hide_absent=False)
    correction = MaskPrompt(points=points, labels=labels - 1, previous=tracked.logits[:, None])
    corrected, after = tracker.step(state, features[1], correction, hide_absent=False)
    assert torch.equal(corrected.conditioned, tracked.conditioned), "a correction reads the memory"
    assert difference(corrected.logits, tracked.logits) > 0.01
    assert [memory.frame for memory in after.conditioning] == [0, 1]
    opposite = MaskPrompt(points=points, labels=labels - 1)
    negative, _ = tracker.step(tracker.start(2), features[0], opposite, hide_absent=False)
    assert difference(negative.logits, clicked.logits) > 0.01


@torch.no_grad()
def test_a_clip_of_one_frame(small: Sam2) -> None:
    frame, prompt = small.encode(torch.randn(1, 3, 64, 64)), MaskPrompt(hidden=torch.ones(1, 2, 32))
    tracker = MaskTracker(small)
    answer, state = tracker.step(tracker.start(1), frame, prompt)
    assert answer.logits.isfinite().all()
    refined = MaskPrompt(hidden=torch.ones(1, 2, 32), previous=answer.logits[:, None])
    again, _ = tracker.step(replace(state, frame=0), frame, refined)
    assert again.logits.isfinite().all()


def test_every_tensor_follows_the_device_and_tables_keep_their_precision() -> None:
    model = Sam2(small_config())
    model.half()
    assert model.memory_attention.rotation.value.dtype == torch.float32
    model.float().to("meta")
    features = model.encode(torch.zeros(2, 3, 64, 64, device="meta"))
    prompt = MaskPrompt(
        points=torch.zeros(2, 1, 2, device="meta"), labels=torch.zeros(2, 1, dtype=torch.long, device="meta")
    )
    tracked = track(model, frames_of(features), prompt, 2)
    assert tracked.stack("logits").device.type == "meta"


def test_bfloat16_runs(small: Sam2) -> None:
    model = Sam2(small_config())
    model.load_state_dict(small.state_dict())
    model.bfloat16()
    features = model.encode(torch.randn(2, 3, 64, 64, dtype=torch.bfloat16))
    tracked = track(model, frames_of(features), MaskPrompt(hidden=torch.ones(1, 2, 32)), 2)
    assert tracked.stack("logits").dtype == torch.bfloat16
    assert tracked.stack("logits").float().isfinite().all()


@torch.no_grad()
def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    config = small_config()
    trunk_only = Sam2(replace(config, hiera=replace(config.hiera, drop_path_rate=0.9)))
    frames = torch.randn(1, 3, 64, 64).expand(8, -1, -1, -1)
    assert not torch.equal(*trunk_only.train().encode(frames).top.split(4))
    first, second = trunk_only.eval().encode(frames).top.split(4)
    assert torch.allclose(first, second, atol=1e-5)

    memory_only = Sam2(replace(config, memory_attention=replace(config.memory_attention, dropout=0.5)))
    features, prompt = frames_of(memory_only.encode(frames[:2])), MaskPrompt(hidden=torch.ones(1, 2, 32))
    runs = [track(memory_only.train(mode), features, prompt, 2) for mode in (True, True, False, False)]
    noisy, noisy_again, calm, calm_again = (run.stack("conditioned")[:, 1] for run in runs)
    assert not torch.equal(noisy, noisy_again) and torch.equal(calm, calm_again)


# ---- what is refused ----


def test_presets_and_their_names() -> None:
    assert Sam2Config.preset("b+") == Sam2Config.preset("sam2.1_hiera_b+", 768)
    assert Sam2Config.preset("configs/sam2.1_hiera_l.yaml").hiera.window_spec == (8, 4, 16, 8)
    assert Sam2Config.preset("t").memory_attention.dropout == 0.1
    with pytest.raises(ConfigError, match="closest is 'b\\+'"):
        Sam2Config.preset("sam2.1_hiera_b")
    with pytest.raises(ConfigError, match="multiple of 32, for example 768"):
        Sam2Config.preset("t", image_size=770)


def test_architecture_round_trip_and_refusals() -> None:
    config = golden_config()
    assert config.hiera.window_spec == (8, 4, 14, 7)
    written = json.loads(json.dumps(config.to_architecture()))
    assert Sam2Config.from_architecture(written) == config
    written["fpn"]["scalp"] = 0
    with pytest.raises(ConfigError, match=r"fpn\.scalp is 0, this model has 1"):
        Sam2Config.from_architecture(written)
    trunk = dict(written["hiera"])
    for wrong in ({"window_pos_embed_bkg_spatial_size": [7]}, {"num_heads": 0}, {"embed_dim": "abc"}):
        written["hiera"] = trunk | wrong
        with pytest.raises(ConfigError, match="of a wrong kind"):
            Sam2Config.from_architecture(written)
    del written["hiera"]
    with pytest.raises(ConfigError, match="lacks a size"):
        Sam2Config.from_architecture(written)


def test_wrong_use_is_refused_with_a_way_out(small: Sam2) -> None:
    tracker = MaskTracker(small)
    with pytest.raises(MediaError, match=r"\(1, 3, 32, 32\); expected \(frames, 3, 64, 64\)"):
        small.encode(torch.zeros(1, 3, 32, 32))
    frames = small.encode(torch.zeros(2, 3, 64, 64))
    prompt = MaskPrompt(hidden=torch.zeros(3, 2, 32))
    with pytest.raises(RequestError, match="give a MaskPrompt"):
        tracker.step(tracker.start(2), frames[0])
    with pytest.raises(RequestError, match="2 frames and 3 prompted objects"):
        tracker.step(tracker.start(2), frames, prompt)
    _, state = tracker.step(tracker.start(1), frames[0], prompt)
    with pytest.raises(RequestError, match="outside the clip of 1 frames"):
        tracker.step(state, frames[1])
    with pytest.raises(RequestError, match="direction is 0"):
        tracker.start(2, direction=0)
    with pytest.raises(PromptError, match="expected parts that agree"):
        MaskPrompt()
    with pytest.raises(PromptError, match="expected parts that agree"):
        MaskPrompt(hidden=torch.zeros(2, 2, 32), mask=torch.zeros(1, 1, 64, 64))
    with pytest.raises(PromptError, match="points have shape"):
        MaskPrompt(points=torch.zeros(1, 2, 2), labels=torch.zeros(1, 3))
    with pytest.raises(IndexError):
        frames[2]
