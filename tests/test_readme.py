"""What the README and the guides show works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unipixel.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_lines() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("unipixel ") and "path/to" not in line]


def test_the_python_lines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    first, *others = blocks("python")
    known: dict[str, object] = {}
    exec(compile(first, "README.md", "exec"), known)
    text, area = capsys.readouterr().out.rsplit(maxsplit=1)
    assert "[0]" in text and int(area) > 0
    for code in others:
        exec(compile(code, "README.md", "exec"), known)
    assert (tmp_path / "shapes.unipixel").is_file()


def test_the_guide_to_sessions_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(compile(code, "sessions.md", "exec"), {})
    assert "True" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("line", shell_lines())
def test_the_shell_lines_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    _, *arguments = shlex.split(line)
    result = CliRunner().invoke(app, arguments, input="/help\n")
    assert result.exit_code == 0, result.output


def test_links_and_pictures_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()]
    assert targets and not missing


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("make demo", "make test", "make tiny"):
        assert command in README and re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)
