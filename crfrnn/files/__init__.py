"""In come paths of pictures, volumes and arrays; out come NumPy arrays and whole files.

Reads through Pillow, nibabel and NumPy, never with pickle; every error names the file.
The doors (cli) and the data sets may import it; it uses the ground floor alone.
"""

from crfrnn.files.arrays import NNUNET_KEY, read_array, write_array
from crfrnn.files.labels import check_label_format, write_labels
from crfrnn.files.names import ARRAYS, NIFTI, PICTURES, stem, suffix
from crfrnn.files.nifti import nifti_values, open_nifti
from crfrnn.files.pictures import read_picture
from crfrnn.files.writing import replacing, unfinished
from crfrnn.optional import needed

__all__ = [
    "ARRAYS",
    "NIFTI",
    "NNUNET_KEY",
    "PICTURES",
    "check_label_format",
    "needed",
    "nifti_values",
    "open_nifti",
    "read_array",
    "read_picture",
    "replacing",
    "stem",
    "suffix",
    "unfinished",
    "write_array",
    "write_labels",
]
