"""Results as one HTML page that needs nothing else: scores, types, videos, the worst and best cases drawn.

Pictures are JPEGs inside the page. It stops drawing when it is full (`Look.most_bytes`), and says so.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from unipixel.core.frames import Frame
from unipixel.core.pixels import Mask, resize_mask
from unipixel.core.sampling import uniform_indices
from unipixel.core.writing import replacing
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Sample
from unipixel.errors import UniPixelError
from unipixel.evaluation.benchmark import Benchmark, Case
from unipixel.evaluation.metrics.boundary import boundary_map
from unipixel.evaluation.predictions import Prediction
from unipixel.evaluation.report import shown_bounds, shown_value
from unipixel.evaluation.results import Scored, claim_of
from unipixel.evaluation.scoring import Result, Score, Source

PREDICTED, TRUE = (30, 136, 229), (60, 220, 75)
"""Colours: blue and green, told apart by most colour-blind people."""

RANKED_BY = ("J&F", "IoU", "right", "average", "all frames")
"""By which value cases are ordered: the first that they have."""


@dataclass(frozen=True)
class Look:
    """How much is drawn.

    Attributes:
        cases: so many of the worst and of the best cases.
        clips: so many clips get a picture of their worst case.
        frames: pictures of a case.
        width: of a picture, in pixels.
        most_bytes: of the whole page.
    """

    cases: int = 12
    clips: int = 200
    frames: int = 4
    width: int = 256
    most_bytes: int = 25_000_000


@dataclass
class _Pictures:
    """Draws cases until the page is full."""

    samples: dict[str, Sample]
    source: Source
    look: Look
    used: int = 0
    left_out: int = 0
    _known: dict[str, str] = field(default_factory=dict)

    def of(self, case: Case, number: int) -> str:
        """`number` frames of a case as HTML; what cannot be drawn is said."""
        key = f"{case.sample} {number}"
        if key not in self._known:
            if self.used > self.look.most_bytes:
                self.left_out += 1
                return "<p class=quiet>not drawn: the page is full</p>"
            self._known[key] = self._draw(case, number)
            self.used += len(self._known[key])
            return self._known[key]
        return "<p class=quiet>drawn above</p>"

    def _draw(self, case: Case, number: int) -> str:
        sample = self.samples[case.sample]
        prediction = self.source.read(sample.id) if sample.id in self.source else None
        try:
            drawn = list(_frames(sample, prediction, number, self.look.width))
        except UniPixelError as error:
            return f"<p class=quiet>cannot be drawn: {escape(str(error))}</p>"
        pictures = "".join(
            f'<figure><img src="data:image/jpeg;base64,{picture}" loading=lazy alt="frame {frame}">'
            f"<figcaption>frame {frame}</figcaption></figure>"
            for frame, picture in drawn
        )
        return f"<div class=strip>{pictures}</div>"


def _frames(
    sample: Sample, prediction: Prediction | None, number: int, width: int
) -> Iterator[tuple[int, str]]:
    """Frame numbers and JPEGs (base64) with the predicted mask filled and the true one outlined."""
    if sample.media is None:
        return
    clip = sample.media.open()
    pool = sample.annotated or tuple(range(clip.num_frames))
    frames = [pool[place] for place in uniform_indices(len(pool), number)]
    truth = None
    if sample.masks is not None:
        truth = np.asarray(sample.masks.read(frames, clip.height, clip.width).any(axis=0))
    for place, frame in enumerate(frames):
        shown = _shown(prediction, frame, (clip.height, clip.width))
        true = truth[place] if truth is not None else None
        yield frame, _jpeg(clip.frame(frame), shown, true, width)


def _shown(prediction: Prediction | None, frame: int, size: tuple[int, int]) -> Mask | None:
    """The union of the predicted objects on a frame."""
    found = None
    for one in prediction.objects if prediction is not None else ():
        if frame in one.frames and one.size == size:
            mask = one.masks[one.frames.index(frame)].decode()
            found = mask if found is None else found | mask
    return found


def _jpeg(picture: Frame, shown: Mask | None, true: Mask | None, width: int) -> str:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    drawn = np.array(Image.fromarray(picture).resize((width, height)))
    if shown is not None:
        inside = resize_mask(shown, height, width)
        drawn[inside] = (drawn[inside] + np.array(PREDICTED)) // 2
    if true is not None:
        drawn[_outline(resize_mask(true, height, width))] = TRUE
    content = io.BytesIO()
    Image.fromarray(drawn).save(content, "JPEG", quality=75)
    return base64.b64encode(content.getvalue()).decode("ascii")


def _outline(mask: Mask) -> Mask:
    """The rim of a mask, two pixels wide."""
    edges = boundary_map(mask)
    edges[1:] |= edges[:-1]
    edges[:, 1:] |= edges[:, :-1]
    return edges


# The page


def write_page(
    scored: Scored, samples: Sequence[Sample], source: Source, file: Path, look: Look | None = None
) -> int:
    """Write the page; its size in bytes.

    Args:
        scored: the results.
        samples: all samples that were scored.
        source: their predictions.
        file: where the page goes; there is no other file.
        look: how much is drawn.
    """
    look = look or Look()
    pictures = _Pictures({sample.id: sample for sample in samples}, source, look)
    main = scored.results[0] if scored.results else None
    body = [_top(scored)]
    body += [_result(scored.benchmark, result) for result in scored.results]
    if main is not None:
        value = next((name for name in RANKED_BY if any(name in case.values for case in main.cases)), "")
        body += [_kinds(main), _extremes(main, value, pictures), _clips(main, value, pictures)]
        body.append(_trouble(main))
    if pictures.left_out:
        body.append(f"<p class=quiet>{pictures.left_out} pictures were left out: the page is full.</p>")
    content = _PAGE.format(title=escape(scored.benchmark.title), body="\n".join(body)).encode()
    with replacing(file) as temporary:
        temporary.write_bytes(content)
    return len(content)


def _top(scored: Scored) -> str:
    lines = [f"<h1>{escape(scored.benchmark.title)}</h1>", f"<p class=claim>{escape(scored.claim)}</p>"]
    if scored.manifest is not None:
        settings = scored.manifest.settings
        facts = {
            "model": settings.model,
            "fingerprint": settings.fingerprint,
            "arithmetic": settings.dtype,
            "wording": scored.wording,
            "seed": str(settings.seed),
            "data": ", ".join(f"{name}={value}" for name, value in settings.data.items()),
            "versions": ", ".join(f"{name} {value}" for name, value in scored.manifest.versions.items()),
        }
        lines.append(_table(("", ""), [(name, value) for name, value in facts.items() if value]))
    return "\n".join(lines)


def _result(benchmark: Benchmark, result: Result) -> str:
    rows = []
    for score in result.scores:
        figure = benchmark.figure(score.name, result.protocol)
        published = (figure.small, figure.large) if figure is not None else (None, None)
        shown = (
            shown_value(score.all, score.decimals),
            shown_bounds(score.all, score.decimals),
            shown_value(score.answered, score.decimals),
        )
        rows.append((score.name, *shown, *("" if value is None else f"{value:g}" for value in published)))
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.statuses.items()))
    about = f"{result.about}; {claim_of(result)}."
    return (
        f"<h2>Protocol {escape(result.protocol)}</h2><p>{escape(about)}</p>"
        f"<p>{result.total} samples: {escape(counts)}. One without an answer counts as "
        f"{escape(result.unscored)}.</p>" + _table(_COLUMNS, rows)
    )


def _kinds(result: Result) -> str:
    if not result.by_kind:
        return ""
    names = [score.name for score in next(iter(result.by_kind.values())) if score.main]
    rows = []
    for kind, scores in result.by_kind.items():
        found = {score.name: score for score in scores}
        count = sum(case.kind == kind for case in result.cases)
        rows.append((kind, str(count), *(_kind_score(found.get(name)) for name in names)))
    return "<h2>By type</h2>" + _table(("type", "cases", *names), rows, sortable=True)


def _kind_score(score: Score | None) -> str:
    return shown_value(score.all, score.decimals) if score is not None else ""


def _extremes(result: Result, value: str, pictures: _Pictures) -> str:
    ranked = sorted(
        (case for case in result.cases if value in case.values), key=lambda case: case.values[value]
    )
    if not ranked:
        return ""
    number = min(pictures.look.cases, max(1, len(ranked) // 2))
    worst, best = ranked[:number], ranked[::-1][:number] if len(ranked) > 1 else []
    parts = [f"<h2>Worst and best cases by {escape(value)}</h2>", _LEGEND]
    for title, cases in (("Worst", worst), ("Best", best)):
        parts.append(f"<h3>{title}</h3>")
        parts += [_case(case, pictures, pictures.look.frames) for case in cases]
    return "\n".join(parts)


def _case(case: Case, pictures: _Pictures, frames: int) -> str:
    sample = pictures.samples[case.sample]
    said = pictures.source.read(sample.id).text if sample.id in pictures.source else ""
    values = ", ".join(f"{name} {number:.3g}" for name, number in case.values.items())
    status = "" if case.status == "answered" else f" <b>{case.status}</b>: {escape(case.reason)}"
    return (
        f"<article><h4>{escape(case.sample)}</h4><p>{escape(words_of(sample))}</p>"
        f"<p class=quiet>answer: {escape(said[:500])}{status}</p><p class=quiet>{escape(values)}</p>"
        f"{pictures.of(case, frames)}</article>"
    )


def words_of(sample: Sample) -> str:
    """What a sample asks, in a line or a few."""
    first = sample.rounds[0]
    match first:
        case Expression():
            return first.text
        case Choice():
            letters = [chr(ord("A") + place) for place in range(len(first.options))]
            options = [f"({a}) {text}" for a, text in zip(letters, first.options, strict=True)]
            return f"{first.question} {' '.join(options)} Right: {first.letter}"
        case Caption():
            return f"Right: {first.text}"
        case Exchange():
            return first.question


def _clips(result: Result, value: str, pictures: _Pictures) -> str:
    groups: dict[str, list[Case]] = {}
    for case in result.cases:
        if value in case.values:
            groups.setdefault(case.clip, []).append(case)
    if not groups:
        return ""
    ranked: Callable[[Case], float] = lambda case: case.values[value]  # noqa: E731
    means = {clip: float(np.mean([ranked(case) for case in cases])) for clip, cases in groups.items()}
    order = sorted(groups, key=lambda clip: means[clip])
    parts = [f"<h2>By video</h2><p>{len(order)} videos by mean {escape(value)}, with their worst cases.</p>"]
    for place, clip in enumerate(order):
        worst = min(groups[clip], key=ranked)
        picture = pictures.of(worst, 1) if place < pictures.look.clips else ""
        rows = [
            (case.sample, f"{ranked(case):.3f}", case.kind, words_of(pictures.samples[case.sample]))
            for case in sorted(groups[clip], key=ranked)
        ]
        parts.append(
            f"<details><summary>{escape(clip)}: {means[clip]:.3f} over {len(rows)}</summary>"
            f"{picture}{_table(('sample', value, 'type', 'words'), rows, sortable=True)}</details>"
        )
    return "\n".join(parts)


def _trouble(result: Result) -> str:
    unscored = [case for case in result.cases if case.status != "answered"]
    parts = []
    if unscored:
        rows: list[tuple[str, ...]] = [(case.sample, case.status, case.reason) for case in unscored[:500]]
        parts.append(f"<h2>Unscored: {len(unscored)}</h2>{_table(('sample', 'status', 'reason'), rows)}")
    if result.problems:
        rows = [(problem.kind, problem.where, problem.found) for problem in result.problems[:500]]
        parts.append(f"<h2>Problems: {len(result.problems)}</h2>{_table(('kind', 'where', 'found'), rows)}")
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sortable: bool = False) -> str:
    kind = " class=sortable" if sortable else ""
    top = "".join(f"<th>{escape(name)}</th>" for name in head) if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


_COLUMNS = ("metric", "score", "95 % interval", "of the answered", "published 3B", "published 7B")

_LEGEND = "<p class=quiet>Blue, filled: predicted. Green, outlined: true.</p>"

_PAGE = """<!doctype html>
<html lang=en><head><meta charset=utf-8><title>{title}</title>
<meta name=viewport content="width=device-width">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; margin: .6em 0; }}
th, td {{ padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }}
.sortable th {{ cursor: pointer; text-decoration: underline dotted; }}
article {{ border-top: 1px solid #ddd; padding: .4em 0; }}
h4 {{ margin: .3em 0; }} article p {{ margin: .15em 0; }}
.quiet {{ color: #666; }} .claim {{ font-weight: 600; }}
.strip {{ display: flex; flex-wrap: wrap; gap: 6px; }}
figure {{ margin: 0; }} figcaption {{ font-size: 12px; color: #666; }}
summary {{ cursor: pointer; padding: .25em 0; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #181818; color: #ddd; }} th, td, article {{ border-color: #444; }}
  .quiet, figcaption {{ color: #999; }}
}}
</style></head><body>
{body}
<script>
for (const head of document.querySelectorAll(".sortable th")) head.onclick = () => {{
  const body = head.closest("table").tBodies[0], place = head.cellIndex;
  const down = head.dataset.down = head.dataset.down === "1" ? "" : "1";
  const key = row => row.cells[place].textContent;
  const order = (a, b) => isNaN(a - b) ? a.localeCompare(b) : a - b;
  const rows = [...body.rows].sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1));
  rows.forEach(row => body.append(row));
}};
</script></body></html>
"""
