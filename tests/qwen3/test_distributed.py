"""Two processes do what one does, as in tests/training, with the other base model."""

from pathlib import Path

import torch
from tests.training.test_distributed import STEPS, alone, in_two_processes  # noqa: F401


def test_two_processes_with_shards_do_what_one_does(alone: tuple[Path, list[str]], tmp_path: Path) -> None:  # noqa: F811
    folder, recipe_words = alone
    in_two_processes("two_processes.py", str(tmp_path), str(STEPS), *recipe_words, "strategy=fsdp")
    expected, found = torch.load(folder / "gradients.pt"), torch.load(tmp_path / "gradients.pt")
    whole = torch.cat([value.flatten() for value in expected.values()])
    other = torch.cat([found[name].flatten() for name in expected])
    assert float((whole - other).norm() / whole.norm()) < 1e-5
