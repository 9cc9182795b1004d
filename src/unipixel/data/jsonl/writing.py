"""From items to lines of JSON; reading them gives equal items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from unipixel.core.masks import RLE
from unipixel.core.prompts import Box
from unipixel.data.jsonl.item import Item
from unipixel.data.jsonl.parts import (
    Describe,
    Find,
    FrameSpan,
    ItemMedia,
    ItemObject,
    MaskPicture,
    Outline,
    Region,
    Round,
    Shape,
    When,
)
from unipixel.data.sample import Choice


def write_line(item: Item) -> str:
    """The item as one line of JSON, without the line's end."""
    fields: dict[str, Any] = {"id": item.id, "task": item.task}
    if item.media is not None:
        fields["media"] = _media(item.media)
    fields["conversation"] = [turn for said in item.rounds for turn in _turns(said)]
    if item.objects:
        fields["objects"] = [_thing(thing) for thing in item.objects]
    if item.annotated is not None:
        fields["annotated"] = item.annotated
    if item.key_frame is not None:
        fields["key_frame"] = item.key_frame
    if item.free_ids:
        fields["free_ids"] = True
    fields |= _filled(ignored=[_region(region) for region in item.ignored], facts=dict(item.facts))
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def _filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}


def _media(media: ItemMedia) -> dict[str, Any]:
    fields: dict[str, Any] = {media.kind: list(media.paths) if media.kind == "frames" else media.paths[0]}
    fields |= _filled(name=media.name, fps=media.fps)
    if media.step > 1:
        fields["step"] = media.step
    if media.size is not None:
        fields["width"], fields["height"] = media.size
    return fields


def _thing(thing: ItemObject) -> dict[str, Any]:
    return {
        "id": thing.id,
        **_filled(
            name=thing.name,
            regions=[_region(region) for region in thing.regions],
            exists=[_when(when) for when in thing.exists or ()],
            facts=dict(thing.facts),
        ),
    }


def _region(region: Region) -> dict[str, Any]:
    when = {} if region.when is None else _when(region.when)
    return {**when, **_shape(region.shape), **_filled(facts=dict(region.facts))}


def _when(when: When) -> dict[str, Any]:
    if not isinstance(when, FrameSpan):
        return {"seconds": [when.first, when.last]}
    return {"frame": when.first} if when.first == when.last else {"frames": [when.first, when.last]}


def _shape(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, RLE):
        return {"rle": shape.to_coco()}
    if isinstance(shape, Outline):
        return {"polygons": [list(map(_short, polygon)) for polygon in shape.polygons]}
    if isinstance(shape, MaskPicture):
        return {"png": shape.path} | ({} if shape.value is None else {"value": shape.value})
    if isinstance(shape, Box):
        return {"box": [_short(value) for value in (shape.x1, shape.y1, shape.x2, shape.y2)]}
    return {"point": [_short(shape.x), _short(shape.y)]}


def _short(value: float) -> float | int:
    """Whole numbers without ".0"."""
    return int(value) if value == int(value) else value


def _turns(said: Round) -> Iterator[dict[str, Any]]:
    name = _filled(id=said.id)
    if isinstance(said, Find):
        form = {} if said.form == "query" else {"form": said.form}
        yield {"role": "user", "expression": said.text, **form, **_filled(part=said.part), **name}
        yield {"role": "assistant", "masks": list(said.masks), **_filled(text=said.answer)}
    elif isinstance(said, Describe):
        style = {} if said.style == "detailed" else {"style": said.style}
        yield {"role": "user", "describe": said.object, **style, **name}
        yield {"role": "assistant", "text": said.text}
    elif isinstance(said, Choice):
        yield {"role": "user", "text": said.question, "options": list(said.options), **name}
        yield {"role": "assistant", **_filled(option=said.letter)}
    else:
        yield {"role": "user", "text": said.question, **name}
        yield {"role": "assistant", "text": said.answer}
