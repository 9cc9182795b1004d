"""A model that answers at once and always the same, and every benchmark's fixture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.data.published import BUILDERS

from unipixel.core.masks import RLE, FrameMask, MaskTrack
from unipixel.core.request import Request
from unipixel.core.response import Response, SegmentedObject
from unipixel.evaluation.benchmarks import find_benchmarks
from unipixel.evaluation.provenance import Model
from unipixel.evaluation.runner import Manner, Plan, run

DATA = (
    "revos",
    "mevis",
    "ref_youtube_vos",
    "ref_davis17",
    "ref_sav_eval",
    "groundmore",
    "refcoco",
    "refcoco+",
    "refcocog",
    "reason_seg",
    "videorefer_bench_q",
    "videorefer_bench_d",
    "mvbench",
    "videomme",
)
MODEL = Model("stub", "0" * 16, "float32", "cpu")


def build(root: Path, *names: str) -> Path:
    """Fixtures of some data sets, all by default."""
    for name in names or DATA:
        BUILDERS[name](root)
    return root


@dataclass
class Stub:
    """Marks a block of the picture for every `<|seg|>` that is asked for, and says "B".

    before: called with each request; may raise. mask: from (frame, height, width) to a mask, None for no
    mask at all.
    """

    mask: Callable[[int, int, int], np.ndarray] | None = None
    text: str = "B"
    before: Callable[[Request], None] = lambda request: None
    asked: list[Request] = field(default_factory=list)
    silent: bool = False

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        for request in requests:
            self.before(request)
        self.asked += requests
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        forced = request.forced_answer
        wants = "segment" in str(request.turns[-1].parts).lower() or "mask" in str(request.turns[-1].parts)
        ids = [0] if wants and not request.answer_prefix else []
        if forced is not None:
            ids = [int(part.strip().strip("[]")) for part in forced.parts if isinstance(part, str)]
        objects = () if self.silent else tuple(SegmentedObject(n, self._track(request, n)) for n in ids)
        text = "" if self.silent else self.text
        return Response(text, objects, (), text, (0,), "stop")

    def _track(self, request: Request, number: int) -> MaskTrack:
        clip = request.clip
        masks = [self._mask(frame, clip.height, clip.width) for frame in range(clip.num_frames)]
        return MaskTrack(tuple(FrameMask(n, RLE.from_mask(m), 1.0, True) for n, m in enumerate(masks)))

    def _mask(self, frame: int, height: int, width: int) -> np.ndarray:
        if self.mask is not None:
            return self.mask(frame, height, width)
        mask = np.zeros((height, width), dtype=bool)
        mask[2 : 2 + height // 2, 1 + frame % 3 : 1 + width // 2] = True
        return mask


def plan_of(name: str, root: Path, folder: Path, **options) -> Plan:
    """The plan of one row."""
    return Plan(find_benchmarks([name])[0], root, folder, **options)


def run_stub(plan: Plan, stub: Stub | None = None, **manner) -> Stub:
    """Run a plan with a stub; the stub."""
    stub = stub or Stub()
    run(plan, stub, MODEL, Manner(**manner))
    return stub
