"""Jobs: clips over the interactive limit, and anything that nobody wants to wait for.

Each is a session that runs by itself, step after step. What is done is on disk, so a job goes on after the
server was killed: from the beginning of the step that it was at.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from unipixel.core.media import check_sides
from unipixel.core.progress import Progress
from unipixel.errors import UniPixelError
from unipixel.serving import acts
from unipixel.serving.acts import Touched
from unipixel.serving.faults import Busy, Closing, Conflict, Unknown
from unipixel.serving.openai_form import clip_entry
from unipixel.serving.schema import AnswerEntry, ObjectEntry
from unipixel.serving.sessions_models import (
    AskStep,
    CorrectStep,
    JobBody,
    JobEntry,
    JobResult,
    JobStep,
    Outcome,
    ProgressEntry,
    ReferStep,
)
from unipixel.serving.store import new_id, read_json, room, write_json
from unipixel.serving.turns import Answered, Found, ServedSession
from unipixel.serving.worker import Steps, Work

if TYPE_CHECKING:
    from unipixel.serving.service import Service

log = logging.getLogger(__name__)

STATE, ASKED, KEPT, RESULT = "state.json", "job.json", "session.unipixel", "result.json"
AT_ONCE = 1
"""Jobs that run at the same time; each takes turns with all other requests."""
MOST_JOBS = 100
"""Jobs that one owner may have."""


@dataclass(eq=False)
class Job:
    """One job. `outcomes` holds what came of each step that is done."""

    id: str
    owner: str
    folder: Path
    body: JobBody
    created: float
    status: Any = "queued"
    error: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    progress: Progress | None = None
    work: Work | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed", "cancelled")

    def entry(self) -> JobEntry:
        """As it travels."""
        progress = self.progress
        return JobEntry(
            id=self.id,
            status=self.status,
            created_at=int(self.created),
            steps_done=len(self.outcomes),
            steps_total=len(self.body.steps),
            progress=ProgressEntry.of(progress) if progress and not self.over else None,
            error=self.error,
        )

    def keep(self) -> None:
        """Write its state to disk."""
        about = {
            "id": self.id,
            "owner": self.owner,
            "created": self.created,
            "status": self.status,
            "error": self.error,
            "outcomes": [one.model_dump(mode="json", exclude_none=True) for one in self.outcomes],
        }
        write_json(self.folder / STATE, about)


class Jobs:
    """All jobs of one server. Called in the event loop's thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        for place in sorted((service.folder.root / "jobs").glob("*/*")):
            self._take_in(place / STATE)

    async def add(self, owner: str, body: JobBody) -> Job:
        """Take a job in; its clip is opened now, so that what is wrong with it is told at once."""
        if len(self.list(owner)) >= MOST_JOBS:
            raise Busy(f"there are {MOST_JOBS} jobs already; delete some", retry_after=60)
        number = new_id("job")
        place = self._service.folder.place("jobs", owner, number)
        with room():
            place.mkdir(parents=True, mode=0o700)
        job = Job(number, owner, place, body, time.time())
        try:
            clip = await asyncio.to_thread(self._service.gate.open, owner, body.media, place)
            check_sides(clip)
            write_json(place / ASKED, body.model_dump(mode="json", exclude={"media": {"url"}}))
            job.keep()
        except BaseException:  # a cancelled request, too, leaves nothing behind
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._jobs[number] = job
        self._start(job)
        return job

    def get(self, owner: str, number: str) -> Job:
        """A job of this owner; Unknown for all others, whether they exist or not."""
        job = self._jobs.get(number)
        if job is None or job.owner != owner:
            raise Unknown("there is no job of this name; it may have expired")
        return job

    def list(self, owner: str) -> list[Job]:
        """All jobs of an owner, the oldest first."""
        return [job for job in self._jobs.values() if job.owner == owner]

    def result(self, job: Job) -> Path:
        """The file with what came of a job. Raises Conflict while there is none."""
        if job.status != "done":
            raise Conflict(f"the job is {job.status}; it has no result" + ("" if job.over else " yet"))
        return job.folder / RESULT

    def cancel(self, job: Job) -> None:
        """End a job."""
        if job.over:
            return
        job.status = "cancelled"
        if job.work is not None:
            self._service.worker.cancel(job.work)
        if (task := self._tasks.get(job.id)) is not None:
            task.cancel()
        with suppress(UniPixelError):
            job.keep()

    async def remove(self, job: Job) -> None:
        """End a job and delete what is kept of it."""
        self.cancel(job)
        self._jobs.pop(job.id, None)
        await asyncio.to_thread(shutil.rmtree, job.folder, True)

    async def sweep(self) -> None:
        """Delete what ended long ago."""
        last = time.time() - self._service.options.limits.file_seconds
        for job in [one for one in self._jobs.values() if one.over and one.created < last]:
            await self.remove(job)

    def resume(self) -> None:
        """Go on with what an earlier run left."""
        for job in self._jobs.values():
            if not job.over and job.id not in self._tasks:
                self._start(job)

    async def stop(self) -> None:
        """Leave everything for the next start."""
        for job in self._jobs.values():
            if job.work is not None:
                self._service.worker.cancel(job.work)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # Inside ----------------------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        if self._service.opened is not None:
            task = asyncio.create_task(self._run(job))
            self._tasks[job.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run(self, job: Job) -> None:
        async with self._turn:
            if job.over:
                return
            job.status = "running"
            try:
                session = await asyncio.wrap_future(self._service.worker.call(lambda: self._open(job)))
                for step in job.body.steps[len(job.outcomes) :]:
                    await self._do(job, session, step)
                await asyncio.to_thread(self._finish, job, session)
            except Closing:
                job.status = "queued"  # taken up by the next start
            except UniPixelError as error:
                if job.status != "cancelled":
                    job.status, job.error = "failed", self._service.folder.hidden(str(error))
                    with suppress(UniPixelError):
                        job.keep()

    def _open(self, job: Job) -> ServedSession:
        """The session as it was after the last step that is done; in the worker's thread."""
        model, body = self._service.model, job.body
        clip = self._service.gate.open_files(sorted(job.folder.glob("media-*")), body.media.fps)
        pixels = body.pixels.to_core() if body.pixels else None
        session = ServedSession(model, clip, num_frames=body.num_frames, pixels=pixels)
        if job.outcomes:
            kept = model.load_session(job.folder / KEPT, clip)
            session.restore(kept.objects, kept.exchanges, kept.next_id)
        return session

    async def _do(self, job: Job, session: ServedSession, step: JobStep) -> None:
        job.progress = Progress(step.op, 0, session.clip.num_frames, 0.0)
        limits = self._service.options.limits
        work = Work(job.owner, time.monotonic() + limits.job_seconds, tell=lambda told: _hear(job, told))
        if isinstance(step, AskStep):
            work.compose = lambda: acts.question(session, step, limits.new_tokens)
        else:
            work.steps = lambda _: _steps(session, step)
        job.work = work
        while True:
            try:
                self._service.worker.submit(work)
                break
            except Busy:  # those who wait in person come first
                await asyncio.sleep(1.0)
        done = await asyncio.wrap_future(work.result)
        outcome = await asyncio.to_thread(_outcome, step, done)

        def save() -> None:
            with room():
                session.save(job.folder / KEPT)

        await asyncio.wrap_future(self._service.worker.call(save))
        job.outcomes.append(outcome)
        await asyncio.to_thread(job.keep)

    def _finish(self, job: Job, session: ServedSession) -> None:
        result = JobResult(
            id=job.id, clip=clip_entry(session.clip, job.body.media.name), outcomes=job.outcomes
        )
        write_json(job.folder / RESULT, result.model_dump(mode="json", exclude_none=True))
        job.status = "done"
        job.keep()
        session.close()

    def _take_in(self, state: Path) -> None:
        """A job of an earlier run."""
        found, asked = read_json(state), read_json(state.with_name(ASKED))
        try:
            place = self._service.folder.place("jobs", found["owner"], found["id"])
            body = JobBody.model_validate(asked)
            outcomes = [Outcome.model_validate(one) for one in found["outcomes"]]
            if place != state.parent:
                raise ValueError("another job's state")
            job = Job(found["id"], found["owner"], place, body, float(found["created"]))
            job.status, job.error, job.outcomes = found["status"], found["error"], outcomes
        except (KeyError, TypeError, ValueError, ValidationError, Unknown):
            log.warning("a damaged job was deleted")
            shutil.rmtree(state.parent, ignore_errors=True)
            return
        self._jobs[job.id] = job


def _steps(session: ServedSession, step: JobStep) -> Steps:
    if isinstance(step, ReferStep):
        return acts.refer(session, step)
    if isinstance(step, CorrectStep):
        return acts.correct(session, step.id, step)
    assert not isinstance(step, AskStep), "questions are composed"
    return acts.track(session, step)


def _hear(job: Job, told: object) -> None:
    if isinstance(told, Found):
        job.progress = told.progress


def _outcome(step: JobStep, done: Answered | Touched) -> Outcome:
    if isinstance(done, Answered):
        return Outcome(op=step.op, answer=AnswerEntry.of(done.response, step.mask_format))
    return Outcome(op=step.op, objects=[ObjectEntry.of(one, step.mask_format) for one in done.objects])
