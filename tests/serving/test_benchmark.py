"""The load benchmark runs and counts; what it measures is for quiet machines."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time is read from /proc")
def test_the_load_benchmark_counts_answers_and_errors() -> None:
    options = ("--clients", "2", "--owners", "1", "--alone", "1", "--seconds", "2", "--rounds", "1")
    command = [sys.executable, "benchmarks/serving.py", *options, "--media", "1", "--loads", "clicks,mixed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == ["clicks", "mixed"]
    assert all(float(cell) > 0 for row in rows for cell in row[1:])
    assert re.search(r"answers by status: \d+ x 200\n", done.stdout), "nothing but answers"
    assert re.search(r"/health: \d+ times, 0 failed", done.stdout)
    assert len(re.findall(r"\d+", done.stdout.splitlines()[-1])) == 2, "memory before and after the round"
