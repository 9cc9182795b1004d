"""`unipixel data get`, with a hub that is made up."""

import hashlib
import io
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError
from tests.data.published import BUILDERS
from typer.testing import CliRunner

from unipixel import hub
from unipixel.cli import data as command
from unipixel.data.archives import unpack
from unipixel.data.registry import datasets, get_dataset, open_dataset
from unipixel.data.sources import MIXTURE, PLACES, folders_of, place_of, wanted
from unipixel.errors import DataError


def get(*arguments: object, answer: str = "") -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `unipixel data get ...`."""
    result = CliRunner().invoke(command.app, ["get", *map(str, arguments)], input=answer)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@dataclass
class Hub:
    """A repository in a folder, and what was asked of it."""

    folder: Path
    asked: list[tuple[str, str, list[str]]] = field(default_factory=list)
    damaged: str = ""
    wrong: Exception | None = None

    def dataset_info(self, repo: str, files_metadata: bool) -> Any:
        assert files_metadata
        if self.wrong is not None:
            raise self.wrong
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        siblings = [
            SimpleNamespace(
                rfilename=path.relative_to(self.folder).as_posix(),
                size=path.stat().st_size,
                lfs=SimpleNamespace(sha256=hashlib.sha256(path.read_bytes()).hexdigest()),
            )
            for path in files
        ]
        return SimpleNamespace(sha="abc", siblings=siblings, card_data={"license": "cc-by-4.0"})

    def snapshot_download(
        self, repo: str, *, repo_type: str, revision: str, allow_patterns: list[str], local_dir: Path
    ) -> str:
        assert (repo_type, revision) == ("dataset", "abc")
        self.asked.append((repo, str(local_dir), allow_patterns))
        for pattern in allow_patterns:
            for path in self.folder.glob(pattern):
                target = local_dir / path.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                if path.name == self.damaged:
                    target.write_bytes(bytes(len(path.read_bytes())))
        return str(local_dir)


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The mixture with MeViS as an archive, LV-VIS as files, and something else."""
    folder = tmp_path / "hub"
    BUILDERS["lvvis"](folder)
    BUILDERS["mevis"](tmp_path / "packed")
    with tarfile.open(folder / "mevis.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "packed" / "mevis", "mevis")
    (folder / "README.md").write_text("read me")
    found = Hub(folder)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: found)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.snapshot_download)
    return found


def test_files_are_fetched_after_licence_and_sizes(made_up: Hub, tmp_path: Path) -> None:
    code, out, _ = get("lvvis", "--root", tmp_path / "data", "--yes")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "lvvis: licence: CC BY-NC-SA 4.0"
    assert "files, " in lines[1] and lines[1].endswith(f"from {MIXTURE} (whose licence is: cc-by-4.0)")
    assert lines[-1] == f"lvvis: found in {tmp_path / 'data'}"
    ((repo, where, patterns),) = made_up.asked
    assert (repo, where) == (MIXTURE, str(tmp_path / "data"))
    assert patterns and all(pattern.startswith("lvvis/") for pattern in patterns)
    assert len(open_dataset("lvvis", "train", tmp_path / "data"))


def test_archives_are_unpacked_once(made_up: Hub, tmp_path: Path) -> None:
    code, out, err = get("mevis", "--root", tmp_path / "data", "-y")
    assert code == 0 and "mevis.tar.gz" in out and "unpacking mevis.tar.gz" in err
    assert out.endswith(f"mevis: found in {tmp_path / 'data'}\n")
    assert len(open_dataset("mevis", "train", tmp_path / "data"))
    assert not unpack(tmp_path / "data" / "mevis.tar.gz")


def test_nothing_is_fetched_without_a_yes(made_up: Hub, tmp_path: Path) -> None:
    code, out, _ = get("lvvis", "--root", tmp_path / "data", answer="n\n")
    assert code == 1 and "files, " in out and not made_up.asked
    assert get("lvvis", "--root", tmp_path / "data", answer="y\n")[0] == 0 and made_up.asked


def test_damaged_files_are_told_by_their_checksum(made_up: Hub, tmp_path: Path) -> None:
    made_up.damaged = "mask_dict.json"
    code, _, err = get("lvvis", "--root", tmp_path / "data", "-y")
    assert code == 2 and "mask_dict.json: found content with the SHA-256" in err and "fetch it again" in err


def test_what_the_repository_does_not_have_is_said(made_up: Hub, tmp_path: Path) -> None:
    code, _, err = get("mvbench", "--root", tmp_path, "-y")
    assert code == 2 and "found nothing in mvbench" in err and "OpenGVLab/MVBench" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (LocalEntryNotFoundError("x"), "no answer from the hub (LocalEntryNotFoundError)"),
        (
            OSError("no route"),
            "expected a connection and the right name; or fetch it from the page of the data set",
        ),
        (
            GatedRepoError("x", response=SimpleNamespace(headers={}, request=None)),
            "open the page of the data set",
        ),  # type: ignore[arg-type]
    ],
)
def test_without_connection_or_consent(wrong: Exception, told: str, made_up: Hub, tmp_path: Path) -> None:
    made_up.wrong = wrong
    code, _, err = get("lvvis", "--root", tmp_path, "-y")
    assert code == 2 and told in err and err.startswith("error: ") and len(err.splitlines()) == 1


def test_forms_are_steps(made_up: Hub, tmp_path: Path) -> None:
    code, out, _ = get("mapillary", "--root", tmp_path, "-y")
    assert code == 1 and not made_up.asked
    lines = out.splitlines()
    assert lines[0] == "mapillary: licence: CC BY-NC-SA 4.0"
    assert [line.split(".")[0].strip() for line in lines[2:]] == ["1", "2", "3"]
    assert f"{tmp_path}/lisa/mapillary" in lines[4]


def test_own_data_and_unknown_names(tmp_path: Path) -> None:
    code, _, err = get("jsonl", "--root", tmp_path)
    assert code == 2 and "jsonl is your own data" in err
    assert "did you mean 'mevis'?" in get("mevsi", "--root", tmp_path)[2]


def test_no_room_is_said_before(made_up: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    code, _, err = get("lvvis", "--root", tmp_path / "data", "-y")
    assert code == 2 and "has room for 100 B" in err and not made_up.asked


def test_every_data_set_has_a_place_and_folders() -> None:
    names = {info.name for info in datasets()}
    assert set(PLACES) <= names
    for info in datasets():
        place = place_of(info)
        assert (place is None) == (info.name == "jsonl" or info.drawn)
        assert place is None or (folders_of(info) and all("*" not in name for name in folders_of(info)))


def test_which_files_belong_to_a_data_set() -> None:
    paths = [
        "mevis/a.json",
        "mevis.tar.gz",
        "mevis2/a.json",
        "lisa.zip",
        "lisa/coco.tar",
        "lisa/ade20k/x",
        "README.md",
    ]
    assert wanted(get_dataset("mevis"), paths) == ["mevis/a.json", "mevis.tar.gz"]
    assert wanted(get_dataset("paco_lvis"), paths) == ["lisa.zip", "lisa/coco.tar"]
    assert wanted(get_dataset("ade20k"), paths) == ["lisa.zip", "lisa/ade20k/x"]


# Archives


def test_archives_that_lead_out_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("../out.txt")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    with zipfile.ZipFile(folder / "a.zip", "w") as packed:
        packed.writestr("../out.txt", "x")
    for name in ("a.tar", "a.zip"):
        with pytest.raises(DataError, match="out"):
            unpack(folder / name)
    assert not (tmp_path / "out.txt").exists()


def test_damaged_archives(tmp_path: Path) -> None:
    for name in ("a.tar.gz", "a.zip", "b.tar"):
        (tmp_path / name).write_bytes(b"nonsense" * 100)
        with pytest.raises(DataError, match="fetch it again"):
            unpack(tmp_path / name)


def test_the_hub_module_stays_light() -> None:
    assert not {"huggingface_hub", "HfApi"} & set(vars(hub))
