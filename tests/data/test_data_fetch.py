"""Downloads: against a local server that interrupts, lies and refuses."""

import functools
import hashlib
import http.server
import threading

import pytest

import data
from data import fetch as fetching
from data.__main__ import main
from data.sources import SOURCES, Source
from tests.data.archives import ARCHIVE, DESCRIPTION, names_in, tar_of

MD5 = hashlib.md5(ARCHIVE).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.content with byte ranges; closes the connection after server.stop_after."""

    def do_GET(self):
        server, content = self.server, self.server.content
        given = self.headers.get("Range") if server.ranges else None
        server.seen.append(self.headers.get("Range"))
        start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
        if given and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if given else 200)
        if given:
            first = start + server.range_lie
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", server.length or str(len(content) - start))
        self.end_headers()
        stop = len(content) if server.stop_after is None else start + server.stop_after
        self.wfile.write(content[start:stop])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.stop_after, server.ranges = ARCHIVE, None, True
        server.range_lie, server.seen, server.length = 0, [], None
        server.url = f"http://127.0.0.1:{server.server_port}/Task.tar"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def install(server, tmp_path):
    return functools.partial(fetching.install, server.url, MD5, tmp_path / "set", "Task")


def test_install_leaves_the_folder_and_nothing_else(install, server, tmp_path):
    folder = install()
    assert (folder / "dataset.json").read_bytes() == DESCRIPTION
    assert (folder / "imagesTr/a.bin").read_bytes() == bytes(range(256)) * 500
    assert names_in(tmp_path) == ["set"] and names_in(folder) == ["dataset.json", "imagesTr"]
    assert install() == folder and len(server.seen) == 1  # nothing is fetched again


def test_an_interrupted_download_is_named_kept_and_resumed(install, server, tmp_path):
    server.stop_after = 50_000
    for count in (1, 2):
        with pytest.raises(ConnectionError, match=f"{count * 50_000} of {len(ARCHIVE)} bytes"):
            install()
        assert names_in(tmp_path) == ["Task.tar.part"]
    server.stop_after = None
    install()
    assert server.seen == [None, "bytes=50000-", "bytes=100000-"]
    assert names_in(tmp_path) == ["set"]


def test_a_complete_part_needs_no_more_bytes(install, server, tmp_path):
    (tmp_path / "Task.tar.part").write_bytes(ARCHIVE)
    install()
    assert server.seen == [f"bytes={len(ARCHIVE)}-"] and names_in(tmp_path) == ["set"]


def test_a_server_without_ranges_starts_over(install, server, tmp_path):
    (tmp_path / "Task.tar.part").write_bytes(b"x" * 1000)
    server.ranges = False
    install()
    assert names_in(tmp_path) == ["set"]


def test_a_wrong_range_is_not_appended(install, server, tmp_path):
    (tmp_path / "Task.tar.part").write_bytes(ARCHIVE[:1000])
    server.range_lie = 5
    with pytest.raises(ConnectionError, match="instead of the bytes from 1000 on"):
        install()
    assert (tmp_path / "Task.tar.part").stat().st_size == 1000


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_wrong_checksum_is_named_and_never_used(install, server, tmp_path, kept):
    if kept:  # a part of another file
        (tmp_path / "Task.tar.part").write_bytes(b"x" * kept)
    else:
        server.content = ARCHIVE[:-1] + b"x"
    with pytest.raises(ValueError, match=f"expected MD5 {MD5}; received .*run again to start over"):
        install()
    assert names_in(tmp_path) == []
    server.content = ARCHIVE
    install()
    assert names_in(tmp_path) == ["set"]


def test_a_file_put_there_by_hand_is_used_or_named(install, server, tmp_path):
    (tmp_path / "Task.tar").write_bytes(ARCHIVE[:5000])  # truncated
    with pytest.raises(ValueError, match=r"Task\.tar: expected MD5 .*\(5000 bytes\); delete it"):
        install()
    assert names_in(tmp_path) == ["Task.tar"]  # it is the user's: not ours to delete
    (tmp_path / "Task.tar").write_bytes(ARCHIVE)
    install()
    assert server.seen == [] and names_in(tmp_path) == ["set"]


def test_no_server_and_no_such_page(install, server, tmp_path):
    with pytest.raises(ConnectionError, match="run again to resume, or put the file there by hand"):
        fetching.install("http://127.0.0.1:9/Task.tar", MD5, tmp_path / "set")
    (tmp_path / "Task.tar.part").write_bytes(b"")
    server.content, server.ranges = b"", True
    with pytest.raises(ValueError, match="expected MD5"):
        install()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_half_unpacked_remains(install, tmp_path, monkeypatch, error):
    def broken(archive, folder):
        (folder / "Task").mkdir()
        (folder / "Task/dataset.json").write_bytes(DESCRIPTION)
        raise error

    monkeypatch.setattr(fetching, "extract", broken)
    with pytest.raises(error):
        install()
    assert names_in(tmp_path) == ["Task.tar"]
    monkeypatch.undo()
    install()
    assert names_in(tmp_path) == ["set"]


def test_another_layout_than_expected(server, tmp_path):
    with pytest.raises(ValueError, match=r"expected a folder Other in it; received \['Task'\]"):
        fetching.install(server.url, MD5, tmp_path / "set", "Other")
    assert names_in(tmp_path) == ["Task.tar"]


def test_two_downloads_at_once(install, server, tmp_path):
    with fetching._alone(tmp_path / "set"):
        with pytest.raises(ConnectionError, match=r"another process is downloading .*set: wait"):
            install()
        assert server.seen == []
    install()
    assert names_in(tmp_path) == ["set"]


@pytest.mark.parametrize("length", ["many", "-1", "", "9" * 5000])
def test_a_length_that_is_no_number(install, server, tmp_path, length):
    server.length = length
    install()
    assert names_in(tmp_path) == ["set"]


def test_download_by_name_and_by_command(server, tmp_path, monkeypatch, capsys):
    label = b'{"labels": {"0": "rest", "1": "organ"}, "training": [{"image": "a.png",'
    label += b' "label": "b.png"}]}'
    server.content = tar_of(("T/dataset.json", label), ("T/a.png", b""), ("T/b.png", b""))
    md5 = hashlib.md5(server.content).hexdigest()
    monkeypatch.setitem(SOURCES, "tiny", Source("page", "CC0", server.url, md5, "T"))
    assert main(["tiny", "--root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"tiny is in {tmp_path / 'tiny'}" in printed
    assert "tiny: 1 cases in 1 groups; 1 train, 0 val, 0 test; rest, organ" in printed
    assert data.download("tiny", tmp_path) == tmp_path / "tiny"

    assert main(["wbc1", "--root", str(tmp_path)]) == 1
    assert "get wbc1 from https://github.com/zxaoyou" in capsys.readouterr().err
    assert main(["--root", str(tmp_path)]) == 0
    assert f"hippocampus: not in {tmp_path}" in capsys.readouterr().out


def test_the_official_archive_is_the_published_one():
    source = SOURCES["hippocampus"]
    assert source.url == "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"
    assert source.md5 == "9d24dba78a72977dbd1d2e110310f31b"
