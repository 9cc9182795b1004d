"""The judge of VideoRefer-Bench-D: a language model behind any OpenAI-compatible endpoint.

Replies are kept in `verdicts.jsonl` beside the predictions, each under a key that names judge, rubric and
both texts: what was judged once is not asked, or paid, again. The key of the service is only ever sent to the
service.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unipixel.core.progress import OnProgress, watched
from unipixel.data.sample import Caption, Sample
from unipixel.errors import ConfigError, UniPixelError
from unipixel.evaluation.metrics.judge import DIMENSIONS, HIGHEST
from unipixel.evaluation.predictions import Prediction, Problem, cut_half_line
from unipixel.evaluation.scoring import Source

FILE = "verdicts.jsonl"
URL_VARIABLE, KEY_VARIABLE, MODEL_VARIABLE = (
    "UNIPIXEL_JUDGE_URL",
    "UNIPIXEL_JUDGE_KEY",
    "UNIPIXEL_JUDGE_MODEL",
)
PUBLISHED_JUDGE = "gpt-4o-mini"
"""Which the published script calls; the benchmark itself says GPT-4o (quirk Q11)."""

_LETTERS_PER_TOKEN = 4
_EXPECTED_REPLY = 250  # tokens
_AGAIN = (408, 409, 429, 500, 502, 503, 504)

RUBRIC = f"""You compare two descriptions of one object in a video. The first is correct, the second was \
predicted by a system. Give the prediction a whole number from 0 to {HIGHEST} in each of four dimensions:

1. {DIMENSIONS[0]}: is it about the same thing, called by a fitting name?
2. {DIMENSIONS[1]}: do colour, shape, clothing, material and other looks agree?
3. {DIMENSIONS[2]}: do actions, movements and changes over time agree, in their order?
4. {DIMENSIONS[3]}: is it free of things that the correct description does not support? {HIGHEST} is free of \
them.

0 is wrong throughout, 3 is right in the main with mistakes that matter, {HIGHEST} is right in everything. \
Other words for the same count as the same. Do not reward length.

Answer with exactly four numbered lines and nothing before them. Each line is the number of the dimension, a \
full stop, a space, its name as above without any marks, a colon, a space, the score, then a semicolon and a \
reason of one short sentence, for example:
1. {DIMENSIONS[0]}: 4; the person is right, the role is not named.
"""


class JudgeError(UniPixelError):
    """The judge cannot be reached, refuses, or does not answer as it should."""


@dataclass(frozen=True)
class Judge:
    """Which judge, and how it is asked.

    Attributes:
        url: up to and without `/chat/completions`, such as `https://host/v1`.
        model: name of the judging model.
        key: of the service; never shown.
        rubric: what the judge is told.
        temperature, top_p, max_tokens: as published.
        tries: how often a question is sent at most.
        per_minute: how many questions a minute at most; None is no limit.
        timeout: seconds until a question counts as lost.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    rubric: str = RUBRIC
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 800
    tries: int = 5
    per_minute: float | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not self.model:
            raise ConfigError(
                f"The judge is {self.model!r} at {self.url!r}; give a name and an address that begins with "
                f"http:// or https:// (--judge-model, --url, or {MODEL_VARIABLE} and {URL_VARIABLE})."
            )
        if self.tries < 1 or self.timeout <= 0 or (self.per_minute is not None and self.per_minute <= 0):
            raise ConfigError(
                f"{self.tries} tries of {self.timeout} s, {self.per_minute} a minute; all must be above 0."
            )

    @classmethod
    def from_environment(
        cls, url: str | None = None, model: str | None = None, rubric: Path | None = None, **options: Any
    ) -> Judge:
        """A judge by options and, where they are not given, the environment.

        Raises:
            ConfigError: no address, or a file of the rubric that cannot be read.
        """
        found = url or os.environ.get(URL_VARIABLE) or os.environ.get("OPENAI_BASE_URL", "")
        name = model or os.environ.get(MODEL_VARIABLE) or PUBLISHED_JUDGE
        key = os.environ.get(KEY_VARIABLE) or os.environ.get("OPENAI_API_KEY", "")
        if not found:
            raise ConfigError(f"no judge is known; set {URL_VARIABLE} (and {KEY_VARIABLE}), or give --url")
        text = RUBRIC if rubric is None else _read(rubric)
        return cls(found.rstrip("/"), name, key, text, **options)

    def cache_key(self, correct: str, predicted: str) -> str:
        """Names a question to this judge."""
        parts = [self.model, self.rubric, str(self.temperature), str(self.top_p), correct, predicted]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def body(self, correct: str, predicted: str) -> dict[str, Any]:
        """What is sent: the rubric, and both texts behind the benchmark's marks."""
        asked = f"##Correct answer: {correct}\n##Predicted answer: {predicted}\n"
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": self.rubric},
                {"role": "user", "content": asked},
            ],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
        }


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the rubric cannot be read ({error}); give a text file.") from error


# What it costs


@dataclass(frozen=True)
class Price:
    """In any currency for a million tokens, read and written."""

    read: float = 0.0
    written: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Price:
        """`0.15,0.60`."""
        try:
            read, written = (float(part) for part in text.split(","))
        except ValueError as error:
            raise ConfigError(f"{text!r} is no price; write READ,WRITTEN per million tokens.") from error
        return cls(read, written)


@dataclass(frozen=True)
class Estimate:
    """What is still to be asked: questions, and tokens read and written (four letters are taken as one)."""

    questions: int
    known: int
    read: int
    written: int

    def cost(self, price: Price) -> float:
        """In the price's currency."""
        return (self.read * price.read + self.written * price.written) / 1e6


def check_cost(needed: Estimate, price: Price, most: float | None) -> None:
    """Raise ConfigError if judging would cost more than `most`, or nothing is known of the price."""
    if most is None:
        return
    if price == Price():
        raise ConfigError("a limit of the cost needs a price: --price READ,WRITTEN")
    if needed.cost(price) > most:
        raise ConfigError(
            f"judging {needed.questions} descriptions would cost about {needed.cost(price):.2f}, above the "
            f"limit of {most:.2f}; nothing was sent"
        )


def estimate(judge: Judge, asked: Sequence[tuple[Sample, Prediction]], folder: Path) -> Estimate:
    """What judging would take; nothing is sent."""
    known = load_verdicts(folder)
    left = [pair for pair in _texts(asked) if judge.cache_key(*pair) not in known]
    letters = sum(len(judge.rubric) + len(correct) + len(predicted) + 60 for correct, predicted in left)
    return Estimate(
        len(left),
        len(_texts(asked)) - len(left),
        math.ceil(letters / _LETTERS_PER_TOKEN),
        len(left) * min(_EXPECTED_REPLY, judge.max_tokens),
    )


def _texts(asked: Sequence[tuple[Sample, Prediction]]) -> list[tuple[str, str]]:
    answered = [(sample, prediction.text) for sample, prediction in asked if prediction.status == "answered"]
    return [(correct_of(sample), text) for sample, text in answered]


def correct_of(sample: Sample) -> str:
    """The right description."""
    first = sample.rounds[0]
    if not isinstance(first, Caption):
        raise ConfigError(f"Sample {sample.id} has no description that a judge could compare with.")
    return first.text


# Asking


Send = Callable[[Judge, Mapping[str, Any]], str]


def judge_all(
    judge: Judge,
    asked: Sequence[tuple[Sample, Prediction]],
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
    send: Send | None = None,
) -> int:
    """Have all answers judged that were not yet; how many were asked. Each reply is on the disk at once.

    Raises:
        JudgeError: the judge cannot be reached after all tries, or refuses.
    """
    send, known = send or ask_judge, load_verdicts(folder)
    left = [pair for pair in dict.fromkeys(_texts(asked)) if judge.cache_key(*pair) not in known]
    wait = 60.0 / judge.per_minute if judge.per_minute else 0.0
    cut_half_line(folder / FILE)
    with (folder / FILE).open("ab") as file:
        for number, pair in enumerate(watched(left, "judging", len(left), on_progress)):
            if number and wait:
                time.sleep(wait)
            reply = send(judge, judge.body(*pair))
            verdict = Verdict(judge.cache_key(*pair), texts_key(*pair), judge.model, reply)
            file.write(json.dumps(asdict(verdict), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return len(left)


@dataclass(frozen=True)
class Verdict:
    """A stored reply. key: names judge, rubric and texts; texts: names the texts alone."""

    key: str
    texts: str
    judge: str
    reply: str


def load_verdicts(folder: Path) -> dict[str, Verdict]:
    """Replies by key; a half line at the end is passed over, it is asked again."""
    file = folder / FILE
    found: dict[str, Verdict] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        try:
            verdict = Verdict(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[verdict.key] = verdict
    return found


def texts_key(correct: str, predicted: str) -> str:
    """Names a right and a predicted description."""
    return hashlib.sha256(f"{correct}\0{predicted}".encode()).hexdigest()[:24]


def ask_judge(judge: Judge, body: Mapping[str, Any]) -> str:
    """One question, tried again while the service is busy or away; the text of the reply."""
    said = ""
    for attempt in range(judge.tries):
        if attempt:
            time.sleep(min(30.0, 0.5 * 2**attempt))
        try:
            return _post(judge, body)
        except urllib.error.HTTPError as error:
            said = f"status {error.code}: {_safe(judge, error.read(400).decode('utf-8', 'replace'))}"
            if error.code not in _AGAIN:
                raise JudgeError(
                    f"the judge at {judge.url} refuses ({said}); check its address, model and key."
                ) from None
            time.sleep(_asked_to_wait(error.headers.get("Retry-After", "")))
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            said = _safe(judge, str(getattr(error, "reason", error)))
    raise JudgeError(f"the judge at {judge.url} gave no answer in {judge.tries} tries ({said}); go on later.")


def _post(judge: Judge, body: Mapping[str, Any]) -> str:
    headers = {"Content-Type": "application/json"}
    if judge.key:
        headers["Authorization"] = f"Bearer {judge.key}"
    request = urllib.request.Request(
        f"{judge.url}/chat/completions", json.dumps(body).encode(), headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=judge.timeout) as response:
        content = json.loads(response.read())
    reply = content["choices"][0]["message"]["content"]
    if not isinstance(reply, str) or not reply.strip():
        raise ValueError("the reply has no text")
    return reply


def _asked_to_wait(text: str) -> float:
    return min(60.0, float(text)) if text.replace(".", "", 1).isdigit() else 0.0


def _safe(judge: Judge, text: str) -> str:
    """What a service said, without the key, should it repeat it."""
    return text.replace(judge.key, "(key)") if judge.key else text


# Scoring


@dataclass
class WithVerdicts:
    """Predictions with what one judge said about them."""

    source: Source
    samples: Mapping[str, Sample]
    judge: str
    replies: Mapping[str, str]

    @classmethod
    def open(
        cls, source: Source, samples: Sequence[Sample], folder: Path, judge: str | None = None
    ) -> WithVerdicts:
        """Join predictions with the stored replies of a judge, the only one if none is named.

        Raises:
            ConfigError: several judges have replied, and none is named.
        """
        verdicts = load_verdicts(folder).values()
        judges = sorted({verdict.judge for verdict in verdicts})
        if judge is None and len(judges) > 1:
            raise ConfigError(
                f"{folder} has replies of {', '.join(judges)}; name one of these judges (--judge-model)."
            )
        name = judge or (judges[0] if judges else "")
        replies = {verdict.texts: verdict.reply for verdict in verdicts if verdict.judge == name}
        return cls(source, {sample.id: sample for sample in samples}, name, replies)

    @property
    def problems(self) -> list[Problem]:
        """Those of the predictions."""
        return self.source.problems

    def __contains__(self, sample: object) -> bool:
        return sample in self.source

    def read(self, sample: str) -> Prediction:
        """A prediction with its verdict, where there is one."""
        prediction = self.source.read(sample)
        key = texts_key(correct_of(self.samples[sample]), prediction.text)
        return replace(prediction, verdict=self.replies.get(key, ""))
