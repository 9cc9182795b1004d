"""Archives: annotate folders of pictures and hours of video, and go on where a run was stopped
(docs/archives.md).

    from unipixel.archive import Asked, annotate, find_items, read_annotations
    items = find_items(["clips/"], Asked(("Please segment the red circle.",)))
    annotate("unipixel-tiny", items, "out")
    for item in read_annotations("out"): ...
"""

from typing import TYPE_CHECKING

from unipixel.late_names import late_names

if TYPE_CHECKING:
    from unipixel.archive.boxes import import_marked
    from unipixel.archive.inputs import Asked, find_items, read_prompts
    from unipixel.archive.items import Item, Mark, Marked, Words
    from unipixel.archive.lines import Annotated, AnnotatedObject, ItemMask, read_annotations
    from unipixel.archive.review import Review
    from unipixel.archive.review_export import Exported, export_review
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
    "Review": "review",
    "export_review": "review_export",
    "Exported": "review_export",
}

__all__ = [
    "Annotated",
    "AnnotatedObject",
    "ArchiveProgress",
    "Asked",
    "Cut",
    "Exported",
    "Item",
    "ItemMask",
    "Manner",
    "Mark",
    "Marked",
    "ModelName",
    "Output",
    "Report",
    "Review",
    "Settings",
    "Words",
    "annotate",
    "export_review",
    "find_items",
    "import_marked",
    "read_annotations",
    "read_prompts",
]

__getattr__ = late_names(__name__, _HOMES)
