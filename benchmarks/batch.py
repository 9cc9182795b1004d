"""What questions cost together: as one batch, or one after the other.

    python benchmarks/batch.py [--questions 8] [--tokens 64] [--repeats 3] [--frames 2] [--cells 16]
                               [--layers 12] [--width 512] [--threads 2]

Different questions about different clips, without masks. The same code answers both ways with the same random
weights, in turns: the ratio means the batch, nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import torch
from common import add_language_options, in_turns, make_predictor, random_clip, text_sizes, vision_sizes

from unipixel.core.conversation import user
from unipixel.core.request import TOKEN_PIXELS, Decoding, PixelBudget, Request
from unipixel.core.response import Response
from unipixel.inference.questions import Question, ask_together
from unipixel.inference.session import Session
from unipixel.model.sam2 import Sam2Config
from unipixel.predictor import Predictor

SIDE = 64
QUESTION = "What happens in this video, and what happens after that, and where, and why, and who is there?"
HEADER = """\
| asked | one by one, s | passes | together, s | passes | ratio | answers that differ |
|---|---|---|---|---|---|---|"""

Ask = Callable[[], list[Response]]


def row(name: str, predictor: Predictor, repeats: int, alone: Ask, together: Ask) -> str:
    """Both ways, in turns; passes: through the language model."""
    one, batch = in_turns(predictor.model, repeats, alone, together)
    different = sum(a.raw_text != b.raw_text for a, b in zip(one.result, batch.result, strict=True))
    return (
        f"| {name} | {one.seconds:.2f} | {one.counts.passes} | {batch.seconds:.2f} "
        f"| {batch.counts.passes} | {one.seconds / batch.seconds:.2f} | {different} |"
    )


def make_questions(count: int) -> list[str]:
    """Questions of different lengths."""
    words = QUESTION.split()
    return [" ".join(words[: 4 + 2 * number % len(words)]) for number in range(count)]


def compare_answers(predictor: Predictor, sessions: list[Session], given: argparse.Namespace) -> None:
    """Through `Predictor.answer`, which reads each clip anew, and through sessions that have read them."""
    texts = make_questions(len(sessions))
    decoding = Decoding(max_new_tokens=given.tokens)
    requests = [
        Request(session.clip, (user(text),), pixels=session.pixels, decoding=decoding)
        for session, text in zip(sessions, texts, strict=True)
    ]

    def questions() -> list[Question]:
        return [
            session.question(text, decoding=decoding) for session, text in zip(sessions, texts, strict=True)
        ]

    ask_together(questions())  # reads the clips
    print(HEADER)
    print(
        row(
            "clips read each time",
            predictor,
            given.repeats,
            lambda: [answer for request in requests for answer in predictor.answer([request])],
            lambda: predictor.answer(requests),
        )
    )
    print(
        row(
            "clips read before",
            predictor,
            given.repeats,
            lambda: [answer for question in questions() for answer in ask_together([question])],
            lambda: ask_together(questions()),
        )
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What questions cost together.")
    parser.add_argument("--questions", type=int, default=8)
    add_language_options(parser, tokens=64, repeats=3)
    parser.add_argument("--frames", type=int, default=2, help="of each clip")
    parser.add_argument("--cells", type=int, default=16, help="tokens for each frame of a clip")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    predictor = make_predictor(
        Sam2Config.preset("t", image_size=SIDE), text_sizes(given.layers, given.width), vision_sizes(1, 64)
    )
    pixels = PixelBudget(given.cells * TOKEN_PIXELS, given.cells * TOKEN_PIXELS, None)
    print(
        f"{given.layers} layers, width {given.width}, {given.questions} questions, answers of {given.tokens} "
        f"tokens, clips of {given.frames} frames in {given.cells} tokens each, {given.threads} threads, "
        "float32\n"
    )
    with ExitStack() as stack:
        clips = [random_clip(given.frames, SIDE, seed) for seed in range(given.questions)]
        sessions = [stack.enter_context(predictor.session(clip, pixels=pixels)) for clip in clips]
        compare_answers(predictor, sessions, given)


if __name__ == "__main__":
    main()
