"""Unpacking archives that others made: nothing leaves the folder, and nothing is a device or a link out."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path

from unipixel.core.frames import reason
from unipixel.data.files import inside
from unipixel.errors import DataError


def unpack(archive: Path) -> bool:
    """Unpack a .tar, .tar.gz, .tgz or .zip into its own folder. A mark beside it tells that this was done;
    False if it was before.

    Raises:
        DataError: it is damaged, something in it would lie outside of the folder, or there is no room.
    """
    mark = archive.with_name(archive.name + ".unpacked")
    content = f"{archive.stat().st_size} {archive.stat().st_mtime_ns}"
    if mark.is_file() and mark.read_text(encoding="utf-8") == content:
        return False
    try:
        if archive.suffix == ".zip":
            _unzip(archive)
        else:
            with tarfile.open(archive) as packed:
                packed.extractall(archive.parent, filter="data")
        mark.write_text(content, encoding="utf-8")
    except tarfile.FilterError as error:
        raise DataError(archive, "", str(error), "files that stay inside; do not trust this file") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(
            archive, "", f"no archive ({error})", "the file as published; fetch it again"
        ) from error
    except OSError as error:
        found = f"an archive that cannot be unpacked ({reason(error)})"
        raise DataError(archive, "", found, "room on the disk, and a folder to write to") from error
    return True


def _unzip(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            inside(archive.parent, entry.filename.rstrip("/"))  # refuses what leads out
        packed.extractall(archive.parent)
