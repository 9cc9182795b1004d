"""What a killed process leaves in a folder of results."""

from pathlib import Path

import numpy as np
import pytest

from unipixel.archive.items import Item, Words
from unipixel.archive.lines import LineHead, to_lines
from unipixel.archive.store import Store, check_same, is_left
from unipixel.archive.units import FoundMask, FoundObject, Unit
from unipixel.core.masks import RLE
from unipixel.errors import ConfigError, OutputError


def item(name: str) -> Item:
    return Item(name, (Path(f"{name}.png"),), (Words("red?"),))


def line(name: str, status: str = "done") -> bytes:
    head = LineHead(name, 0, False, status, item(name).digest)  # type: ignore[arg-type]
    return b"".join(to_lines(head, {}, []))


def unit(window: int, query: int, reason: str = "") -> Unit:
    mask = RLE.from_mask(np.eye(9, dtype=bool))
    found = () if reason else (FoundObject(window, (FoundMask(window, mask, 0.5),)),)
    return Unit(window, query, "text", found, reason, spans=((1, 2),) if found else ())


def test_a_half_written_end_is_cut_off_when_the_part_is_opened_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.appending("one") as part:
        part.write([line("a"), line("b")])
    file = tmp_path / "parts" / "one.jsonl"
    with file.open("ab") as stream:
        stream.write(line("c")[:-10])
    assert sorted(store.known()) == ["a", "b"]
    with store.appending("one") as part:
        part.write([line("c")])
    assert file.read_bytes() == line("a") + line("b") + line("c")


def test_two_processes_do_not_write_one_part(tmp_path: Path) -> None:
    with (
        Store(tmp_path).appending("one"),
        pytest.raises(OutputError, match="another process"),
        Store(tmp_path).appending("one"),
    ):
        pass


def test_parts_are_put_together_in_the_order_of_the_items(tmp_path: Path) -> None:
    store, items = Store(tmp_path), [item(name) for name in "abcd"]
    with store.appending("one") as part:
        part.write([line("c"), line("a")])
    assert not store.assemble(items)
    with store.appending("two") as part:
        part.write([line("d"), line("b")])
    assert store.assemble(items)
    assert store.annotations.read_bytes() == b"".join(line(name) for name in "abcd")
    assert not (tmp_path / "parts").exists()
    assert store.assemble(items)  # nothing is left to do


def test_what_was_tried_again_takes_the_place_of_the_failure(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.appending("one") as part:
        part.write([line("a", "failed"), line("b")])
    assert store.assemble([item("a"), item("b")])
    known = store.known()
    assert not is_left(item("a"), known, retry=False) and is_left(item("a"), known, retry=True)
    assert not is_left(item("b"), known, retry=True) and is_left(item("c"), known, retry=False)
    with store.appending("one") as part:
        part.write([line("a")])
    assert store.assemble([item("a"), item("b")])
    assert store.annotations.read_bytes() == line("a") + line("b")


def test_an_item_that_asks_something_else_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.appending("one") as part:
        part.write([line("a")])
    check_same([item("a")], store.known())
    with pytest.raises(ConfigError, match="other questions"):
        check_same([Item("a", (Path("a.png"),), (Words("blue?"),))], store.known())


def test_a_part_that_is_still_written_is_left_to_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipixel.archive.store._LOOKS", 1)
    monkeypatch.setattr("unipixel.archive.store._PATIENCE", 0.0)
    store, items = Store(tmp_path), [item("a"), item("b")]
    with store.appending("one") as part:
        part.write([line("a", "failed"), line("b")])
    with store.appending("two") as part:  # another shard tries `a` again
        assert not store.assemble(items)
        part.write([line("a")])
    assert store.assemble(items)
    assert store.annotations.read_bytes() == line("a") + line("b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.jsonl"]


def test_the_journal_of_a_finished_item_goes_with_the_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in "ab":
        with store.journal(item(name)) as journal:
            journal.add(0, [unit(0, 0)])
    with store.appending("one") as part:
        part.write([line("a"), line("b", "partly")])
    assert store.assemble([item("a"), item("b")])
    assert len(list((tmp_path / "windows").iterdir())) == 1
    with store.journal(item("b")) as journal:
        assert journal.steps == {0}


def test_a_journal_is_written_by_one_process_and_tells_of_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.journal(item("a")) as journal:
        journal.add(0, [unit(0, 0)])
        with pytest.raises(OutputError, match="another process"), store.journal(item("a")):
            pass
    journal.file.write_bytes(b"\0\0\0\n")
    with pytest.raises(OutputError, match="damaged"), store.journal(item("a")):
        pass


def test_a_listener_who_is_gone_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), Store(tmp_path).appending("one"):
        raise BrokenPipeError
    with pytest.raises(OutputError, match="room on the disk"), Store(tmp_path).appending("one"):
        raise OSError(28, "No space left on device")


def test_a_folder_that_may_not_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), Store(tmp_path / "file").appending("one"):
        pass


def test_a_journal_keeps_whole_steps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.journal(item("a")) as journal:
        journal.add(0, [unit(0, 0), unit(0, 1)])
        journal.add(1, [unit(1, 0), unit(1, 1, "RuntimeError: no memory")])
        whole = journal.file.read_bytes()
        journal.add(2, [unit(2, 0)])
    longer = journal.file.read_bytes()
    for cut in (len(whole) + 1, len(longer) - 2, len(longer) - len('{"step":2}\n')):
        journal.file.write_bytes(longer[:cut])
        with store.journal(item("a")) as again:
            assert again.steps == {0, 1} and again.failed == {(1, 1)}
            assert again.window(0, range(2)) == {0: unit(0, 0), 1: unit(0, 1)}
            assert again.read(2, 0) is None
            again.add(2, [unit(2, 0)])
        assert journal.file.read_bytes() == longer
    with store.journal(item("a")) as again:
        again.add(1, [unit(1, 1)])  # tried again
        assert again.failed == set()
    with store.journal(item("a")) as again:
        assert again.read(1, 1) == unit(1, 1)
