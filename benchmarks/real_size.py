"""What models of the published sizes cost here: random weights of the shapes of UniPixel-3B and -7B.

    python benchmarks/real_size.py --dry-run                          # sizes only, nothing is built
    python benchmarks/real_size.py --size 3b                          # all of it: for a GPU, or much patience
    python benchmarks/real_size.py --parts track --objects 1 --frames 2 --tower-blocks 1 --decoder-layers 1
    python benchmarks/real_size.py --parts tower,language --frames 2 --decoder-layers 1    # what fits on a
    CPU

Parts: `track` (frames/s while objects are followed through a clip of 768 px, image encoder included), `tower`
(one pass of the visual tower), `language` (reading and writing), `first` (from the question about a new clip
to its first mask). With fewer layers than the model has, the table says so: such numbers are of parts. The
tokenizer is that of `unipixel-tiny`; the vocabulary has its real size. Frames are shown to the language model
with the budget of a clip of 16.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import torch
from common import random_clip
from torch import nn

from unipixel.core import tokens as control
from unipixel.core.conversation import user
from unipixel.core.media import Clip
from unipixel.core.request import Decoding, PixelBudget, Request
from unipixel.inference.session import Session
from unipixel.inference.tracking import track
from unipixel.loading import choose_device, choose_dtype, empty_model
from unipixel.model.checkpoint import build_backbone
from unipixel.model.compiling import compile_parts
from unipixel.model.config import ModelConfig
from unipixel.model.generate import read_prefix
from unipixel.model.inputs import Inputs
from unipixel.model.presets import PUBLISHED_SIZES, PublishedSize, published_config
from unipixel.model.quantise import quantise_language
from unipixel.model.unipixel import UniPixel
from unipixel.predictor import Predictor
from unipixel.processing.processor import Processor
from unipixel.training.tiny.model import VOCABULARY, make_tokenizer

PARTS = ("track", "tower", "language", "first")
PIXELS = PixelBudget(shared_frames=None)
WORDS_BEFORE_MASK = 8
"""Tokens of an answer up to its first `<|seg|>`."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    part: str
    what: str
    figure: str


# Sizes -----------------------------------------------------------------------------------------------------


def count_parts(size: PublishedSize) -> dict[str, int]:
    """Parameters of each part; a tied vocabulary counts once. Takes no memory for them."""
    config = published_config(size)
    with torch.device("meta"):
        model = UniPixel(config, build_backbone(config))
    backbone, sam2 = model.backbone, model.sam2
    encoder = count(sam2.image_encoder)
    return {
        "visual tower": count(backbone.visual),
        "decoder layers": count(backbone.text.layers),
        "vocabulary": count(nn.ModuleList([backbone.text.embed_tokens, backbone.head])),
        "object memory and prompts": count(model.object_memory) + count(model.object_prompt),
        "<|seg|> head": count(model.seg_head),
        "image encoder": encoder,
        "mask decoder and memory": count(sam2) - encoder,
    }


def count(module: object) -> int:
    assert isinstance(module, nn.Module)
    return sum(parameter.numel() for parameter in module.parameters())


def print_sizes(size: PublishedSize) -> None:
    print(f"UniPixel-{size.upper()}\n")
    print("| part | parameters, M | float32, GB | bfloat16, GB | and int8, GB |")
    print("|---|---|---|---|---|")
    sizes = count_parts(size)
    small = {name: (1 if name == "decoder layers" else 2) * number for name, number in sizes.items()}
    rows = [(name, number, small[name]) for name, number in sizes.items()]
    for name, number, least in [*rows, ("all", sum(sizes.values()), sum(small.values()))]:
        print(
            f"| {name} | {number / 1e6:.1f} | {number * 4e-9:.2f} | {number * 2e-9:.2f} | "
            f"{least * 1e-9:.2f} |"
        )
    text = published_config(size).backbone_config["text_config"]
    width = text["hidden_size"] // text["num_attention_heads"] * text["num_key_value_heads"]
    print(
        f"\nkeys and values: {2 * text['num_hidden_layers'] * width * 2 / 1e3:.1f} kB a token in bfloat16\n"
    )


# Building --------------------------------------------------------------------------------------------------


def make_config(size: PublishedSize, decoder_layers: int, tower_blocks: int) -> ModelConfig:
    """The published configuration with the small tokenizer's ids, and fewer layers unless these are 0."""
    tokenizer, config = make_tokenizer(), published_config(size)
    ids, content = tokenizer.ids(), dict(config.backbone_config)
    text, vision = dict(content["text_config"]), dict(content["vision_config"])
    text |= {"bos_token_id": None, "eos_token_id": ids.turn_end}
    text["num_hidden_layers"] = decoder_layers or text["num_hidden_layers"]
    vision["depth"] = tower_blocks or vision["depth"]
    content |= {
        "text_config": text,
        "vision_config": vision,
        "image_token_id": ids.image,
        "video_token_id": ids.video,
        "vision_start_token_id": tokenizer.id(control.VISION_START),
        "vision_end_token_id": tokenizer.id(control.VISION_END),
    }
    return replace(config, backbone_config=content, tokens=ids)


def make_predictor(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Predictor:
    """Random weights that stay in a sane range. It never writes `<|seg|>`, the end of a turn or a word that
    its tokenizer lacks by itself: their logits are 0, and the largest of a thousand random ones is not."""
    model = empty_model(config, dtype).to(device).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            bound = weight[0].numel() ** -0.5
            weight.uniform_(-bound, bound)
        else:
            weight.fill_(1 if name.endswith("weight") else 0)
    for name, table in model.named_buffers():
        if name in model.state_dict():  # random matrices of positions
            table.normal_()
    head = model.backbone.head.weight
    head[VOCABULARY:] = 0
    head[[config.tokens.seg, *config.tokens.stops]] = 0
    return Predictor(model, Processor(config, make_tokenizer()))


# Measuring -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """A model and the clip that it is measured on. repeats: of every measurement; with more than one the
    first only warms up, and the middle of the others counts."""

    predictor: Predictor
    clip: Clip
    repeats: int

    @property
    def model(self) -> UniPixel:
        return self.predictor.model

    def seconds(self, work: Callable[[], object]) -> float:
        """How long it takes, until the device has finished."""
        taken = []
        for _ in range(self.repeats):
            start = time.perf_counter()
            with torch.inference_mode():
                work()
            self._wait()
            taken.append(time.perf_counter() - start)
        return median(taken[1:] or taken)

    def _wait(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)

    def session(self) -> Session:
        return self.predictor.session(self.clip, pixels=PIXELS, keep_bytes=0)

    def track(self, objects: list[int]) -> Iterator[Row]:
        """Frames a second with so many objects, which the language model asked for."""
        model = self.model
        width, frames = model.config.sam2.d_model, self.clip.num_frames
        for number in objects:
            said = torch.randn(number, model.config.hidden_tokens, width).to(model.device, model.dtype)
            taken = self.seconds(lambda said=said: track(model, self.clip, said))
            yield Row("track", f"{number} objects, {frames} frames", f"{frames / taken:.2f} frames/s")

    def tower(self) -> Iterator[Row]:
        """One pass over what the language model is shown of the clip."""
        view = self._inputs().view
        taken = self.seconds(lambda: self.model.backbone.see(view))
        yield Row("tower", f"{len(view.patches)} patches", f"{taken:.2f} s")

    def language(self, words: int) -> Iterator[Row]:
        """Reading the clip and its question, tower included; then writing."""
        inputs = self._inputs()
        taken = self.seconds(lambda: read_prefix(self.model, inputs))
        yield Row("language", f"reads {inputs.token_ids.shape[1]} tokens, tower included", f"{taken:.2f} s")
        with self.session() as session:
            session.ask("What is there?", decoding=Decoding(max_new_tokens=1))  # reads the clip
            one, many = (self._write(session, number) for number in (1, words))
        yield Row("language", f"writes {words} tokens", f"{(words - 1) / max(many - one, 1e-9):.2f} tokens/s")

    def _write(self, session: Session, words: int) -> float:
        return self.seconds(lambda: session.ask("What is there?", decoding=Decoding(max_new_tokens=words)))

    def first(self) -> Iterator[Row]:
        """From opening a session to the first mask, behind an answer of a few words."""
        heard: list[float] = []
        decoding = Decoding(max_new_tokens=WORDS_BEFORE_MASK, require_mask=True)

        def ask() -> None:
            start, known = time.perf_counter(), len(heard)

            def hear(_: object) -> None:
                if len(heard) == known:
                    heard.append(time.perf_counter() - start)

            with self.predictor.session(self.clip, pixels=PIXELS, keep_bytes=0, on_progress=hear) as session:
                session.ask("Please segment the red circle in this video.", decoding=decoding)

        self.seconds(ask)
        what = f"mask behind {WORDS_BEFORE_MASK} tokens, {self.clip.num_frames} frames shown"
        yield Row("first", what, f"{median(heard[1:] or heard):.2f} s")

    def _inputs(self) -> Inputs:
        request = Request(self.clip, (user("What is there?"),), pixels=PIXELS)
        return self.predictor.processor.prepare(request).inputs.to(self.model.device, self.model.dtype)


def peak_bytes(device: torch.device) -> int:
    """The most memory held so far: of the device, elsewhere of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(bench: Bench, parts: list[str], objects: list[int], words: int) -> Iterator[Row]:
    rows: dict[str, Callable[[], Iterator[Row]]] = {
        "track": lambda: bench.track(objects),
        "tower": bench.tower,
        "language": lambda: bench.language(words),
        "first": bench.first,
    }
    for part in parts:
        yield from rows[part]()
    peak = peak_bytes(bench.model.device)
    yield Row("all", "peak memory", f"{peak / 1e9:.2f} GB")


# Command ---------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What models of the published sizes cost here.")
    parser.add_argument("--size", choices=PUBLISHED_SIZES, default="3b")
    parser.add_argument("--dry-run", action="store_true", help="sizes of both only; builds nothing")
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="auto: bfloat16 on cuda, else float32")
    parser.add_argument("--objects", default="1,4,16", help="numbers of objects, separated by commas")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--words", type=int, default=32, help="tokens that are written, 2 or more")
    parser.add_argument("--decoder-layers", type=int, default=0, help="0: all")
    parser.add_argument("--tower-blocks", type=int, default=0, help="0: all")
    parser.add_argument("--repeats", type=int, default=0, help="0: 3 on cuda, else 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--int8", action="store_true", help="the decoder's weights in 8 bits")
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    unknown = set(given.parts.split(",")) - set(PARTS)
    if unknown or given.words < 2:
        parser.error(f"parts are {', '.join(PARTS)}, words 2 or more; found {given.parts}, {given.words}")
    return given


def describe(given: argparse.Namespace, config: ModelConfig, bench: Bench) -> str:
    """What was run, and what was not."""
    whole, here = published_config(given.size).backbone_config, config.backbone_config
    layers = f"{here['text_config']['num_hidden_layers']} of {whole['text_config']['num_hidden_layers']}"
    blocks = f"{here['vision_config']['depth']} of {whole['vision_config']['depth']}"
    extra = "".join(f", {name}" for name in ("int8", "compile") if getattr(given, name))
    kind = str(bench.model.dtype).removeprefix("torch.")
    left = [part for part in PARTS if part not in given.parts.split(",")]
    place = f"{kind}{extra} on {bench.model.device}, {given.threads} threads"
    return (
        f"{given.size.upper()}, {place}: {layers} decoder layers, {blocks} tower blocks, Hiera B+ at "
        f"{config.sam2.image_size} px; parts run: {given.parts}; left out: {', '.join(left) or 'none'}\n\n"
        "| part | what | |\n|---|---|---|"
    )


def main() -> None:
    given = arguments()
    if given.dry_run:
        for size in PUBLISHED_SIZES:
            print_sizes(size)
        return
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    device = choose_device(given.device)
    config = make_config(given.size, given.decoder_layers, given.tower_blocks)
    predictor = make_predictor(config, device, choose_dtype(given.dtype, device))
    if given.int8:
        quantise_language(predictor.model, device)
    if given.compile:
        compile_parts(predictor.model)
    repeats = given.repeats or (3 if device.type == "cuda" else 1)
    bench = Bench(predictor, random_clip(given.frames, config.sam2.image_size), repeats)
    print(describe(given, config, bench))
    objects = [int(number) for number in given.objects.split(",")]
    for row in measure(bench, given.parts.split(","), objects, given.words):
        print(f"| {row.part} | {row.what} | {row.figure} |", flush=True)


if __name__ == "__main__":
    main()
