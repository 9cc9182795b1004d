"""Made-up data sets as real files: videos, pictures, masks, and one JSONL file (docs/data.md).

    python -m unipixel.data.made_up_files made_up_names test -o made_up --number 50

writes `made_up/made_up_names_test.jsonl` and what it names beside it. It is read like anybody's own data
(`data.jsonl`, `unipixel data check`, `unipixel train finetune data.mine.file=...`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from unipixel.data.jsonl import (
    Describe,
    Find,
    FrameSpan,
    Item,
    ItemMedia,
    ItemObject,
    MaskPicture,
    Region,
    write_jsonl,
)
from unipixel.data.readers.made_up import FPS, Place, SceneObjects, draw
from unipixel.data.registry import Dataset, open_dataset
from unipixel.data.sample import Caption, Choice, Exchange, Expression, Round, Sample
from unipixel.data.synthetic.files import ScenePaths, WriteOptions, write_scene
from unipixel.data.synthetic.scene import Scene
from unipixel.errors import ConfigError


def write_made_up(data: Dataset, folder: Path, number: int) -> Path:
    """Write the first `number` samples of a made-up data set; the path of the JSONL file.

    Raises:
        ConfigError: another data set, or more samples than it has.
        OutputError: the folder cannot be written.
    """
    if not data.info.drawn:
        raise ConfigError(f"{data.info.name} is no made-up data set; its files are those it is read from")
    if not 1 <= number <= len(data):
        raise ConfigError(f"number is {number}; expected 1 to {len(data)}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{data.info.name}_{data.split}.jsonl"
    write_jsonl(file, (_written(data[index], folder, file.stem) for index in range(number)))
    return file


def _written(sample: Sample, folder: Path, name: str) -> Item:
    """A sample as a line, its scene written beside it."""
    assert sample.media is not None and isinstance(sample.media.drawn, Place), "made-up clips are drawn"
    scene = draw(sample.media.drawn)
    stem = f"{name}_{int(sample.id):06d}"
    paths = write_scene(scene, folder / name, stem, WriteOptions(frames_per_second=int(FPS)))
    still = sample.media.is_still
    media = ItemMedia(
        "image" if still else "video",
        (paths.media.relative_to(folder).as_posix(),),
        name=stem,
        size=(scene.frames.shape[2], scene.frames.shape[1]),
    )
    return Item(
        id=stem,
        task=sample.task,
        rounds=tuple(_round(said, sample) for said in sample.rounds),
        media=media,
        objects=tuple(_objects(sample, scene, paths, folder)),
        annotated=None if still or not sample.object_ids else "all",
        key_frame=sample.key_frame,
        free_ids=sample.free_ids,
        facts=sample.facts,
    )


def _objects(sample: Sample, scene: Scene, paths: ScenePaths, folder: Path) -> Iterator[ItemObject]:
    """The things that a sample is about; one that is never seen has no regions."""
    if not isinstance(sample.masks, SceneObjects):
        return
    for number, thing in zip(sample.object_ids, sample.masks.things, strict=True):
        regions: tuple[Region, ...] = ()
        if thing >= 0:
            regions = tuple(_regions(thing, scene, paths, folder))
        name = scene.things[thing].name if thing >= 0 else ""
        yield ItemObject(number, name, regions)


def _regions(thing: int, scene: Scene, paths: ScenePaths, folder: Path) -> Iterator[Region]:
    """A thing on the frames that show it; in the label pictures it has its number, from 1."""
    for frame, path in enumerate(paths.masks):
        if scene.masks[thing, frame].any():
            picture = MaskPicture(path.relative_to(folder).as_posix(), value=thing + 1)
            yield Region(picture, FrameSpan(frame, frame) if len(paths.masks) > 1 else None)


def _round(said: Round, sample: Sample) -> Find | Exchange | Describe | Choice:
    if isinstance(said, Expression):
        assert isinstance(sample.masks, SceneObjects), "expressions are about objects"
        seen = tuple(place for place in said.objects if sample.masks.things[place] >= 0)
        return Find(said.text, seen, said.form, said.answer, id=said.id)
    if isinstance(said, Caption):
        return Describe(said.object, said.text, said.style)
    if sample.task == "remember":
        return _with_masks(said)
    return said


def _with_masks(said: Exchange | Choice) -> Exchange:
    """The answer with a mask for each object that is asked about: the form that files have for it."""
    answer = said.options[said.key or 0] if isinstance(said, Choice) else said.answer
    if "[" in answer:
        return Exchange(said.question, answer)
    marks = " ".join(f"[{number}]" for number in said.mentioned)
    return Exchange(said.question, f"{answer[:1].upper()}{answer[1:].removesuffix('.')}: {marks}.")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m unipixel.data.made_up_files",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="a made-up data set: made_up_names, made_up_clips, ...")
    parser.add_argument("split", help="train, val, test, unseen_combinations or unseen_backgrounds")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that is written to")
    parser.add_argument("--number", type=int, default=20, help="how many samples")
    parser.add_argument("--frames", default="8", help="of a clip; 1 for pictures")
    parser.add_argument("--size", default="128", help="height and width in pixels")
    given = parser.parse_args(arguments)
    data = open_dataset(given.name, given.split, given.output, frames=given.frames, size=given.size)
    sys.stdout.write(f"{write_made_up(data, given.output, given.number)}\n")


if __name__ == "__main__":
    main()
