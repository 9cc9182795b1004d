"""The benchmarks of archives, on what was kept of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows_of(name: str, *options: str) -> list[list[str]]:
    """The cells of the table that a benchmark prints, without its head."""
    command = [sys.executable, f"benchmarks/{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]]


def test_ways_to_better_masks_are_compared_on_the_same_clips(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    gains = {"published": 0.0, "start clearest": 0.25}
    lines = [
        {"clip": clip, "kind": kind, "way": way, "j_and_f": 0.1 * clip + gain, "seconds": 1.0}
        for clip, kind in enumerate(("absent", "small") * 3)
        for way, gain in gains.items()
    ]
    # A clip that was not asked in every way, as after a kill, counts for none.
    lines.append({"clip": 6, "kind": "absent", "way": "start clearest", "j_and_f": 0.9, "seconds": 1.0})
    kept.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rows = rows_of("better_masks.py", "--from", str(kept))
    assert [row[:3] for row in rows] == [
        [way, kind, count]
        for way in gains
        for kind, count in (("absent", "3"), ("small", "3"), ("either", "6"))
    ]
    assert [row[3].split(" ")[0] for row in rows] == ["0.200", "0.300", "0.250", "0.450", "0.550", "0.500"]
    assert [row[4] for row in rows] == [""] * 3 + ["+0.250 [+0.250, +0.250]"] * 3
