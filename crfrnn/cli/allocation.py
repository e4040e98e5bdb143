"""Memory that is freed after one image and needed again for the next."""

from __future__ import annotations

import ctypes
import platform

# Of mallopt(3): from which size on memory is taken from the system and given back at once, whose
# largest value is this; and how much free memory at the end of the heap goes back.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_LARGEST_KEPT, _KEPT = 32 * 2**20, 2**30


def keep_freed() -> None:
    """Makes this process use memory again that it has freed, instead of giving it back.

    glibc gives large arrays back to the system, which has to clear each page of the next: of a
    folder of pictures that takes a tenth to a fifth of the time. For processes that do nothing but
    one image after the other; with another C library it does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
