"""In come paths of pictures, volumes and arrays; out come NumPy arrays and whole files.

Reads through Pillow, OpenCV, nibabel and NumPy, never with pickle; every error names the file.
The doors (cli) and the data sets may import it; it uses the ground floor alone.
"""

from crfrnn.files.arrays import NNUNET_KEY, NNUNET_V1_KEY, read_array, write_array
from crfrnn.files.labels import (
    HIGHEST,
    ROUNDING,
    check_label_ending,
    check_label_format,
    whole_numbers,
    write_labels,
)
from crfrnn.files.names import ARRAYS, HDF5, KNOWN, NIFTI, PICTURES, VOLUMES, stem, suffix
from crfrnn.files.packed import ENERGIES, is_packed, read_labels, read_packed, write_packed
from crfrnn.files.pictures import read_bands, read_picture
from crfrnn.files.sizes import check as check_size
from crfrnn.files.text import read_json
from crfrnn.files.volumes import affine, apart, open_volume, spacing, volume_values
from crfrnn.files.writing import WORKSHOP, asked_for, replacing, unfinished, written
from crfrnn.files.zarrs import is_zarr
from crfrnn.optional import needed

__all__ = [
    "ARRAYS",
    "ENERGIES",
    "HDF5",
    "HIGHEST",
    "KNOWN",
    "NIFTI",
    "NNUNET_KEY",
    "NNUNET_V1_KEY",
    "PICTURES",
    "ROUNDING",
    "VOLUMES",
    "WORKSHOP",
    "affine",
    "apart",
    "asked_for",
    "check_label_ending",
    "check_label_format",
    "check_size",
    "is_packed",
    "is_zarr",
    "needed",
    "open_volume",
    "read_array",
    "read_bands",
    "read_json",
    "read_labels",
    "read_packed",
    "read_picture",
    "replacing",
    "spacing",
    "stem",
    "suffix",
    "unfinished",
    "volume_values",
    "whole_numbers",
    "write_array",
    "write_labels",
    "write_packed",
    "written",
]
