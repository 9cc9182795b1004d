"""Ways to damage inputs: any bytes, and the insides of JSON, PNG, zip and safetensors files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, TypeAlias

Change: TypeAlias = Callable[[bytes, Random], bytes]

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        0.5,
        -0.5,
        1e308,
        -1e308,
        1e-320,
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        10**400,
    ),
    *(float("nan"), float("inf"), -0.0, "", " ", "0", "-1", "1e5", "nan", "a" * 300, "\ud800", "\0", "é😀"),
    *(
        "../up",
        "/abs",
        "C:\\x",
        "<|seg|>",
        "[0]",
        "[999999999]",
        [],
        {},
        [[]],
        [{}],
        {"": None},
        [0, 0, 0, 0],
    ),
    *([1, 2], [None], {"size": [4, 4], "counts": "04"}, {"size": [1, 1], "counts": [1]}),
)
"""Values that programs like to stumble over."""


# Bytes


def change_bytes(data: bytes, rng: Random) -> bytes:
    """One to eight changes of a few bytes each."""
    content = bytearray(data)
    for _ in range(min(8, 1 + int(rng.expovariate(0.7)))):
        rng.choice(_BYTE_CHANGES)(content, rng)
    return bytes(content)


def _flip(content: bytearray, rng: Random) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _put_byte(content: bytearray, rng: Random) -> None:
    if content:
        content[rng.randrange(len(content))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))


def _put_number(content: bytearray, rng: Random) -> None:
    size, order = rng.choice((2, 4, 8)), rng.choice(("big", "little"))
    if len(content) >= size:
        at = rng.randrange(len(content) - size + 1)
        number = rng.choice(NUMBERS) % (1 << 8 * size)
        content[at : at + size] = number.to_bytes(size, "big" if order == "big" else "little")


def _cut_out(content: bytearray, rng: Random) -> None:
    start, stop = _stretch(content, rng)
    del content[start:stop]


def _repeat(content: bytearray, rng: Random) -> None:
    start, stop = _stretch(content, rng)
    content[stop:stop] = content[start:stop] * rng.choice((1, 1, 2, 20))


def _move_stretch(content: bytearray, rng: Random) -> None:
    start, stop = _stretch(content, rng)
    part = content[start:stop]
    at = rng.randrange(len(content) + 1)
    content[at : at + len(part)] = part


def _noise(content: bytearray, rng: Random) -> None:
    start, stop = _stretch(content, rng)
    content[start:stop] = rng.randbytes(stop - start)


def _end_early(content: bytearray, rng: Random) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _stretch(content: bytearray, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 4, 8, 16, 64, 256)))


_BYTE_CHANGES = (
    *(_flip, _flip, _put_byte, _put_byte, _put_number, _put_number),
    *(_cut_out, _repeat, _move_stretch, _noise, _end_early),
)


# JSON


def change_json(data: bytes, rng: Random) -> bytes:
    """Changes of values, names and order, and now and then of bytes."""
    if rng.random() < 0.1:
        return change_bytes(data, rng)
    try:
        tree = [json.loads(data)]
    except (ValueError, RecursionError):
        return change_bytes(data, rng)
    for _ in range(min(5, 1 + int(rng.expovariate(0.8)))):
        places = list(_places(tree))
        holder, key = rng.choice(places)
        _change_value(holder, key, places, rng)
        tree = tree[:1] or [None]
    return _dump(tree[0])


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode("ascii")


def _places(tree: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """(container, key) of every value inside; not too many, not too deep."""
    found: list[tuple[Any, Any]] = []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in list(keys)[:200]:
        found.append((tree, key))
        if isinstance(tree[key], dict | list) and depth < 30:
            found += _places(tree[key], depth + 1)
    return found


def _change_value(holder: Any, key: Any, places: list[tuple[Any, Any]], rng: Random) -> None:
    kind, value = rng.randrange(9), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, name = rng.choice(places)
        holder[key] = json.loads(_dump(other[name]))
    elif kind == 2 and isinstance(holder, dict):
        holder[rng.choice((str(key) + "x", str(key).upper(), "", "id", "size"))] = holder.pop(key)
    elif kind == 3 and isinstance(holder, list) and len(holder) < 3000:
        holder[key:key] = [value] * rng.choice((1, 1, 2, 40))
    elif kind == 4:
        holder[key] = rng.choice(([value], {str(key): value}, str(value), [value, value]))
    elif kind == 5 and isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = rng.choice((value + 1, value - 1, -value, float(value) if abs(value) < 1e300 else 0))
    elif kind == 6 and isinstance(value, str):
        holder[key] = _change_text(value, rng)
    else:
        holder[key] = deepcopy(rng.choice(VALUES))  # a later change may go into it


def _change_text(text: str, rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    piece = rng.choice(
        ("", "\0", "\ud800", "é", "[0]", "<|seg|>", '"', "\\", "0", "-", "/..", " ", text[:40])
    )
    return text[:at] + piece + text[at + rng.randrange(3) :]


def change_lines(data: bytes, rng: Random) -> bytes:
    """Lines of JSON: one of them changed, repeated, left out, or the bytes."""
    lines = data.split(b"\n")
    at, kind = rng.randrange(len(lines)), rng.random()
    if kind < 0.8:
        lines[at] = change_json(lines[at], rng)
    elif kind < 0.9:
        lines[at:at] = [lines[at]]
    elif kind < 0.95:
        del lines[at]
    else:
        return change_bytes(data, rng)
    return b"\n".join(lines)


# Files with checks of their own


def change_picture(data: bytes, rng: Random) -> bytes:
    """Bytes; the checksums of a PNG are mostly made right again, or nothing behind them is ever read."""
    changed = change_bytes(data, rng)
    return mend_png(changed) if data[:4] == b"\x89PNG" and rng.random() < 0.8 else changed


def mend_png(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them."""
    mended, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + size]
        if at + 12 + size > len(data):
            break
        mended += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(mended + data[at:])


def change_safetensors(data: bytes, rng: Random) -> bytes:
    """The header as JSON with its length made right, or the bytes of the file."""
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3 or size > len(data) - 8:
        return change_bytes(data, rng)
    header = change_json(data[8 : 8 + size], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def change_zip(data: bytes, rng: Random, of: Callable[[str], Change]) -> bytes:
    """One of the files in a zip, changed as `of(its name)` does; or the bytes of the zip itself."""
    if rng.random() < 0.1:
        return change_bytes(data, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, NotImplementedError):
        return change_bytes(data, rng)
    if not parts:
        return change_bytes(data, rng)
    name = rng.choice(sorted(parts))
    if rng.random() < 0.05:
        del parts[name]
    else:
        parts[name] = of(name)(parts[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
