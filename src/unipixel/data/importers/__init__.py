"""From other layouts to the JSONL file of docs/data.md: one module for each layout.

Each importer gives items one at a time, keeps what the source says (what has no field of its own goes into
`facts`), and tells by `on_note` what it leaves out and why. Problems are DataErrors with file and place.
"""

from __future__ import annotations

from unipixel.data.importers.coco import import_coco
from unipixel.data.importers.labelme import import_labelme
from unipixel.data.importers.mot import import_mot
from unipixel.data.importers.refcoco import import_refcoco
from unipixel.data.importers.vos import import_vos
from unipixel.data.importers.yolo import import_yolo

__all__ = ["import_coco", "import_labelme", "import_mot", "import_refcoco", "import_vos", "import_yolo"]
