"""What has been computed of clips, kept for the next request about the same content of the same owner: a
conversation in OpenAI's form brings its picture again with every message."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from unipixel.core.media import Clip
from unipixel.core.request import PixelBudget
from unipixel.errors import UniPixelError
from unipixel.inference.encoded_clip import EncodedClip
from unipixel.inference.session import KEEP_BYTES
from unipixel.predictor import Predictor
from unipixel.serving.turns import ServedSession

Content = tuple[str, str]
"""An owner, and a digest of what the clip holds."""


@dataclass
class _Kept:
    """nbytes: when it was last let go; nothing is computed without a user."""

    encoded: EncodedClip
    users: int = 0
    nbytes: int = 0


class Clips:
    """Up to `most_bytes` of what sessions computed; clips that no session uses go first, the least recent one
    before all. What sessions use is never taken from them: put them to sleep (`over`). Safe to use from
    several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Content, _Kept] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept."""
        with self._lock:
            return self._nbytes

    @property
    def over(self) -> bool:
        """Whether sessions use more than there may be."""
        self.shrink()
        return self.nbytes > self._most_bytes

    def open(
        self,
        opened: Predictor,
        content: Content,
        clip: Clip,
        num_frames: int | None = None,
        pixels: PixelBudget | None = None,
    ) -> ServedSession:
        """A session on a clip, which knows what was computed for others of the same content."""
        with self._lock:
            kept = self._kept.get(content)
            if kept is None:
                encoded = EncodedClip(opened.model, opened.processor, clip, KEEP_BYTES)
                kept = self._kept[content] = _Kept(encoded)
            kept.users += 1
            self._kept.move_to_end(content)
        try:
            return ServedSession(
                opened,
                clip,
                num_frames=num_frames,
                pixels=pixels,
                encoded=kept.encoded,
                on_close=lambda: self._release(content),
            )
        except UniPixelError:
            self._release(content)
            raise

    def shrink(self) -> None:
        """Let go of what no session uses, until the rest fits."""
        with self._lock:
            for content in [content for content, kept in self._kept.items() if not kept.users]:
                if self._nbytes <= self._most_bytes:
                    return
                del self._kept[content]

    @property
    def _nbytes(self) -> int:
        return sum(kept.encoded.nbytes if kept.users else kept.nbytes for kept in self._kept.values())

    def _release(self, content: Content) -> None:
        with self._lock:
            kept = self._kept[content]
            kept.users -= 1
            kept.nbytes = kept.encoded.nbytes
        self.shrink()


def content_of(owner: str, clip: Clip) -> Content:
    """What a clip holds, by the bytes of its files, its size and its clock. Reads the files."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(repr((clip.width, clip.height, clip.num_frames, clip.times)).encode())
    for path in clip.files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return owner, digest.hexdigest()
