"""`/v1/jobs`: work that nobody waits for."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from unipixel.serving.files_api import Deleted
from unipixel.serving.service import Called
from unipixel.serving.sessions_models import JobBody, JobEntry, JobList, JobResult

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=202)
async def submit(caller: Called, body: JobBody) -> JobEntry:
    """Submit a clip, and what is to be done on it."""
    return (await caller.service.jobs.add(caller.owner, body)).entry()


@router.get("")
async def listing(caller: Called) -> JobList:
    """All jobs of the caller."""
    return JobList(data=[job.entry() for job in caller.service.jobs.list(caller.owner)])


@router.get("/{job_id}")
async def about(caller: Called, job_id: str) -> JobEntry:
    """How far a job is."""
    return caller.service.jobs.get(caller.owner, job_id).entry()


@router.post("/{job_id}/cancel")
async def cancel(caller: Called, job_id: str) -> JobEntry:
    """End a job."""
    job = caller.service.jobs.get(caller.owner, job_id)
    caller.service.jobs.cancel(job)
    return job.entry()


@router.get("/{job_id}/result", response_model=JobResult)
async def result(caller: Called, job_id: str) -> FileResponse:
    """What came of a job; ranges are answered, so that an interrupted download goes on."""
    job = caller.service.jobs.get(caller.owner, job_id)
    return FileResponse(caller.service.jobs.result(job), media_type="application/json")


@router.delete("/{job_id}")
async def delete(caller: Called, job_id: str) -> Deleted:
    """End a job and delete what is kept of it."""
    await caller.service.jobs.remove(caller.service.jobs.get(caller.owner, job_id))
    return Deleted(id=job_id, object="job")
