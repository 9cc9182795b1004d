"""Ways to say things: the templates of every family of tasks.

Those in `wordings/default.json` are the project's own, in the published shapes and numbers; a user may
replace any family by a file of the same form. What is protocol (the heads of options, the openings of
answers) is spelled here and cannot be replaced.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from numpy.random import Generator

from unipixel.core.conversation import Part, Segment
from unipixel.core.tokens import ADDED_TOKENS, SEG
from unipixel.errors import DataError

OPTIONS = "\nOptions:\n"
"""What stands between a question and its options."""

REGION_OPENING = "The best option is ("
"""How the answer to a choice about marked objects begins."""
GENERAL_OPENING = "Best Option: ("
"""How the answer to a choice about a whole clip begins."""


@dataclass(frozen=True)
class Family:
    """What the templates of one family hold: each of the `slots` once at least, `<|seg|>` `masks` times."""

    slots: tuple[str, ...]
    masks: int = 0
    fixed: int = 0
    """Which template evaluation takes."""


FAMILIES: Mapping[str, Family] = {
    "query_image": Family(("query",), fixed=1),
    "query_video": Family(("query",), fixed=1),
    "sentence": Family(("query",)),
    "explanatory": Family(("query",)),
    "question": Family(("query",)),
    "description": Family(("query",)),
    "part": Family(("object", "part")),
    "answer": Family((), masks=1),
    "question_answer": Family(("answer",), masks=1),
    "brief": Family(("object",)),
    "detailed": Family(("object",)),
    "highlighted": Family(("object",)),
    "localise": Family(("question",)),
    "choice_region": Family(()),
    "choice_general": Family(()),
}
"""query_*: words for things; sentence, explanatory, question, description: the other forms of expressions;
part: the name of a part; answer: what is said with a mask; question_answer: with an answer in words;
brief, detailed: requests for captions, where {object} is `[3]` or a `<|ref|>`; highlighted: the request for
a detailed caption in evaluation; localise: around a question, {question}, without its full stop, whose
objects are to be masked; choice_*: what follows the options, about marked objects and about whole clips."""


@dataclass(frozen=True)
class Wording:
    """Templates by family; every family of FAMILIES has at least one.

    Templates are as for `str.format` with the family's named slots; `<|seg|>` is where the mask stands.
    Raises DataError, with file and place, for anything else.
    """

    families: tuple[tuple[str, tuple[str, ...]], ...]
    file: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        names = [name for name, _ in self.families]
        if sorted(names) != sorted(FAMILIES):
            missing = sorted(set(FAMILIES) - set(names))
            raise DataError(self.file, "", f"families {names}", f"every family once; missing are {missing}")
        for name, templates in self.families:
            if not templates:
                raise DataError(self.file, name, "no template", "at least one")
            for number, template in enumerate(templates):
                _check(template, FAMILIES[name], self.file, f"{name}[{number}]")

    @classmethod
    def default(cls) -> Wording:
        """The project's own."""
        return _default()

    @classmethod
    def open(cls, file: str | Path) -> Wording:
        """A user's templates, JSON: an object of lists of texts by family; or a bundled one by its name
        ("made_up": shorter ways to ask as well). Families that the file does not have stay the project's own.

        Raises:
            DataError: the file is missing or broken, or has an unknown family or an unfit template.
        """
        bundled = files("unipixel.data") / "wordings" / f"{file}.json"
        path = Path(str(bundled)) if bundled.is_file() else Path(file)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(path, "", f"no readable JSON ({error})", "an object of lists of texts") from error
        return cls(tuple({**dict(_default().families), **_read(content, str(path))}.items()), str(path))

    @property
    def hash(self) -> str:
        """Names what is said: equal wordings have equal hashes, wherever they were read."""
        text = json.dumps(dict(self.families), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

    def of(self, family: str) -> tuple[str, ...]:
        """All templates of a family."""
        return dict(self.families)[family]

    def pick(self, family: str, rng: Generator | None) -> str:
        """One template of a family: drawn, or without `rng` the one that evaluation always takes."""
        templates = self.of(family)
        if rng is not None:
            return templates[rng.integers(len(templates))]
        return templates[min(FAMILIES[family].fixed, len(templates) - 1)]


def fill(template: str, **words: Part) -> tuple[Part, ...]:
    """A template with its slots filled by text or `Refer`s; its `<|seg|>` become `Segment`s, words that look
    like control tokens stay words."""
    parts: list[Part] = []
    for literal, slot, _, _ in string.Formatter().parse(template):
        first, *rest = literal.split(SEG)
        parts.append(first)
        for text in rest:
            parts += [Segment(), text]
        if slot is not None:
            parts.append(words[slot])
    return joined(parts)


def fill_text(template: str, **words: str) -> str:
    """A template without masks, with its slots filled by text."""
    return template.format(**words)


def joined(parts: list[Part]) -> tuple[Part, ...]:
    """The same parts with neighbouring text as one, without empty text."""
    result: list[Part] = []
    for part in parts:
        if isinstance(part, str) and result and isinstance(result[-1], str):
            result[-1] += part
        elif part != "":
            result.append(part)
    return tuple(part for part in result if part != "")


@cache
def _default() -> Wording:
    file = files("unipixel.data") / "wordings" / "default.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    return Wording(tuple(_read(content, str(file)).items()), str(file))


def _read(content: object, file: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(content, dict):
        raise DataError(file, "", f"a {type(content).__name__}", "an object of lists of texts by family")
    result: dict[str, tuple[str, ...]] = {}
    for name, templates in content.items():
        if name not in FAMILIES:
            close = difflib.get_close_matches(name, FAMILIES, n=1)
            meant = f"{close[0]!r}, or another of: " if close else "one of: "
            raise DataError(file, name, "an unknown family", meant + ", ".join(FAMILIES))
        if not isinstance(templates, list) or not all(isinstance(text, str) for text in templates):
            raise DataError(file, name, f"{templates!r:.80}", "a list of texts")
        result[name] = tuple(templates)
    return result


def _check(template: str, family: Family, file: str, place: str) -> None:
    wanted = ", ".join(f"{{{slot}}}" for slot in family.slots) or "no slot"
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise DataError(
            file, place, f"{template!r} ({error})", f"text with {wanted}; braces double"
        ) from error
    slots = [slot for _, slot, _, _ in pieces if slot is not None]
    plain = not any(spec or conversion for _, _, spec, conversion in pieces)
    if set(slots) != set(family.slots) or not plain:
        raise DataError(file, place, f"{template!r}", f"text with {wanted} and no other slot")
    masks = template.count(SEG)
    if masks != family.masks:
        raise DataError(file, place, f"{masks} {SEG} in {template!r}", f"{family.masks} of them")
    others = [name for name in ADDED_TOKENS if name != SEG and name in template]
    if others or not template.strip():
        found = f"{others[0]} in {template!r}" if others else "an empty template"
        raise DataError(file, place, found, f"text with {wanted}; pointers and objects come from the sample")
