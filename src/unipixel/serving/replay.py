"""Do again what was done on the page, and compare what comes of it.

python -m unipixel.serving.replay FILE --server URL

FILE is what the page's "Save replay" writes (docs/page.md): the clip, every click, question and correction,
and the answers and masks that came of them. Exit code 0: the same answers and masks came again, to the pixel;
1: others; 2: it could not be done.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, ValidationError

from unipixel.core.objects import SessionObject
from unipixel.core.request import Decoding
from unipixel.errors import RequestError, SessionError, UniPixelError
from unipixel.serving.client import Client
from unipixel.serving.prompt_schema import Size
from unipixel.serving.remote_session import RemoteSession
from unipixel.serving.schema import MOST_TEXT, ClipEntry, ObjectId, SegmentedEntry, track_of
from unipixel.serving.sessions_models import Name, Prompts, core_prompts


class ReferAct(BaseModel):
    """Something was pointed at, and became object `id`."""

    op: Literal["refer"]
    id: ObjectId
    prompts: Prompts


class CorrectAct(BaseModel):
    """Object `id` was corrected."""

    op: Literal["correct"]
    id: ObjectId
    prompts: Prompts


class TrackAct(BaseModel):
    """Objects were followed through the clip."""

    op: Literal["track"]
    ids: list[ObjectId]


class RenameAct(BaseModel):
    """Object `id` got a name, or lost it."""

    op: Literal["rename"]
    id: ObjectId
    name: Name | None


class RemoveAct(BaseModel):
    """Object `id` was removed."""

    op: Literal["remove"]
    id: ObjectId


class AskAct(BaseModel):
    """A question was asked, and answered with a text and masks of some objects."""

    op: Literal["ask"]
    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    follow_up: bool = False
    require_mask: bool = False
    answer: str
    objects: list[ObjectId] = []


Act: TypeAlias = Annotated[
    ReferAct | CorrectAct | TrackAct | RenameAct | RemoveAct | AskAct, Field(discriminator="op")
]


class ReplayMedia(ClipEntry):
    """The clip; `content` is its file in base64, null where it was too large to be taken along."""

    content: str | None = None


class Replay(BaseModel):
    """A file that the page wrote. `objects`: all there were in the end, with their masks."""

    format: Literal["unipixel-replay"]
    version: Literal[1]
    model: str
    media: ReplayMedia
    acts: list[Act]
    objects: list[SegmentedEntry]

    @staticmethod
    def read(path: Path) -> Replay:
        """RequestError for what is no replay."""
        try:
            return Replay.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RequestError(f"{path}: cannot be read ({error.strerror}); check the name") from error
        except ValidationError as error:
            found = error.errors()[0]
            place = ".".join(str(part) for part in found["loc"])
            raise RequestError(
                f"{path}: this is no replay of version 1 ({place or 'the file'}: {found['msg'][:200]}); "
                "save it from the page again"
            ) from error

    @contextmanager
    def clip_file(self, media: Path | None) -> Iterator[Path]:
        """The clip: the given file, or the one inside. RequestError without either."""
        if media is not None:
            yield media
            return
        if self.media.content is None:
            raise RequestError(
                f"the replay does not hold its clip; give {self.media.name!r} with --media FILE"
            )
        try:
            content = base64.b64decode(self.media.content, validate=True)
        except binascii.Error as error:
            raise RequestError(
                "the clip in the replay is damaged; give the file with --media FILE"
            ) from error
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip"
            path.write_bytes(content)
            yield path


@dataclass(frozen=True)
class Difference:
    """One thing that came out otherwise; `iou` of its masks, None for answers and missing objects."""

    what: str
    iou: float | None = None

    def __str__(self) -> str:
        return self.what if self.iou is None else f"{self.what}: IoU {self.iou:.4f}"


@dataclass(frozen=True)
class Outcome:
    """What came of a replay: its answers in order, its objects in the end, and what differs."""

    answers: tuple[str, ...]
    objects: tuple[SessionObject, ...]
    differences: tuple[Difference, ...]


def run(replay: Replay, client: Client, media: Path | None = None) -> Outcome:
    """Do every act through a client, and compare. media: the clip's file, if it is not inside.

    Raises RequestError for another clip, SessionError where an object gets another number (another model?),
    and what the client raises.
    """
    with replay.clip_file(media) as path, client.session(path) as session:
        found = (session.width, session.height, session.num_frames)
        expected = (replay.media.width, replay.media.height, replay.media.num_frames)
        if found != expected:
            raise RequestError(
                f"the clip is {found[0]}x{found[1]} with {found[2]} frames; the replay was made on "
                f"{expected[0]}x{expected[1]} with {expected[2]}: give the same file"
            )
        answers: list[str] = []
        differences: list[Difference] = []
        for act in replay.acts:
            if isinstance(act, AskAct):
                answers.append(_ask(session, act))
                if answers[-1] != act.answer:
                    differences.append(
                        Difference(f"answer to {act.text!r}: {answers[-1]!r}, was {act.answer!r}")
                    )
            else:
                _act(session, act)
        objects = session.objects
    return Outcome(tuple(answers), objects, (*differences, *_compared(replay.objects, objects)))


def _ask(session: RemoteSession, act: AskAct) -> str:
    decoding = Decoding(require_mask=True) if act.require_mask else None
    return session.ask(act.text, follow_up=act.follow_up, decoding=decoding).text


def _act(session: RemoteSession, act: ReferAct | CorrectAct | TrackAct | RenameAct | RemoveAct) -> None:
    size: Size = (session.width, session.height)
    if isinstance(act, ReferAct):
        known = session.refer(core_prompts(act.prompts, size), follow=False)
        if known.id != act.id:
            raise SessionError(
                f"the object that was [{act.id}] on the page is [{known.id}] here: another model?"
            )
    elif isinstance(act, CorrectAct):
        session.correct(act.id, core_prompts(act.prompts, size), follow=False)
    elif isinstance(act, TrackAct):
        for _ in session.track(act.ids):
            pass
    elif isinstance(act, RenameAct):
        session.rename(act.id, act.name)
    else:
        session.remove(act.id)


def _compared(expected: Sequence[SegmentedEntry], objects: Sequence[SessionObject]) -> Iterator[Difference]:
    """Where the masks in the end are not those of the page."""
    there = {known.id: known for known in objects}
    for number in sorted(there.keys() ^ {entry.id for entry in expected}):
        yield Difference(f"[{number}] is {'new' if number in there else 'missing'}")
    for entry in expected:
        known = there.get(entry.id)
        if known is None:
            continue
        if known.name != entry.name:
            yield Difference(f"[{entry.id}] is called {known.name!r}, was {entry.name!r}")
        yield from _compared_masks(entry, known)


def _compared_masks(entry: SegmentedEntry, known: SessionObject) -> Iterator[Difference]:
    was = {mask.index: mask.rle for mask in track_of(entry.frames) or ()}
    now = {mask.index: mask.rle for mask in known.masks or ()}
    for frame in sorted(was.keys() | now.keys()):
        if frame not in was or frame not in now:
            yield Difference(f"[{entry.id}] on frame {frame} {'has no mask' if frame in was else 'is new'}")
        elif was[frame] != now[frame]:
            yield Difference(f"[{entry.id}] on frame {frame}", was[frame].iou(now[frame]))


def report(outcome: Outcome, most: int = 20) -> str:
    """What came of it, for people."""
    masks = sum(len(known.masks) for known in outcome.objects if known.masks is not None)
    lines = [f"answer: {answer}" for answer in outcome.answers]
    lines.append(f"{len(outcome.objects)} objects, {masks} masks")
    lines += [f"differs: {one}" for one in outcome.differences[:most]]
    if len(outcome.differences) > most:
        lines.append(f"… and {len(outcome.differences) - most} more")
    if not outcome.differences:
        lines.append("the same answers and masks as on the page")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    about, _, more = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="what the page saved")
    parser.add_argument("--server", default="http://127.0.0.1:8000", metavar="URL")
    parser.add_argument("--token", default=os.environ.get("UNIPIXEL_TOKEN"), help="default: $UNIPIXEL_TOKEN")
    parser.add_argument("--media", type=Path, metavar="FILE", help="the clip, if it is not inside")
    given = parser.parse_args(arguments)
    try:
        replay = Replay.read(given.file)
        with Client(given.server, token=given.token) as client:
            outcome = run(replay, client, given.media)
    except UniPixelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(outcome))
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main())
