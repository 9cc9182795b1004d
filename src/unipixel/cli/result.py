"""What a result looks like: its objects as lines on a terminal, and as files in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from unipixel.cli.folder import MASKS
from unipixel.cli.terminal import note

if TYPE_CHECKING:
    from unipixel.core.masks import MaskTrack
    from unipixel.core.media import Clip

PALETTE_IDS = 255
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's bidirectional controls."""


def describe(clip: Clip, number: int, name: str | None, masks: MaskTrack | None) -> str:
    """One line about an object: where it is and how large."""
    label = f"[{number}] {name}" if name else f"[{number}]"
    if masks is None:
        return f"{label}: no masks yet"
    areas = [frame.rle.area for frame in masks if frame.present]
    mean = sum(areas) / max(1, len(areas))
    share = mean / (clip.width * clip.height)
    where = f"on {len(areas)} of {clip.num_frames} frame{'s' if clip.num_frames != 1 else ''}"
    known = len(masks.indices)
    rest = "" if known == clip.num_frames else f"; followed on {known} so far"
    return f"{label}: {where}, mean area {mean:.0f} pixels ({share:.1%}){rest}"


def printable(text: str) -> str:
    """Text without the characters by which a model could steer the terminal or reorder a line; joiners, wide
    spaces and everything else that writing needs stay."""
    return "".join("\ufffd" if _steers(letter) else letter for letter in text)


def _steers(letter: str) -> bool:
    return letter in DIRECTIONS or (category(letter) in ("Cc", "Cs") and letter not in "\n\t")


def masks_of(clip: Clip, tracks: Mapping[int, MaskTrack], names: Mapping[int, str]) -> dict[str, Any]:
    """All masks as a document (see `output.export.masks_document`)."""
    from unipixel.output.export import ClipInfo, masks_document

    return masks_document(ClipInfo.of(clip), tracks, names)


def write_result(folder: Path, clip: Clip, tracks: Mapping[int, MaskTrack], names: Mapping[int, str]) -> None:
    """An overlay, palette PNGs (where the ids fit them) and masks.json, in a folder of `output_folder`.

    Raises OutputError.
    """
    from unipixel.output.export import ClipInfo, write_masks_json, write_overlay, write_palette_pngs

    write_overlay(folder / ("overlay.png" if clip.is_image else "overlay.mp4"), clip, tracks, names)
    if max(tracks, default=0) < PALETTE_IDS:
        write_palette_pngs(folder / MASKS, ClipInfo.of(clip), tracks)
    else:
        note(
            f"warning: no palette PNGs: object {max(tracks)} does not fit them, ids end at {PALETTE_IDS - 1}"
        )
    write_masks_json(folder / "masks.json", masks_of(clip, tracks, names))


def note_written(folder: Path) -> None:
    """Say what lies in a folder of results."""
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    note(f"written to {folder}: {', '.join(names)}")
