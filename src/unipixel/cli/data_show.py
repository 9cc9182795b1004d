"""`unipixel data show`: one sample, what the model sees of it, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unipixel.cli.data_target import Root, Split, Target, open_target, printable
from unipixel.cli.terminal import manners, note

if TYPE_CHECKING:
    from unipixel.core.frames import Frame
    from unipixel.core.media import Clip
    from unipixel.core.prompts import SlotPrompt
    from unipixel.data.conversations import Conversation
    from unipixel.data.sample import Sample
    from unipixel.processing.processor import Processor
    from unipixel.training.examples import Supervised

SHOWN = 4
"""Frames that are drawn side by side."""


class Reading(StrEnum):
    """Choices between a sample and a conversation (`data.policy`)."""

    CORRECTED = "corrected"
    PUBLISHED = "published"


def show(
    target: Target,
    index: Annotated[int, typer.Argument(metavar="INDEX", help="Which sample, from 0.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.png", help="Draw frames with masks here.")
    ] = None,
    root: Root = None,
    split: Split = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="Whose tokens are counted.")
    ] = "unipixel-tiny",
    policy: Annotated[Reading, typer.Option(help="How samples become conversations.")] = Reading.CORRECTED,
    seed: Annotated[
        int, typer.Option(min=0, help="Of what training draws: another seed, another visit.")
    ] = 0,
) -> None:
    """One sample: what is said, what the model sees and learns, and with -o frames with masks and prompts."""
    with manners():
        from unipixel.errors import ConfigError, SampleUnusable

        data = open_target(target, root, split)
        if not 0 <= index < len(data):
            raise ConfigError(f"{target} has samples 0 to {len(data) - 1}; found {index}")
        sample = data[index]
        typer.echo(_as_text(sample))
        conversation = None
        try:
            conversation = _visit(sample, model, policy, seed)
        except SampleUnusable as error:
            typer.echo(f"training ({policy}) takes another sample: {printable(str(error))}")
        if output is not None:
            _draw(sample, conversation, output)


def _as_text(sample: Sample) -> str:
    from unipixel.data.overview import texts
    from unipixel.data.sample import Caption, Expression

    media = "nothing" if sample.media is None else f"{sample.media.vid}, {_extent(sample)}"
    ids = ", ".join(f"[{id}]" for id in sample.object_ids) or "none"
    lines = [f"{sample.id} ({sample.task})", f"media: {media}", f"objects: {ids}"]
    for said in sample.rounds:
        question, answer = texts(said)
        places = said.objects if isinstance(said, Expression) else ()
        pointed = (said.object,) if isinstance(said, Caption) else ()
        marks = " + ".join(f"[{sample.object_ids[place]}]" for place in places)
        about = "".join(f" [{sample.object_ids[place]}]" for place in pointed)
        lines += [
            f"user: {question}{about}",
            f"assistant: {answer}{' ' if answer and marks else ''}{_mask(marks)}",
        ]
    return "\n".join(map(printable, lines))


def _mask(marks: str) -> str:
    return f"<mask of {marks}>" if marks else ""


def _extent(sample: Sample) -> str:
    assert sample.media is not None, "asked only for samples that show something"
    total = sample.media.num_frames
    size = "a video" if total is None else "a picture" if total == 1 else f"{total} frames"
    return size if sample.annotated is None else f"{size}, {len(sample.annotated)} of them annotated"


# What the model sees


def _visit(sample: Sample, model: str, reading: Reading, seed: int) -> Conversation:
    """Print the conversation that training makes of a sample, and return it."""
    from dataclasses import replace

    import numpy as np

    from unipixel.data.conversations import converse
    from unipixel.data.policy import CORRECTED, PUBLISHED
    from unipixel.training.examples import supervise

    processor = _processor(model)
    policy = {Reading.CORRECTED: CORRECTED, Reading.PUBLISHED: PUBLISHED}[reading]
    side = processor.config.sam2.image_size
    policy = replace(policy, pointers=replace(policy.pointers, side=side))
    conversation = converse(sample, np.random.default_rng(seed), policy)
    supervised = supervise(conversation, processor, policy)
    typer.echo(f"\nas {model} sees it ({reading}, seed {seed}):")
    typer.echo("\n".join(_seen(conversation, supervised, processor)))
    return conversation


def _processor(model: str) -> Processor:
    """What prepares a model's inputs; its weights stay closed."""
    from unipixel.hub import find_checkpoint
    from unipixel.model.checkpoint import read_config
    from unipixel.processing.processor import Processor
    from unipixel.processing.tokenizer import Tokenizer

    folder = find_checkpoint(model)
    tokenizer = Tokenizer.open(folder)
    return Processor(read_config(folder, tokenizer.ids()), tokenizer)


def _seen(conversation: Conversation, supervised: Supervised, processor: Processor) -> list[str]:
    """Kind and frames, the text with its slots, token counts."""
    tokens, frames = processor.config.tokens, ", ".join(map(str, conversation.frames))
    ids = supervised.inputs.token_ids[0].tolist()
    learned = [token for token in supervised.targets.labels[0].tolist() if token >= 0]
    counts = {
        "of frames": sum(token in (tokens.video, tokens.image) for token in ids),
        "<|mem|>": ids.count(tokens.mem),
        "<|ref|>": ids.count(tokens.ref),
        "<|seg|>": ids.count(tokens.seg),
        "learned": len(learned),
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    shown = f"; frames {frames}" if frames else ""
    text = _written(ids, processor).removesuffix("\n").split("\n")
    return [
        f"kind: {conversation.kind}{shown}",
        *(f"  {printable(line)}" for line in text),
        f"tokens: {len(ids)} ({told})",
    ]


def _written(ids: Sequence[int], processor: Processor) -> str:
    """The text of tokens; a row of places for frames is one, with its length."""
    tokens, tokenizer = processor.config.tokens, processor.tokenizer
    pieces = []
    for pad, row in groupby(ids, lambda token: token if token in (tokens.video, tokens.image) else None):
        run = list(row)
        text = tokenizer.decode(run[:1] if pad is not None else run, keep_control=True)
        pieces.append(f"{text} x {len(run)} " if pad is not None else text)
    return "".join(pieces)


# The picture


def _draw(sample: Sample, conversation: Conversation | None, output: Path) -> None:
    from unipixel.core.writing import write_picture
    from unipixel.errors import ConfigError

    if sample.media is None:
        raise ConfigError(f"{sample.id} shows nothing that could be drawn; leave out -o")
    clip = sample.media.open()
    if conversation is None:
        prompts = [prompt for pointers in sample.pointers for prompt in pointers]
        known = list(range(clip.num_frames)) if sample.annotated is None else list(sample.annotated)
    else:
        prompts = [prompt for turn in conversation.turns for prompt in turn.prompts]
        known = list(conversation.frames)
    frames = _chosen_frames(known, prompts)
    write_picture(output, _strip(sample, clip, frames, prompts))
    note(f"written to {output}: {', '.join(f'frame {frame}' for frame in frames)}")


def _chosen_frames(known: Sequence[int], prompts: Sequence[SlotPrompt]) -> list[int]:
    """A few of the frames from the first to the last, those that are pointed at among them."""
    from unipixel.core.sampling import keep_frames, uniform_indices

    places = uniform_indices(len(known), min(SHOWN, len(known)))
    pointed = sorted({known.index(prompt.frame) for prompt in prompts if prompt.frame in known})[:SHOWN]
    return [known[place] for place in keep_frames(places, pointed)]


def _strip(sample: Sample, clip: Clip, frames: Sequence[int], prompts: Sequence[SlotPrompt]) -> Frame:
    """Frames side by side, with what is marked on them: uint8 [H, W * N, 3]."""
    import numpy as np

    from unipixel.core.prompts import Box
    from unipixel.output.draw import draw_prompts, overlay

    pictures, drawn = clip.read(frames), []
    for picture, frame in zip(pictures, frames, strict=True):
        here = [one for one in prompts if one.frame == frame]
        boxes = [(one.x1, one.y1, one.x2, one.y2) for one in here if isinstance(one, Box)]
        points = [(one.x, one.y, True) for one in here if not isinstance(one, Box)]
        masks = () if sample.masks is None else sample.masks.read([frame], clip.height, clip.width)[:, 0]
        shown = dict(zip(sample.object_ids, masks, strict=False))
        drawn.append(draw_prompts(overlay(picture, shown), points, boxes))
    return np.concatenate(drawn, axis=1)
