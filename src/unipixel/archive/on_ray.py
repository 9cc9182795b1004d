"""Work on a Ray cluster: Ray Data hands out chunks, every actor has one model (extra `ray`).

The folder of results and the media must be on a disk that all machines see, under the same path: every actor
writes a part of its own there, just as a process of one machine does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from unipixel.archive.run import Job, open_model
from unipixel.archive.store import Store
from unipixel.archive.worker import Chunk, Happened, Worker
from unipixel.errors import ConfigError


@dataclass(frozen=True)
class OnRay:
    """Ray Data, one model in each actor.

    Attributes:
        address: of a cluster ("auto": the one that this machine belongs to); None starts Ray here.
        actors: how many; None is one for each GPU of the cluster, or one if there is none.
        gpus: of each actor; None is 1 where the cluster has GPUs.
    """

    address: str | None = None
    actors: int | None = None
    gpus: float | None = None

    def work(self, job: Job, chunks: Sequence[Chunk]) -> Iterator[Happened]:
        """Tells of finished chunks, in the order in which they come. ConfigError if Ray is not there."""
        try:
            import ray
            from ray.data import ActorPoolStrategy, DataContext
        except ImportError as error:
            raise ConfigError("Ray is not installed; install it: pip install 'unipixel[ray]'") from error
        try:
            if not ray.is_initialized():
                ray.init(**self._start(), log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"Ray cannot be reached at {self.address!r} ({error}); is it running?"
            ) from error
        DataContext.get_current().enable_progress_bars = False
        resources: dict[str, float] = ray.cluster_resources()
        there = int(resources.get("GPU", 0))
        actors = min(self.actors or max(1, there), len(chunks))
        gpus = self.gpus if self.gpus is not None else (1 if there else 0)
        rows = [{"chunk": number} for number in range(len(chunks))]
        listed = ray.put(tuple(chunks))
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            RayWorker,
            batch_size=1,
            batch_format="numpy",
            compute=ActorPoolStrategy(size=actors),
            num_gpus=gpus or None,
            num_cpus=1,
            fn_constructor_args=(job, [listed]),
        )
        try:
            for row in data.iter_rows():
                yield from row["happened"]
        except ray.exceptions.RayError as error:
            raise ConfigError(f"a worker on Ray failed: {str(error).strip().splitlines()[-1]}") from error

    def _start(self) -> dict[str, Any]:
        """Which Ray is meant. One that is started for this work alone gives its workers the priority of any
        process (by default they are at nice 15, and starve beside other work); of a cluster that is there
        its owner has decided."""
        if self.address is not None:
            return {"address": self.address}
        return {"address": "local", "_system_config": {"worker_niceness": 0}}


class RayWorker:
    """One actor: opens the model once, then works on the chunks that it is given."""

    def __init__(self, job: Job, listed: list[Any]) -> None:
        import ray

        self._chunks: tuple[Chunk, ...] = ray.get(listed[0])
        self._held = Store(job.output.folder).appending(f"{job.part}-ray-{uuid4().hex[:12]}")
        part = self._held.__enter__()
        self._worker = Worker(open_model(job.model), job.settings, Store(job.output.folder), part)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Work on some chunks; what happened."""
        return {"happened": [list(self._worker.work(self._chunks[int(number)])) for number in batch["chunk"]]}
