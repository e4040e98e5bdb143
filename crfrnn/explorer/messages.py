"""Questions of a page as bytes, and answers: a length, JSON, and the arrays it names."""

from __future__ import annotations

import json
import logging
import struct
from typing import Any

import numpy as np

from crfrnn.explorer.session import Arrays, Session

_LOG = logging.getLogger(__name__)
_LENGTH = struct.Struct(">I")  # of the JSON
_TYPES = {"uint8": np.uint8, "float32": np.float32}


def unpacked(content: bytes) -> tuple[dict[str, Any], Arrays]:
    """The JSON of a message, and its arrays, flat, by name.

    Raises:
        ValueError: it is none.
    """
    try:
        (size,) = _LENGTH.unpack_from(content)
        at = _LENGTH.size + size
        message = json.loads(content[_LENGTH.size : at])
        arrays = {}
        for name, kind, length in message["arrays"]:
            arrays[name] = np.frombuffer(content[at : at + length], _TYPES[kind])
            at += length
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"Expected a question of the explorer's page. Received: {error}") from None
    return message, arrays


def packed(message: dict[str, Any], arrays: Arrays) -> bytes:
    """The opposite.

    Example:

    >>> unpacked(packed({"answer": 3}, {"a": np.zeros(2, np.uint8)}))[1]
    {'a': array([0, 0], dtype=uint8)}
    """
    about = [(name, array.dtype.name, array.nbytes) for name, array in arrays.items()]
    text = json.dumps({**message, "arrays": about}).encode()
    return b"".join(
        [_LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays.values())]
    )


def answered(
    session: Session, message: dict[str, Any], arrays: Arrays
) -> tuple[dict[str, Any], Arrays]:
    """What a session answers, or why it cannot: as {"answer": ...} or {"error": text}."""
    try:
        answer, found = session.answer(message["method"], message["options"], arrays)
    except (ValueError, TypeError, ImportError) as error:
        return {"error": str(error) or type(error).__name__}, {}
    except MemoryError:
        return {"error": "There is not enough memory for this. Explore a smaller part."}, {}
    except Exception as error:  # nobody but the page can tell: a full disk, a fault of ours
        _LOG.exception("The explorer could not answer %r.", message.get("method"))
        return {"error": f"{type(error).__name__}: {error}"}, {}
    return {"answer": answer}, {name: np.ascontiguousarray(a) for name, a in found.items()}
