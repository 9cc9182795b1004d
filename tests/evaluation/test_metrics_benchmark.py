"""The benchmark of J and F runs, and what it compares gives the same numbers; its times are for quiet
machines."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_compares_equal_scores() -> None:
    command = ["benchmarks/metrics.py", "--clips", "2", "--frames", "2", "--size", "60x90", "--passes", "1"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 2 and all(float(row[3]) < 1e-9 for row in rows)
    assert "2 clips | one process | 2 processes" in done.stdout
