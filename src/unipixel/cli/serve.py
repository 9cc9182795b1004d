"""`unipixel serve`: the server, and the process that starts it again should it be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from unipixel.cli.opening import Compiled, DeviceName, DtypeName, LanguageForm, TrustCode
from unipixel.cli.terminal import manners, note

QUICK, MOST_QUICK = 20.0, 3
"""A server that is killed within so many seconds, so many times in a row, is not started again."""
PAUSE = 1.0


def serve(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A bundled name, a folder or a hub id.")
    ] = "unipixel-tiny",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    token: Annotated[
        list[str] | None,
        typer.Option(envvar="UNIPIXEL_TOKEN", help="Who may come in; each token has files of its own."),
    ] = None,
    root_path: Annotated[str, typer.Option(help="Prefix under which a reverse proxy shows it.")] = "",
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where uploads, sessions and jobs are kept.")
    ] = Path("unipixel-data"),
    review: Annotated[
        list[Path] | None,
        typer.Option(metavar="OUT", help="A folder of `unipixel annotate` to review on the page."),
    ] = None,
    device: DeviceName = "auto",
    dtype: DtypeName = "auto",
    trust_code: TrustCode = False,
    language: LanguageForm = "full",
    compiled: Compiled = False,
    threads: Annotated[
        int, typer.Option(help="That share an operation on a processor; 0: as many as pay.")
    ] = 0,
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="A page elsewhere that may call it.")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Fetch public URLs that requests name.")
    ] = False,
    max_upload: Annotated[int, typer.Option(help="Megabytes of an uploaded file.")] = 512,
    max_body: Annotated[int, typer.Option(help="Megabytes of any other request.")] = 32,
    max_memory: Annotated[int, typer.Option(help="Megabytes of what clips were computed to.")] = 2048,
    max_disk: Annotated[int, typer.Option(help="Megabytes of uploads, sessions and jobs.")] = 20480,
    max_megapixels: Annotated[int, typer.Option(help="Of one frame.")] = 50,
    max_frames: Annotated[int, typer.Option(help="Of a clip that is followed at once; more is a job.")] = 600,
    max_job_frames: Annotated[int, typer.Option(help="Of a job's clip.")] = 20_000,
    max_waiting: Annotated[int, typer.Option(help="Requests that wait for the model.")] = 64,
    max_batch: Annotated[int, typer.Option(help="Questions that are answered together.")] = 16,
    max_seconds: Annotated[float, typer.Option(help="From a request's arrival to its end.")] = 120.0,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 512,
    max_sessions: Annotated[int, typer.Option(help="Of one token.")] = 100,
    session_minutes: Annotated[float, typer.Option(help="An unused session is kept so long.")] = 60.0,
    supervise: Annotated[
        bool, typer.Option("--supervise/--no-supervise", help="Start the server again if it is killed.")
    ] = True,
) -> None:
    """Serve a model over HTTP: OpenAI's form, sessions, jobs."""
    with manners():
        from unipixel.hub import find_checkpoint
        from unipixel.serving.options import MEGABYTE, Limits, ServeOptions

        limits = Limits(
            upload=max_upload * MEGABYTE,
            body=max_body * MEGABYTE,
            memory=max_memory * MEGABYTE,
            disk=max_disk * MEGABYTE,
            pixels=max_megapixels * 1_000_000,
            frames=max_frames,
            job_frames=max_job_frames,
            waiting=max_waiting,
            batch=max_batch,
            seconds=max_seconds,
            new_tokens=max_new_tokens,
            sessions=max_sessions,
            session_seconds=60 * session_minutes,
        )
        options = ServeOptions(
            data=data,
            model=model,
            device=device,
            dtype=dtype,
            host=host,
            port=port,
            tokens=tuple(token or ()),
            root_path=root_path,
            origins=tuple(allow_origin or ()),
            allow_remote=allow_remote,
            trust_code=trust_code,
            language=language,
            compiled=compiled,
            threads=threads,
            review=tuple(review or ()),
            limits=limits,
        )
        find_checkpoint(model)  # a wrong name is told at once
        if supervise:
            raise typer.Exit(Supervisor([*sys.argv[1:], "--no-supervise"]).run())
        from unipixel.serving.running import run

        note(f"serving {model} on http://{host}:{port}{root_path}" + ("/#review" if review else ""))
        run(options)


class Supervisor:
    """Runs the server as a process of its own, and starts it again when it was killed. Sessions and jobs are
    on disk, so they go on."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "unipixel.cli.main", *arguments]
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Until the server ends by itself or is asked to; its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        quick = 0
        while True:
            begun = time.monotonic()
            # Its own group: a terminal's interruption reaches it once, through here.
            self._child = subprocess.Popen(self._command, start_new_session=True, env=os.environ.copy())
            code = self._child.wait()
            quick = quick + 1 if time.monotonic() - begun < QUICK else 0
            if self._stopping:
                return 0
            if code >= 0 or quick >= MOST_QUICK:
                return code if code >= 0 else 128 - code
            note(f"the server was killed by signal {-code}; starting it again")
            time.sleep(PAUSE)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
