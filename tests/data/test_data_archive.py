"""Archives that are dangerous, damaged or too large are refused."""

import gzip
import io
import tarfile

import pytest

from data.archive import extract
from tests.data.archives import ARCHIVE, names_in, tar_of


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("/etc/evil", b""), "relative paths"),
        (("a/../../evil", b""), "relative paths"),
        (("..", b""), "relative paths"),
        (("a\\..\\evil", b""), "relative paths"),
        (("C:evil", b""), "relative paths"),
        (special("../evil", tarfile.DIRTYPE), "relative paths"),
        (special("a", tarfile.SYMTYPE, "/etc"), "a link or device"),
        (special("a", tarfile.SYMTYPE, "fine"), "a link or device"),
        (special("a", tarfile.LNKTYPE, "../../evil"), "a link or device"),
        (special("a", tarfile.FIFOTYPE), "a link or device"),
        (special("a", tarfile.CHRTYPE), "a link or device"),
    ],
)
def test_dangerous_archives_are_refused(tmp_path, member, message):
    (tmp_path / "a.tar").write_bytes(tar_of(member, ("a/behind", b"x")))
    inside = tmp_path / "inside/out"
    inside.mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        extract(tmp_path / "a.tar", inside)
    assert names_in(inside) == [] and names_in(tmp_path) == ["a.tar", "inside"]


def test_a_sparse_file_is_refused(tmp_path):
    """A kilobyte that unpacks to as much as its header says."""
    info = tarfile.TarInfo("a")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**15)}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="sparse file"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names_in(tmp_path / "out") == []


def test_an_archive_that_unpacks_to_more_than_it_can_hold(tmp_path):
    info = tarfile.TarInfo("a")
    info.size = 10**12
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"at most .* bytes"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names_in(tmp_path / "out") == []


def test_a_compressed_archive_whose_checksum_is_wrong(tmp_path):
    content = bytearray(gzip.compress(ARCHIVE, 0))
    (tmp_path / "out").mkdir()
    (tmp_path / "a.tar.gz").write_bytes(content)
    extract(tmp_path / "a.tar.gz", tmp_path / "out")
    content[-5] ^= 1  # of the checksum, behind all members
    (tmp_path / "a.tar.gz").write_bytes(content)
    (tmp_path / "again").mkdir()
    with pytest.raises(ValueError, match=r"a\.tar\.gz is damaged"):
        extract(tmp_path / "a.tar.gz", tmp_path / "again")


def test_a_name_given_twice_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of(("a", b"1"), ("./a", b"2")))
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="distinct names"):
        extract(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 300, 60_000])
def test_damaged_archives_are_named(tmp_path, keep):
    (tmp_path / "a.tar").write_bytes(ARCHIVE[:keep])
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"a\.tar is damaged"):
        extract(tmp_path / "a.tar", tmp_path / "out")
