"""Unpacking of tar archives that may hold anything."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from crfrnn.files.sizes import DEFLATE

_CHUNK = 2**20  # bytes


def extract(archive: Path, folder: Path) -> None:
    """Unpack the regular files of a tar archive, refusing whatever could leave the folder.

    Only contents are written, by this process and under names it has checked: no links, devices,
    owners or permissions, so that it is stricter than tarfile's filter="data", and the same on
    Pythons that lack the filter. Files with a path component starting with "." (leftovers of
    macOS) are left out. A tar cut off between two members looks whole, so check its checksum first.

    Args:
        archive: .tar, .tar.gz, .tar.bz2 or .tar.xz.
        folder: existing folder that receives the files.

    Raises:
        ValueError: a damaged archive; a member with an absolute path, "..", a backslash or a colon
            (drives and streams of Windows); a link, device or sparse file; a name given twice; more
            than can be in a file of its size. The message
            names the member. Files unpacked before it stay: use a temporary folder.

    Example:
        >>> extract(Path("Task04_Hippocampus.tar"), Path("unpacked"))  # doctest: +SKIP
    """
    # What deflate may pack into a byte; bzip2 and xz pack more, and are not published here.
    most, total = DEFLATE * archive.stat().st_size, 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = _checked(archive, member)
                if member.isdir() or any(part.startswith(".") for part in path.parts):
                    continue
                total += member.size
                if total > most:
                    raise ValueError(
                        f"{archive}: expected at most {most:,} bytes, as can be in a file of its "
                        f"size; received more at {member.name!r}; do not use this archive."
                    )
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # "x": a second member of one name must not replace the first.
                with tar.extractfile(member) as source, open(target, "xb") as copy:  # type: ignore
                    shutil.copyfileobj(source, copy)
            while tar.fileobj.read(_CHUNK):  # type: ignore[union-attr]
                pass  # to the end, where a compressed file has its checksum
    except (tarfile.TarError, EOFError, zlib.error, LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{archive} is damaged ({error}); delete it and download it again."
        ) from error
    except FileExistsError as error:
        raise ValueError(
            f"{archive}: expected distinct names; received {error.filename} twice; do not use "
            f"this archive."
        ) from error


def _checked(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or set(member.name) & {"\\", ":", "\0"}:
        raise ValueError(
            f"{archive}: expected relative paths inside the archive; received {member.name!r}; "
            f"do not use this archive."
        )
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise ValueError(
            f"{archive}: expected files and folders only; received {member.name!r}, a link or "
            f"device, or a sparse file; do not use this archive."
        )
    return path
