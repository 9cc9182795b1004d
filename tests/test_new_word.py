"""The example that teaches a word: its files are a person's own data, and its scores are fair."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from unipixel.core.media import Clip
from unipixel.data.checking import check_jsonl
from unipixel.data.jsonl import open_jsonl
from unipixel.training.plan import make_plan
from unipixel.training.recipe_file import read_recipe

FILE = Path(__file__).parents[1] / "examples" / "new_word.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("new_word", FILE)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["new_word"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(example: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zorbs")
    example.make(folder, clips=2)
    return folder


def test_the_clips_are_own_data_with_one_zorb_each(example: ModuleType, made: Path) -> None:
    for split in ("train", "test"):
        problems: list[object] = []
        check_jsonl(made / f"{split}.jsonl", None, problems.append)
        assert problems == []
        data = open_jsonl(made / f"{split}.jsonl")
        asked = [data[index].rounds[0].question for index in range(len(data))]
        assert len(asked) == 6 and asked.count("Segment the zorb.") == 2
        assert "Segment the green triangle." not in asked, "nobody says what the word stands for"
        for facts in sorted((made / "clips").glob(f"{split}_*.json")):
            scene = json.loads(facts.read_text())
            target = scene["things"].pop(scene["target"])
            assert (target["colour"], target["shape"]) == ("green", "triangle")
            others = [(thing["colour"] == "green", thing["shape"] == "triangle") for thing in scene["things"]]
            assert sorted(others) == [(False, True), (True, False)], "neither alone is enough"
    clips = {
        split: {path.read_bytes() for path in made.glob(f"clips/{split}_*.mp4")}
        for split in ("train", "test")
    }
    assert len(clips["train"]) == len(clips["test"]) == 2 and not clips["train"] & clips["test"]


def test_the_recipe_takes_the_file_as_it_is(made: Path) -> None:
    recipe = read_recipe("finetune_tiny", [f"data.zorbs.file={made / 'train.jsonl'}"])
    plan = make_plan(recipe)
    assert plan.steps == 120 and plan.trained > 0
    assert recipe.parts.language.how == recipe.parts.visual.how == "lora"


class Knowing:
    """A model that finds a thing by its outline in the files, or everything but it."""

    def __init__(self, file: Path, right: bool) -> None:
        data = open_jsonl(file)
        self.samples = [data[index] for index in range(len(data))]
        self.right = right

    def ask(self, clip: Clip, question: str) -> SimpleNamespace:
        said = [
            s for s in self.samples if s.media.open().name == clip.name and s.rounds[0].question == question
        ]
        assert len(said) == 1 and said[0].masks is not None
        truth = said[0].masks.read(range(clip.num_frames), clip.height, clip.width)[0]
        masks = SimpleNamespace(to_array=lambda: truth if self.right else ~truth)
        return SimpleNamespace(objects=[SimpleNamespace(masks=masks)])


def test_scores_compare_clip_by_clip(example: ModuleType, made: Path) -> None:
    file = made / "test.jsonl"
    bad, good = (example.score(Knowing(file, right), file) for right in (False, True))
    assert [found.iou for found in good] == [1.0] * 6 and [found.iou for found in bad] == [0.0] * 6
    assert len({found.clip for found in good}) == 2, "things of one clip are drawn together"
    change = example.gain(bad, good)
    assert (change.value, change.low, change.high) == (1.0, 1.0, 1.0)
    new, old = example.table(bad, good).splitlines()[1:]
    assert new.split()[:3] == ["zorb", "2", "0.000"] and old.split()[:4] == ["old", "names", "4", "0.000"]


def test_no_object_is_no_match(example: ModuleType, made: Path) -> None:
    silent = SimpleNamespace(ask=lambda clip, question: SimpleNamespace(objects=[]))
    assert np.allclose([found.iou for found in example.score(silent, made / "test.jsonl")], 0.0)
