"""Lines of a person's own data that are damaged, and what their problems are called: one table."""

import json
from typing import Any

from tests.data.own_data import HEIGHT, WIDTH


def said(question: str, answer: str) -> list[dict[str, Any]]:
    return [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]


SQUARE = {"polygons": [[10, 10, 40, 10, 40, 40, 10, 40]]}


BOTH = [{"id": 1, "regions": [SQUARE]}, {"id": 2, "regions": [SQUARE]}]


def find(objects: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A right item but for what is given."""
    turns = [{"role": "user", "expression": "the cup"}, {"role": "assistant", "masks": [1]}]
    item = {"id": "a", "task": "segment", "media": {"image": "pictures/cups.jpg"}, "conversation": turns}
    return item | {"objects": objects} | fields


def one(region: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return find([{"id": 1, "regions": [region]}], **fields)


def video(region: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return one(region, media={"video": "clips/kitchen.mp4"}, **fields)


def turn(question: dict[str, Any], answer: dict[str, Any], **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", **question}, {"role": "assistant", **answer}]
    return find(BOTH, **({"conversation": turns} | fields))


GOOD = find(BOTH)


RUN = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH - 9, 9]}


DAMAGE: dict[str, tuple[Any, str, str, str]] = {
    # the line
    "broken JSON": (b'{"id": "a", ', "column 13", "no JSON", "one JSON object"),
    "not UTF-8": (b'{"id": "\xff"}', "", r"no UTF-8 (byte 9 of the line, b'\xff')", "text in UTF-8"),
    "an empty line": (b"", "", "an empty line", "an item"),
    "no object": ([1], "", "a list with 1 items", "an object"),
    "too deep": (b"[" * 100_000, "", "lists within lists without end", "one JSON object"),
    "a field twice": (b'{"id": "a", "id": "b"}', "id", "the field 'id' twice", "each field once"),
    "NaN": (b'{"id": NaN}', "", "the number NaN", "finite numbers"),
    # its fields
    "unknown field": (GOOD | {"medai": 1}, "medai", "the unknown field 'medai'", "did you mean 'media'?"),
    "unknown field of a region": (
        one(SQUARE | {"frme": 0}),
        "objects[0].regions[0].frme",
        "unknown",
        "'frame'",
    ),
    "unknown field of a turn": (
        turn({"expression": "a cup", "from": "query"}, {"masks": [1]}),
        "conversation[0].from",
        "unknown",
        "'form'",
    ),
    "no id": ({k: v for k, v in GOOD.items() if k != "id"}, "id", "nothing", "this field"),
    "empty id": (GOOD | {"id": " "}, "id", "' '", "words"),
    "wrong type of a field": (
        GOOD | {"objects": {"1": SQUARE}},
        "objects",
        "an object with 1 items",
        "a list",
    ),
    "number in quotes": (
        find([{"id": "1", "regions": [SQUARE]}]),
        "objects[0].id",
        "'1'",
        "a whole number from 0",
    ),
    "true for a number": (
        one({"frame": True, **SQUARE}),
        "objects[0].regions[0].frame",
        "True",
        "a whole number",
    ),
    "unknown task": (GOOD | {"task": "segmnt"}, "task", "'segmnt'", "did you mean 'segment'?"),
    "no media": (
        {k: v for k, v in GOOD.items() if k != "media"},
        "media",
        "nothing",
        "a picture, a video or frames",
    ),
    "two kinds of media": (
        GOOD | {"media": {"image": "a", "video": "b"}},
        "media",
        "['image', 'video']",
        "exactly one",
    ),
    "facts of another kind": (
        GOOD | {"facts": {"a": [1]}},
        "facts.a",
        "a list with 1 items",
        "text, a number",
    ),
    # paths
    "a path out of the root": (
        GOOD | {"media": {"image": "../a.jpg"}},
        "media.image",
        "'../a.jpg'",
        "a path relative",
    ),
    "an absolute path": (
        one({"png": "/etc/a.png"}),
        "objects[0].regions[0].png",
        "'/etc/a.png'",
        "a path relative",
    ),
    "missing picture": (
        GOOD | {"media": {"image": "no.jpg"}},
        "media.image",
        "no file 'no.jpg'",
        "a file in",
    ),
    "missing frame": (
        one({"frame": 0, **SQUARE}, media={"frames": ["market/0.jpg", "market/7.jpg"]}),
        "media.frames[1]",
        "no file 'market/7.jpg'",
        "a file in",
    ),
    "missing video": (
        video({"frame": 0, **SQUARE}) | {"media": {"video": "clips/no.mp4"}},
        "media.video",
        "no file",
        "a file in",
    ),
    "a missing mask of a missing picture": (
        one({"png": "masks/no.png"}, media={"image": "no.jpg"}),
        "objects[0].regions[0].png",
        "no file",
        "a file in",
    ),
    "a picture that is called a mask": (
        one({"png": "masks/jpeg.png"}),
        "objects[0].regions[0]",
        "a JPEG cannot hold a mask",
        "files that can be read",
    ),
    "a mask of another kind": (one({"png": "a.jpg"}), "objects[0].regions[0].png", "'a.jpg'", "a PNG"),
    "missing mask": (
        one({"png": "masks/no.png"}),
        "objects[0].regions[0].png",
        "no file 'masks/no.png'",
        "a file in",
    ),
    "a damaged picture": (
        GOOD | {"media": {"image": "damaged.jpg"}},
        "media",
        "damaged.jpg",
        "files that can be read",
    ),
    # sizes
    "PNG of another size": (
        one({"png": "masks/small.png"}),
        "objects[0].regions[0].png",
        "small.png of 160x50",
        "160x120",
    ),
    "RLE of another size": (
        one({"rle": {"size": [60, 80], "counts": [4791, 9]}}),
        "objects[0].regions[0].rle.size",
        "80x60",
        "160x120",
    ),
    "RLE that covers too little": (
        one({"rle": {"size": [120, 160], "counts": [5, 9]}}),
        "objects[0].regions[0].rle",
        "cover 14 pixels",
        "COCO",
    ),
    "RLE of nonsense": (
        one({"rle": {"size": [120, 160], "counts": "~~"}}),
        "objects[0].regions[0].rle",
        "damaged",
        "COCO",
    ),
    "another size than the picture": (
        GOOD | {"media": {"image": "pictures/cups.jpg", "width": 80, "height": 60}},
        "media.width",
        "80x60",
        "160x120",
    ),
    "a width without height": (
        GOOD | {"media": {"image": "a.jpg", "width": 8}},
        "media",
        "an object",
        "both width and",
    ),
    # coordinates
    "NaN coordinates": (
        json.dumps(one({"box": [1, 2, float("nan"), 4]})).encode(),
        "",
        "the number NaN",
        "finite numbers",
    ),
    "too large a number": (
        b'{"id": "a", "task": "chat", "media": {"frames": ["a.jpg"], "fps": 1e999}, "conversation": []}',
        "media.fps",
        "inf",
        "a finite number",
    ),
    "swapped corners": (
        one({"box": [40, 10, 10, 40]}),
        "objects[0].regions[0].box",
        "swapped corners",
        "x1 <= x2",
    ),
    "polygon of 2 points": (
        one({"polygons": [[1, 2, 3, 4]]}),
        "objects[0].regions[0].polygons[0]",
        "4 numbers",
        "at least 3 points",
    ),
    "odd polygon": (
        one({"polygons": [[1] * 7]}),
        "objects[0].regions[0].polygons[0]",
        "7 numbers",
        "at least 3 points",
    ),
    "no polygon": (one({"polygons": []}), "objects[0].regions[0].polygons", "no polygon", "at least one"),
    "polygon outside": (
        one({"polygons": [[500, 10, 540, 10, 540, 40]]}),
        "objects[0].regions[0].polygons[0]",
        "outside",
        "160x120",
    ),
    "polygon without a pixel": (
        one({"polygons": [[5, 5, 5, 5, 5, 5]]}),
        "objects[0].regions[0].polygons",
        "without a pixel",
        "an outline",
    ),
    "box outside the picture": (
        one({"box": [10, 10, 200, 40]}, task="refer", conversation=said("[1]?", "A cup.")),
        "objects[0].regions[0].box",
        "[10.0, 10.0, 200.0, 40.0]",
        "x from 0 to 159",
    ),
    "a box of 3 numbers": (
        one({"box": [1, 2, 3]}),
        "objects[0].regions[0].box",
        "a list with 3 items",
        "4 numbers",
    ),
    # time
    "frame out of range": (
        one({"frame": 2, **SQUARE}, media={"frames": ["market/0.jpg", "market/1.jpg"]}),
        "objects[0].regions[0]",
        "frame 2",
        "frames 0 to 1",
    ),
    "frame behind a video": (
        video({"frame": 24, **SQUARE}),
        "objects[0].regions[0]",
        "frame 24",
        "frames 0 to 23",
    ),
    "swapped frames": (
        video({"frames": [5, 2], **SQUARE}),
        "objects[0].regions[0].frames",
        "frames 5 to 2",
        "first",
    ),
    "negative time": (
        video({"seconds": [-1, 2], **SQUARE}),
        "objects[0].regions[0].seconds",
        "-1 to 2 seconds",
        "the beginning",
    ),
    "seconds without a clock": (
        one({"seconds": [0, 1], **SQUARE}, media={"frames": ["market/0.jpg"] * 2}),
        "objects[0].regions[0]",
        "0 to 1 seconds",
        '"fps" in `media`',
    ),
    "seconds behind a video": (
        video({"seconds": [50, 60], **SQUARE}),
        "objects[0].regions[0]",
        "without a frame",
        "a time in which",
    ),
    "no time in a video": (
        video(SQUARE),
        "objects[0].regions[0]",
        "no time",
        '"frame", "frames" or "seconds"',
    ),
    "two times": (
        video({"frame": 1, "seconds": [0, 1], **SQUARE}),
        "objects[0].regions[0]",
        "['frame', 'sec",
        "one of",
    ),
    "outside of its existence": (
        find(
            [{"id": 1, "exists": [{"frames": [0, 3]}], "regions": [{"frame": 4, **SQUARE}]}],
            media={"video": "clips/kitchen.mp4"},
        ),
        "objects[0].regions[0]",
        "frame 4, when the object does not exist",
        "a time inside",
    ),
    "outside of its existence, by two clocks": (
        find(
            [{"id": 1, "exists": [{"seconds": [0, 1]}], "regions": [{"frame": 12, **SQUARE}]}],
            media={"video": "clips/kitchen.mp4"},
        ),
        "objects[0].regions[0]",
        "frame 12, when the object does not exist",
        "a time inside",
    ),
    "annotated frames in disorder": (
        video({"frame": 1, **SQUARE}, annotated=[3, 1]),
        "annotated",
        "[3, 1]",
        "increasing frame numbers",
    ),
    "a key frame that is not there": (
        video({"frame": 1, **SQUARE}, key_frame=99),
        "key_frame",
        "frame 99",
        "0 to 23",
    ),
    # objects
    "duplicate object ids": (
        find([BOTH[0], BOTH[0]]),
        "objects[1].id",
        "1 again",
        "a number unlike objects[0]",
    ),
    "an id without object": (
        turn({"expression": "x"}, {"masks": [7]}),
        "conversation[1].masks",
        "[7], which no object is",
        "[1, 2]",
    ),
    "an id in a text without object": (
        turn({"text": "Where?"}, {"text": "It is [9]."}),
        "conversation[1].text",
        "[9], which no object is",
        "[1, 2]",
    ),
    "a box where a mask is needed": (
        one({"box": [1, 2, 3, 4]}),
        "conversation[1].masks",
        "object [1] with only boxes or points",
        "a mask (rle",
    ),
    "a box where what is under it is needed": (
        one({"box": [1, 2, 3, 4]}, task="describe", conversation=said("[1]?", "A cup.")),
        "conversation[0].text",
        "object [1] with only boxes or points",
        "use task 'refer'",
    ),
    "an object without region": (
        find([{"id": 1}]),
        "conversation[1].masks",
        "object [1] with no region",
        "a mask",
    ),
    "masks without a pixel": (
        one({"png": "masks/street.png", "value": 5}),
        "objects[0]",
        "masks without a pixel",
        "an object that is seen",
    ),
    "two encodings in one region": (
        one(SQUARE | RUN),
        "objects[0].regions[0].counts",
        "unknown field",
        "one of",
    ),
    "a box to be ignored": (
        find(BOTH, ignored=[{"box": [1, 2, 3, 4]}]),
        "ignored[0]",
        "a box or point",
        "a mask",
    ),
    # the conversation
    "empty text": (turn({"text": ""}, {"text": "[1]"}), "conversation[0].text", "''", "words"),
    "no turns": (
        find(BOTH, conversation=[]),
        "conversation",
        "a list with nothing in it",
        "a question and its answer",
    ),
    "no answer": (
        find(BOTH, conversation=[{"role": "user", "text": "x"}]),
        "conversation[0]",
        "an object",
        "an assistant's turn",
    ),
    "wrong order": (
        find(BOTH, conversation=said("a", "[1]")[::-1]),
        "conversation[0].role",
        "'assistant'",
        "the user begins",
    ),
    "masks asked of a text": (
        turn({"text": "Where?"}, {"masks": [1]}),
        "conversation[1].masks",
        "unknown field",
        "one of",
    ),
    "no mask in any answer": (
        turn({"text": "Where?"}, {"text": "There."}),
        "conversation",
        "no mask in any answer",
        '"masks"',
    ),
    "pointing without a pointer": (
        turn({"text": "What is beside [1]?"}, {"text": "[2]"}),
        "conversation[0].text",
        "[1], which no answer",
        "'remember'",
    ),
    "nothing pointed at": (
        turn({"text": "Where?"}, {"text": "[1]"}, task="refer"),
        "conversation",
        "no object in any question",
        "an [id]",
    ),
    "a control token": (
        turn({"text": "x"}, {"text": "It is <|seg|>, [1]."}),
        "conversation[1]",
        "'<|seg|>' in the text",
        "plain words",
    ),
    "a region tag": (
        turn({"text": "What is <region1>?"}, {"text": "[1]"}),
        "conversation[0]",
        "'<region1>' in the text",
        "plain words",
    ),
    "a placeholder": (
        find([], task="chat", conversation=said("<image>\nWhat?", "x")),
        "conversation[0]",
        "'<image>'",
        "plain words",
    ),
    "an object twice in a mask": (
        turn({"expression": "x"}, {"masks": [1, 1]}),
        "conversation[1].masks",
        "[1, 1]",
        "each object once",
    ),
    "a part without its name": (
        turn({"expression": "cup", "form": "part"}, {"masks": [1]}),
        "conversation[0]",
        "form 'part' with part ''",
        "both",
    ),
    "an explanation that is missing": (
        turn({"expression": "cup", "form": "explanatory"}, {"masks": [1]}),
        "conversation[1]",
        "no text",
        "the words",
    ),
    "a letter of no option": (
        turn({"text": "x", "options": ["a", "b"]}, {"option": "C"}, task="choose"),
        "conversation[1].option",
        "'C'",
        "['A', 'B']",
    ),
    "one option": (
        turn({"text": "x", "options": ["a"]}, {"option": "A"}, task="choose"),
        "conversation[0].options",
        "1 items",
        "2 to 26",
    ),
    "a turn of another task": (
        turn({"describe": 1}, {"text": "x"}),
        "conversation[0]",
        "task 'segment' does not",
        '"expression"',
    ),
    "objects in talk": (
        find(BOTH, task="chat", conversation=said("a", "b")),
        "objects",
        "2 objects",
        "chat cannot",
    ),
}
"""What is damaged -> (the item, or the bytes of the line; where; what is found; what is expected)."""
