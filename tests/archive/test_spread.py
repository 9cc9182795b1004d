"""Worker processes, Ray, and plans."""

import os
import signal
from pathlib import Path

import pytest

from unipixel.archive import Asked, Manner, ModelName, Settings, annotate, find_items
from unipixel.archive.planning import Sampling, plan
from unipixel.archive.processes import Processes, gpus
from unipixel.archive.run import ArchiveProgress
from unipixel.errors import ConfigError
from unipixel.predictor import Predictor

ASKS = Asked(("Please segment the red circle.",))
MODEL = ModelName("unipixel-tiny", "cpu", "float32", threads=1)
SETTINGS = Settings(num_frames=4, chunk=2)


def children() -> list[int]:
    """Processes that this one has started (Linux)."""
    own = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    return [int(number) for number in Path(own).read_text().split()]


def test_processes_give_what_one_does_even_if_one_of_them_dies(
    archive: Path, model: Predictor, tmp_path: Path
) -> None:
    items = find_items([archive / "still-*.png"], ASKS)
    annotate(model, items, tmp_path / "one", SETTINGS)
    killed: list[int] = []

    def kill_one(_now: ArchiveProgress) -> None:
        if not killed:
            alive = [number for number in children() if b"spawn_main" in _command(number)]
            killed.append(alive[0])
            os.kill(alive[0], signal.SIGKILL)

    spread = Processes(("cpu", "cpu"))
    report = annotate(
        MODEL, items, tmp_path / "two", SETTINGS, spread=spread, manner=Manner(on_progress=kill_one)
    )
    assert killed and report.complete and (report.done, report.failed) == (5, 0)
    # The items of the chunk that was lost were asked one by one: sums in a batch round otherwise, so only
    # what is not a sum is compared.
    assert _names(tmp_path / "two") == _names(tmp_path / "one")


def _command(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def _names(folder: Path) -> list[bytes]:
    return [line.split(b",")[0] for line in (folder / "annotations.jsonl").read_bytes().splitlines()]


def test_there_must_be_a_gpu_of_that_number() -> None:
    with pytest.raises(ConfigError, match="--workers"):
        gpus("97")
    with pytest.raises(ConfigError, match="numbers such as"):
        gpus("first")


def test_a_plan_reckons_from_a_sample(archive: Path, model: Predictor) -> None:
    items = find_items([archive / "still-*.png", archive / "clip.mp4"], ASKS)
    found = plan(model, items, SETTINGS, Sampling(items=3, windows=1))
    assert (found.items, found.sampled, found.unreadable, found.timed) == (6, 3, 0, 3)
    assert found.windows.value == 6  # every item has one
    assert 0 < found.work_seconds.low <= found.work_seconds.value <= found.work_seconds.high
    assert found.bytes.value > 100 * 6
    text = found.text(workers=2)
    assert "days of this processor" in text and "with 2 workers" in text and "MB" in text


@pytest.mark.skipif("UNIPIXEL_RAY" not in os.environ, reason="starts Ray, which takes 20 s: UNIPIXEL_RAY=1")
def test_ray_gives_what_one_process_does(archive: Path, model: Predictor, tmp_path: Path) -> None:
    from unipixel.archive.on_ray import OnRay

    items = find_items([archive], ASKS)
    annotate(model, items, tmp_path / "one", SETTINGS)
    report = annotate(MODEL, items, tmp_path / "ray", SETTINGS, spread=OnRay(actors=2))
    assert report.complete and report.done == 7
    files = [tmp_path / name / "annotations.jsonl" for name in ("one", "ray")]
    assert files[0].read_bytes() == files[1].read_bytes()
    import ray

    nice = ray.remote(lambda: os.nice(0))
    assert ray.get(nice.remote()) == os.nice(0), "Ray that was started for it works with our own priority"
