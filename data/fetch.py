"""Downloads that resume, are checked, and appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from .archive import extract

CHUNK = 1 << 20  # bytes; large enough to keep up with a network, small enough for a live bar
TIMEOUT = 30  # seconds without a byte before a transfer counts as interrupted


def install(url: str, md5: str, folder: Path, inside: str = "") -> Path:
    """Bring a published tar archive to `folder`, unpacked.

    Download to "<archive>.part" beside the folder, check, unpack to a temporary folder, rename. So
    `folder` is complete once it exists. An interrupted download is resumed by the next call; an
    archive that a user has put there by hand is used without a download.

    Args:
        url: http(s) address of a .tar or .tar.gz.
        md5: its checksum, 32 hexadecimal digits.
        folder: where the content goes. If it exists, nothing is done.
        inside: folder of the archive whose content is wanted.

    Returns:
        folder.

    Raises:
        ConnectionError: server or network failed, or another process is at it; the message says how
            to go on.
        ValueError: wrong checksum, damaged or dangerous archive; nothing of it is kept in use.

    Example:
        >>> install("https://example.org/a.tar", "9d24dba78a72977dbd1d2e110310f31b",
        ...         Path("a"))  # doctest: +SKIP
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return folder if folder.exists() else _install(url, md5, folder, inside)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time brings a folder: two would write one file."""
    path = folder.parent / f".{folder.name}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ConnectionError(
            f"another process is downloading {folder}: wait until it has ended, then run again."
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _install(url: str, md5: str, folder: Path, inside: str) -> Path:
    archive = fetch(url, folder.parent / url.rsplit("/", 1)[-1], md5)
    # Beside the target, because a rename is atomic only within one file system.
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        extract(archive, temporary)
        content = temporary / inside
        if not content.is_dir():
            raise ValueError(
                f"{archive}: expected a folder {inside} in it; received "
                f"{sorted(p.name for p in temporary.iterdir())}; the publisher changed the layout."
            )
        content.chmod(0o755)  # mkdtemp makes folders that only their owner can enter
        os.rename(content, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    archive.unlink()
    return folder


def fetch(url: str, path: Path, md5: str) -> Path:
    """Download one file, resuming what an earlier call left in "<path>.part".

    Args:
        url: http(s) address.
        path: where the file goes; if it exists, only its checksum is tested.
        md5: expected checksum, 32 hexadecimal digits.

    Returns:
        path, whose content has the checksum.

    Raises:
        ConnectionError: server or network failed; what arrived is kept for the next call.
        ValueError: wrong checksum. A wrong download is deleted; a file the user put there is not.

    Example:
        >>> fetch("https://example.org/a.tar", Path("a.tar"), "9d24...")  # doctest: +SKIP
    """
    if path.exists():
        _check(path, md5, "delete it, then run again to download it")
        return path
    part = path.with_name(path.name + ".part")
    try:
        _transfer(url, part)
    except (OSError, http.client.HTTPException) as error:
        kept = part.stat().st_size if part.exists() else 0
        raise ConnectionError(
            f"downloading {url} failed: {error}. {kept} bytes are kept in {part}: run again to "
            f"resume, or put the file there by hand as {path}."
        ) from error
    try:
        _check(part, md5, "it has been deleted: run again to start over")
    except ValueError:
        part.unlink()
        raise
    os.replace(part, path)
    return path


def _transfer(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing behind what we have: the checksum decides
            return
        raise
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        total = _total(response, have)
        bar = tqdm(
            total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None
        )
        with open(part, "ab" if resumed else "wb") as file, bar:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    size = part.stat().st_size
    if total is not None and size < total:
        raise ConnectionError(f"the transfer ended after {size} of {total} bytes")


def _total(response: http.client.HTTPResponse, have: int) -> int | None:
    """Size of the whole file in bytes, None if the server does not tell it."""
    if response.status == 206:
        given = re.fullmatch(
            r"bytes (\d{1,18})-\d+/(\d{1,18})", response.headers.get("Content-Range", "")
        )
        if given is None or int(given[1]) != have:
            raise ConnectionError(
                f"the server answered with the range {response.headers.get('Content-Range')!r} "
                f"instead of the bytes from {have} on"
            )
        return int(given[2])
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _check(path: Path, md5: str, advice: str) -> None:
    # Against broken transfers, not against an attacker: the publisher lists only MD5.
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != md5:
        raise ValueError(
            f"{path}: expected MD5 {md5}; received {digest.hexdigest()} "
            f"({path.stat().st_size} bytes); {advice}."
        )
