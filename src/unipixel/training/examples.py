"""Questions as supervised inputs, through the same processor as at inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unipixel.core.media import Clip
from unipixel.core.request import Request
from unipixel.core.tokens import IGNORE_INDEX, TURN_END
from unipixel.data.synthetic.scene import Scene
from unipixel.data.tasks import Question
from unipixel.model.inputs import Inputs, collate
from unipixel.processing.processor import Processor


@dataclass(frozen=True)
class Example:
    """One question as a batch of one, with its labels int [1, L]: the answer and the end of its turn."""

    inputs: Inputs
    labels: Tensor


def make_example(processor: Processor, scene: Scene, question: Question) -> Example:
    """A scene's question with its answer given."""
    request = Request(Clip.open(scene.frames), (question.turn,), forced_answer=question.answer)
    prepared = processor.prepare(request)
    return Example(prepared.inputs, answer_labels(prepared.inputs.token_ids, prepared.answer_ids, processor))


def answer_labels(token_ids: Tensor, answer_ids: Sequence[int], processor: Processor) -> Tensor:
    """Labels [1, L] of a conversation that ends with an answer: -100 but for the
    answer and the end of its turn."""
    ending = [*answer_ids, processor.tokenizer.id(TURN_END)]
    ids = token_ids[0].tolist()
    stop = max(index for index, token in enumerate(ids) if token == ending[-1]) + 1
    start = stop - len(ending)
    assert ids[start:stop] == ending, "the answer does not stand at the end of the conversation"
    labels = torch.full_like(token_ids, IGNORE_INDEX)
    labels[0, start:stop] = token_ids[0, start:stop]
    return labels


def join(examples: Sequence[Example], pad_id: int) -> Example:
    """One batch, padded on the right."""
    inputs = collate([example.inputs for example in examples], pad_id, pad_left=False)
    length = inputs.token_ids.shape[1]
    labels = [
        torch.nn.functional.pad(example.labels, (0, length - example.labels.shape[1]), value=IGNORE_INDEX)
        for example in examples
    ]
    return Example(inputs, torch.cat(labels))
