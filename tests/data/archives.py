"""Archives for the tests of downloads."""

import io
import tarfile

DESCRIPTION = b'{"labels": {"0": "a"}, "training": []}'


def tar_of(*members):
    """A tar of (name, content) pairs or ready TarInfo objects."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


ARCHIVE = tar_of(
    ("./Task/dataset.json", DESCRIPTION),
    ("./Task/._dataset.json", b"macOS"),
    ("./Task/imagesTr/a.bin", bytes(range(256)) * 500),
)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())
