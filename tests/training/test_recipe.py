"""Recipes: values, words that change them, files, and what fidelity means."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from unipixel.data.policy import CORRECTED, PUBLISHED
from unipixel.data.registry import get_dataset
from unipixel.errors import ConfigError
from unipixel.training.recipe import BY_FIDELITY, Batching, Choices, Source
from unipixel.training.recipe_file import read_recipe, write_recipe
from unipixel.training.recipes import get_recipe, recipes
from unipixel.training.stream import reader_options


def test_the_published_stages() -> None:
    stages = [get_recipe(f"stage_{number}_3b") for number in (1, 2, 3)]
    assert [stage.batch.size for stage in stages] == [256, 256, 32]
    assert [stage.optimiser.rate for stage in stages] == [1e-3, 1e-3, 2e-5]
    assert all(stage.epochs == 1 and stage.optimiser.warmup == 0.03 for stage in stages)
    assert all(stage.optimiser.decay == 0 and stage.optimiser.clip is None for stage in stages)
    assert all(stage.optimiser.betas == (0.9, 0.999) for stage in stages)
    assert [stage.seen.max_words for stage in stages] == [500, 500, 200]
    assert [stage.seen.max_tokens for stage in stages] == [None, None, 40960]
    assert (stages[2].lora.rank, stages[2].lora.alpha, stages[2].lora.dropout) == (128, 256.0, 0.1)
    repeats = [{source.name: source.repeats for source in stage.data} for stage in stages]
    assert repeats[0] == {"inst_it_image_short_caption_raw_ref": 1, "videorefer_short_caption_ref": 1}
    refer = {"refcoco": 5, "refcoco+": 5, "refcocog": 5, "refclef": 5, "ref_youtube_vos": 3}
    assert repeats[1] == refer
    assert len(repeats[2]) == 27 and repeats[2]["ref_davis17"] == 10 and repeats[2]["ref_sav"] == 3
    assert get_recipe("stage_3_7b").data == stages[2].data


def test_fidelity_decides_every_choice() -> None:
    for name in ("published", "corrected"):
        chosen = BY_FIDELITY[name]  # type: ignore[index]
        assert all(getattr(chosen, choice.name) is not None for choice in fields(Choices)), name
    differing = [
        choice.name
        for choice in fields(Choices)
        if getattr(BY_FIDELITY["published"], choice.name) == getattr(BY_FIDELITY["corrected"], choice.name)
    ]
    assert differing == []
    mixed = read_recipe("stage_3_3b", ["fidelity=published", "choices.region_order=raster"])
    assert mixed.resolved.region_order == "raster"
    assert mixed.resolved.label_masks == "published"


@pytest.mark.parametrize(("fidelity", "policy"), [("published", PUBLISHED), ("corrected", CORRECTED)])
def test_fidelity_reaches_the_data(fidelity: str, policy: object) -> None:
    recipe = read_recipe("stage_1_3b", [f"fidelity={fidelity}"])
    found = recipe.policy(768)
    assert found.frames == policy.frames  # type: ignore[attr-defined]
    assert found.pointers == policy.pointers  # type: ignore[attr-defined]
    assert found.regions == policy.regions  # type: ignore[attr-defined]
    assert found.text == policy.text  # type: ignore[attr-defined]


def test_fidelity_reaches_the_readers() -> None:
    published = read_recipe("stage_3_3b", ["fidelity=published"])
    assert reader_options(Source("ref_davis17"), published) == {"mask_order": "json"}
    own = Source("cocostuff", options=("unasked=published",))
    assert reader_options(own, get_recipe("stage_3_3b"))["unasked"] == "published"
    for source in published.data:
        get_dataset(source.name).chosen(reader_options(source, published))


def test_words_change_values() -> None:
    recipe = read_recipe(
        "finetune",
        ["optimiser.rate=3e-5", "steps=10", "epochs=2", "data.mine.file=my.jsonl", "batch.size=4", "seed=7",
         "save.exports=whole", "optimiser.clip=none", "optimiser.betas=[0.9,0.95]", "name=mine"],
    )  # fmt: skip
    assert (recipe.optimiser.rate, recipe.steps, recipe.epochs) == (3e-5, 10, 2.0)
    assert recipe.data == (Source("mine", file="my.jsonl"),)
    assert (recipe.batch.size, recipe.seed, recipe.save.exports, recipe.optimiser.clip) == (
        4,
        7,
        ("whole",),
        None,
    )
    assert recipe.optimiser.betas == (0.9, 0.95)
    third = read_recipe("stage_3_3b", ["data.revos.repeats=2", "data.mevis=none"])
    names = {source.name: source.repeats for source in third.data}
    assert names["revos"] == 2 and "mevis" not in names


def test_words_that_belong_together_are_checked_together() -> None:
    sizes = ["batch.size=8", "batch.micro=8"]  # tiny_3 has micro-batches of 16
    for words in (sizes, sizes[::-1]):
        batch = read_recipe("tiny_3", words).batch
        assert (batch.size, batch.micro) == (8, 8)
    assert read_recipe("debug", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.rate=1"], "did you mean 'optimiser'"),
        (["optimiser.rat=1"], "did you mean 'optimiser.rate'"),
        (["optimiser.rate=fast"], "expected a number"),
        (["optimiser.rate=-1"], "expected 0 or more"),
        (["batch.size=1.5"], "expected a whole number"),
        (["fidelity=publishd"], "did you mean 'published'"),
        (["parts.sam2.how=lora"], "'full' or 'frozen'"),
        (["parts=full"], "expected names and values"),
        (["choices.region_order=rows"], "'window'"),
        (["recompute=yes"], "expected true or false"),
        (["data.mevi=none"], "has no 'mevi'"),
        (["steps"], "expected name=value"),
        (["batch.size=2", "batch.micro=3"], "1 to batch.size"),
    ],
)
def test_wrong_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe("debug", words)


def test_unknown_recipes_get_the_closest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'stage_3_3b'"):
        read_recipe("stage3_3b")


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'base = "stage_3_3b"\nsteps = 5\n[optimiser]\nrate = 1e-5\n[parts.sam2]\nhow = "frozen"\n'
        '[[data]]\nname = "revos"\nrepeats = 2\n'
    )
    recipe = read_recipe(str(file), ["seed=3"])
    assert (recipe.name, recipe.steps, recipe.optimiser.rate, recipe.seed) == ("mine", 5, 1e-5, 3)
    assert recipe.parts.sam2.how == "frozen" and recipe.parts.memory.how == "full"
    assert recipe.data == (Source("revos", repeats=2.0),)
    file.write_text("[optimiser]\nrates = 1\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: optimiser has no 'rates'"):
        read_recipe(str(file))
    with pytest.raises(ConfigError, match="cannot be read as a recipe"):
        read_recipe(str(tmp_path / "none.json"))


@pytest.mark.parametrize("name", sorted(recipes()))
def test_what_is_written_beside_a_checkpoint_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = get_recipe(name)
    write_recipe(recipe, tmp_path / "recipe.json", {"processes": 1})
    assert read_recipe(str(tmp_path / "recipe.json")) == recipe
    assert json.loads((tmp_path / "recipe.json").read_text())["resolved_choices"]["mask_order"] == "auto"


def test_batches_come_out_even() -> None:
    assert Batching(32, 2).micro_batches(4) == 4
    with pytest.raises(ConfigError, match=r"no multiple of batch\.micro 3 x 2 processes"):
        Batching(32, 3).micro_batches(2)


def test_the_schedule() -> None:
    recipe = get_recipe("stage_1_3b")
    rates = [recipe.rate_at(step, 100, 1.0) for step in range(100)]
    assert rates[:4] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0, 1.0]
    assert rates[-1] < 1e-3 and rates == sorted(rates[:3]) + sorted(rates[3:], reverse=True)
