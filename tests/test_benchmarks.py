"""The benchmarks run and print their tables; what they measure is for quiet machines."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_objects_encodes_each_frame_once_and_gives_the_same_masks() -> None:
    command = [sys.executable, "benchmarks/objects.py", "--frames", "2", "--objects", "1,3", "--side", "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [[int(row[i]) for i in (0, 2, 4)] for row in rows] == [[1, 2, 2], [3, 2, 6]]
    assert all(float(row[6]) < 1e-3 for row in rows), "pixels that differ"
