"""Archives: annotate folders of pictures and hours of video, and go on where a run was stopped
(docs/archives.md).

    from unipixel.archive import Asked, annotate, find_items, read_annotations
    items = find_items(["clips/"], Asked(("Please segment the red circle.",)))
    annotate("unipixel-tiny", items, "out")
    for item in read_annotations("out"): ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unipixel.archive.boxes import import_marked
    from unipixel.archive.inputs import Asked, find_items, read_prompts
    from unipixel.archive.items import Item, Mark, Marked, Words
    from unipixel.archive.lines import Annotated, AnnotatedObject, ItemMask, read_annotations
    from unipixel.archive.run import ArchiveProgress, Manner, Report, annotate
    from unipixel.archive.settings import ModelName, Output, Settings
    from unipixel.archive.windows import Cut

_HOMES = {
    "annotate": "run",
    "Report": "run",
    "Manner": "run",
    "ArchiveProgress": "run",
    "Settings": "settings",
    "Output": "settings",
    "ModelName": "settings",
    "Cut": "windows",
    "Item": "items",
    "Words": "items",
    "Marked": "items",
    "Mark": "items",
    "Asked": "inputs",
    "find_items": "inputs",
    "read_prompts": "inputs",
    "import_marked": "boxes",
    "read_annotations": "lines",
    "Annotated": "lines",
    "AnnotatedObject": "lines",
    "ItemMask": "lines",
}

__all__ = [
    "Annotated",
    "AnnotatedObject",
    "ArchiveProgress",
    "Asked",
    "Cut",
    "Item",
    "ItemMask",
    "Manner",
    "Mark",
    "Marked",
    "ModelName",
    "Output",
    "Report",
    "Settings",
    "Words",
    "annotate",
    "find_items",
    "import_marked",
    "read_annotations",
    "read_prompts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unipixel.archive' has no attribute {name!r}")
    value = getattr(import_module(f"unipixel.archive.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
