"""What a further question costs: a session that has read the clip, or asking anew.

    python benchmarks/session.py [--frames 16] [--tokens 8] [--repeats 5] [--layers 12] [--width 512]
                                 [--preset t] [--side 256] [--threads 2]

Both answer the same question with the same random weights, in turns: the ratio means what was kept, nothing
else.
"""

from __future__ import annotations

import argparse

import torch
from common import (
    Timed,
    add_language_options,
    in_turns,
    make_predictor,
    random_clip,
    text_sizes,
    timed,
    vision_sizes,
)
from torch import Tensor

from unipixel.core.media import Clip
from unipixel.core.request import Decoding
from unipixel.inference.session import Session
from unipixel.model.generate import generate
from unipixel.model.sam2 import Sam2Config
from unipixel.predictor import Predictor

FIND = "Please segment what moves in this video."
QUESTION = "What happens in this video, and what happens after that?"
HEADER = """\
| question | s | frames encoded | patches seen | tokens through the language model | its own text and answer |
|---|---|---|---|---|---|"""


def row(name: str, run: Timed[str], own: int) -> str:
    counts = run.counts
    numbers = (counts.frames, counts.patches, counts.tokens, own)
    return f"| {name} | {run.seconds:.2f} | {' | '.join(str(number) for number in numbers)} |"


def logits_of(run: Timed[str]) -> Tensor:
    """[n, vocabulary] for the n tokens of the answer."""
    return torch.cat(run.counts.logits)


def in_one_piece(session: Session, text: str, decoding: Decoding) -> str:
    """The answer where clip and question are read together, without any prefix that was read before."""
    inputs = session.processor.prepare(session.question(text).request).inputs
    [answer] = generate(session.model, inputs, [decoding])
    return session.processor.tokenizer.decode(answer.token_ids, keep_control=True)


def own_tokens(session: Session, text: str, run: Timed[str]) -> int:
    """Tokens that a question costs at least: its text and its answer; the last one written is not read."""
    request = session.question(text).request
    prepared = session.processor.prepare_question(request, session.encoded.read_for(request).shown)
    return prepared.inputs.token_ids.shape[1] + len(run.counts.logits) - 1


def compare(predictor: Predictor, clip: Clip, decoding: Decoding, repeats: int) -> None:
    """A first question, which finds an object; a second one without masks; the same asked anew, and read in
    one piece."""
    finding = Decoding(max_new_tokens=decoding.max_new_tokens, require_mask=True)
    with predictor.session(clip) as session:
        first = timed(session.model, lambda: session.ask(FIND, decoding=finding).raw_text)
        second, anew, whole = in_turns(
            session.model,
            repeats,
            lambda: session.ask(QUESTION, decoding=decoding).raw_text,
            lambda: predictor.ask(clip, QUESTION, decoding=decoding).raw_text,
            lambda: in_one_piece(session, QUESTION, decoding),
        )
        print(HEADER)
        print(row("first, finds an object", first, own_tokens(session, FIND, first)))
        own = own_tokens(session, QUESTION, second)
        for name, run in (("second, without masks", second), ("asked anew", anew), ("in one pass", whole)):
            print(row(name, run, own))
    print(f"\nanew / second: {anew.seconds / second.seconds:.1f}")
    for name, other in (("anew", anew), ("one pass", whole)):
        same = "yes" if second.result == other.result else "no"
        difference = (logits_of(second) - logits_of(other)).abs().max()
        print(f"second and {name}: same text: {same}; largest difference of logits: {difference:.1e}")
    print(f"largest logit: {logits_of(second).abs().max():.1f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a further question costs.")
    parser.add_argument("--frames", type=int, default=16)
    add_language_options(parser, tokens=8, repeats=5)
    parser.add_argument("--preset", default="t", help="size of SAM 2.1: t, s, b+ or l")
    parser.add_argument(
        "--side", type=int, default=256, help="side of the clip and of the mask view in pixels"
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    predictor = make_predictor(
        Sam2Config.preset(given.preset, image_size=given.side),
        text_sizes(given.layers, given.width),
        vision_sizes(max(1, given.layers * 2 // 3), given.width // 2),
    )
    decoding = Decoding(max_new_tokens=given.tokens)
    predictor.ask(random_clip(2, given.side), QUESTION, decoding=decoding)  # warm up

    print(
        f"{given.layers} layers, width {given.width}, Hiera-{given.preset}, {given.side} px, {given.frames} "
        f"frames, answers of {given.tokens} tokens, {given.threads} threads, float32\n"
    )
    clip = random_clip(given.frames, given.side)
    compare(predictor, clip, decoding, given.repeats)


if __name__ == "__main__":
    main()
