"""`unipixel ask`: one question about a picture or video."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from unipixel.cli.folder import output_folder
from unipixel.cli.mask_choices import (
    LanguageFrames,
    LanguageFramesName,
    PropagateWith,
    Split,
    Start,
    StartName,
    mask_options,
)
from unipixel.cli.opening import Compiled, DeviceName, DtypeName, LanguageForm, Opening, TrustCode
from unipixel.cli.prompts import FORMS, parse_prompt
from unipixel.cli.result import describe, masks_of, note_written, printable, write_result
from unipixel.cli.terminal import INTERRUPTED, ProgressLine, introduce, manners, note

if TYPE_CHECKING:
    from unipixel.core.masks import MaskTrack
    from unipixel.core.media import Clip
    from unipixel.core.prompts import Prompt
    from unipixel.core.request import Request
    from unipixel.core.response import Response
    from unipixel.predictor import Predictor

ORDER = "unipixel.prompt_order"


class PromptOrder(TyperCommand):
    """A command that remembers in which order prompts of different kinds stand on the command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note the kinds of the prompts in their order, then parse as usual."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[ORDER] = [parameter.name for parameter in given if parameter.name in FORMS]
        return super().parse_args(ctx, args)


def ask(
    ctx: typer.Context,
    media: Annotated[Path, typer.Argument(metavar="MEDIA", help="A picture, a video or a folder of frames.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The question; [0], [1], … name the prompts in their order.")
    ],
    point: Annotated[
        list[str] | None, typer.Option(metavar="X,Y[@FRAME]", help="A click, in pixels.")
    ] = None,
    box: Annotated[list[str] | None, typer.Option(metavar="X1,Y1,X2,Y2[@FRAME]", help="A box.")] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[@FRAME]", help="A picture of the clip's size, not black where the object is."
        ),
    ] = None,
    scribble: Annotated[
        list[str] | None, typer.Option(metavar="X,Y;X,Y…[@FRAME]", help="A stroke over the object.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A bundled name, a folder or a hub id.")
    ] = "unipixel-tiny",
    frames: Annotated[
        int | None, typer.Option(help="How many frames the language model sees (default: the model's own).")
    ] = None,
    device: DeviceName = "auto",
    dtype: DtypeName = "auto",
    trust_code: TrustCode = False,
    language: LanguageForm = "full",
    compiled: Compiled = False,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 512,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest word, above 0 draws.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Draw only from the likeliest words of this total.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End the answer where this text begins.")
    ] = None,
    require_mask: Annotated[
        bool, typer.Option("--require-mask", help="The answer holds at least one mask.")
    ] = False,
    start: StartName = Start.FIRST,
    propagate_with: PropagateWith = None,
    language_frames: LanguageFramesName = LanguageFrames.UNIFORM,
    split: Split = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write overlay, palette PNGs and masks.json here."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result in that folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask about a picture or video; get text and masks."""
    given = {"point": point or [], "box": box or [], "mask": mask or [], "scribble": scribble or []}
    with manners():
        from unipixel.core.media import Clip, check_sides
        from unipixel.core.question import ask_about
        from unipixel.core.request import Decoding
        from unipixel.core.sampling import check_kept
        from unipixel.hub import find_checkpoint

        decoding = Decoding(max_new_tokens, temperature, top_p, seed, stop or (), require_mask)
        prompts = _in_order(ctx.meta[ORDER], given)
        # Everything that can be checked without the model is checked here, before torch is imported.
        request = ask_about(Clip.open(media), text, prompts, num_frames=frames, decoding=decoding)
        check_sides(request.clip)
        if frames is not None:
            check_kept(request.keep_frames, frames)
        checkpoint = find_checkpoint(model)
        masks = mask_options(start, propagate_with, language_frames, split)
        with output_folder(output, overwrite=overwrite) if output else nullcontext() as folder:
            opened = Opening(device, dtype, trust_code, language, compiled, masks).open(checkpoint)
            introduce(opened, model)
            response = _answer(opened, request, text, prompts)
            if folder is not None:
                write_result(folder, request.clip, _tracks(response), _names(response))
        typer.echo(_as_json(request.clip, response, model) if as_json else _as_text(request.clip, response))
        if output is not None:
            note_written(output)
        if response.finish_reason == "interrupted":
            note("interrupted; these are the masks found so far")
            raise typer.Exit(INTERRUPTED)


def _answer(opened: Predictor, request: Request, text: str, prompts: Sequence[Prompt]) -> Response:
    """The answer, or what there is of it when it is interrupted."""
    from unipixel.inference.questions import AnswerInterrupted

    with (
        ProgressLine() as line,
        opened.session(
            request.clip, num_frames=request.num_frames, keep_bytes=0, on_progress=line.show
        ) as session,
    ):
        try:
            return session.ask(text, prompts, decoding=request.decoding)
        except AnswerInterrupted as stop:
            return stop.response


def _in_order(kinds: Sequence[str], given: dict[str, list[str]]) -> list[Prompt]:
    """Prompts in the order in which they were given; `kinds` tells whose turn it is."""
    queues = {kind: iter(texts) for kind, texts in given.items()}
    return [parse_prompt(kind, next(queues[kind])) for kind in kinds]


def _tracks(response: Response) -> dict[int, MaskTrack]:
    return {one.id: one.masks for one in response.objects}


def _names(response: Response) -> dict[int, str]:
    return {one.id: one.label for one in response.objects if one.name or one.part_of is not None}


def _as_json(clip: Clip, response: Response, model: str) -> str:
    parts = {str(one.id): one.part_of for one in response.objects if one.part_of is not None}
    document = {
        "text": response.text,
        **masks_of(clip, _tracks(response), _names(response)),
        **({"split_heuristic": parts} if parts else {}),
        "mentions": [asdict(mention) for mention in response.mentions],
        "frames_seen": list(response.frames_seen),
        "finish_reason": response.finish_reason,
        "model": model,
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _as_text(clip: Clip, response: Response) -> str:
    names = _names(response)
    objects = [describe(clip, one.id, names.get(one.id), one.masks) for one in response.objects]
    if any(one.part_of is not None for one in response.objects):
        objects.append("(parts are connected pieces of one mask, split by a heuristic)")
    return "\n".join([printable(response.text), *objects])
