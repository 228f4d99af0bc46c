"""Spans of this worker by libprony, or nowhere where nobody records. The least binding: engines see include/prony only.

The library is the one that PRONY_LIBRARY_DIR or LIBPRONY names, else the one beside this program (where it was built), in
../lib of it (where it was installed), else the system's."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any, List, Mapping, Optional

PHASE, REQUEST, TOKENISE, PREFILL, DECODE, TOKEN = 1, 2, 3, 4, 5, 6  # enum prony_span_kind
OK, FAILED = 0, 1

now_ns = time.monotonic_ns  # CLOCK_MONOTONIC, as libprony's


def library_places(environment: Mapping[str, str], program: str) -> List[str]:
    """Where libprony may lie, the likeliest first."""
    beside = os.path.dirname(os.path.realpath(program))
    places = []
    if environment.get("LIBPRONY"):
        places.append(environment["LIBPRONY"])
    if environment.get("PRONY_LIBRARY_DIR"):
        places.append(os.path.join(environment["PRONY_LIBRARY_DIR"], "libprony.so.1"))
    for folder in ("", "../lib"):
        places.append(os.path.normpath(os.path.join(beside, folder, "libprony.so.1")))
    try:
        for name in sorted(os.listdir(os.path.join(beside, "../lib"))):  # Debian's lib/x86_64-linux-gnu
            places.append(os.path.normpath(os.path.join(beside, "../lib", name, "libprony.so.1")))
    except OSError:
        pass
    return places + ["libprony.so.1"]


def open_library(environment: Mapping[str, str], program: str) -> Optional[Any]:
    """libprony with its session open, or None where nobody records or it is not to be found (said on standard error)."""
    if not environment.get("PRONY_SPANS"):
        return None
    library = None
    for place in library_places(environment, program):
        if "/" in place and not os.path.exists(place):
            continue
        try:
            library = ctypes.CDLL(place)
            break
        except OSError as problem:
            print(f"prony-engine-transformers: {problem}", file=sys.stderr)
    if library is None:
        print("prony-engine-transformers: libprony is not to be found, so no request will be seen (PRONY_LIBRARY_DIR may "
              "name its folder)", file=sys.stderr)
        return None
    library.prony_span_begin.restype = library.prony_span_complete.restype = ctypes.c_uint64
    library.prony_span_begin.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]
    library.prony_span_complete.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_int64, ctypes.c_int64]
    library.prony_span_end.argtypes = [ctypes.c_uint64, ctypes.c_int]
    library.prony_span_count.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_int64]
    library.prony_span_attribute.argtypes = [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_char_p]
    if library.prony_open(None) != 0:
        print("prony-engine-transformers: the span file that PRONY_SPANS names cannot be used", file=sys.stderr)
        return None
    return library


def _bytes(words: str) -> bytes:
    return words.encode("utf-8", "replace").split(b"\0", 1)[0]


class Spans:
    """Writes spans; without a library every call does nothing and handles are 0."""

    def __init__(self, library: Optional[Any]) -> None:
        self._library = library

    def begin(self, kind: int, name: str) -> int:
        return self._library.prony_span_begin(kind, _bytes(name), 0) if self._library else 0

    def complete(self, kind: int, parent: int, begin_ns: int, end_ns: int, name: Optional[str] = None,
                 counts: Optional[Mapping[str, int]] = None) -> None:
        if not self._library or (kind >= TOKENISE and parent == 0):
            return
        span = self._library.prony_span_complete(kind, None if name is None else _bytes(name), parent, begin_ns, end_ns)
        if span and counts:
            self.tell(span, counts=counts)

    def tell(self, span: int, counts: Optional[Mapping[str, int]] = None,
             attributes: Optional[Mapping[str, str]] = None) -> None:
        if not self._library or not span:
            return
        for key, value in (counts or {}).items():
            if -2**63 <= value < 2**63:
                self._library.prony_span_count(span, _bytes(key), value)
        for key, words in (attributes or {}).items():
            self._library.prony_span_attribute(span, _bytes(key), _bytes(words))

    def end(self, span: int, status: int = OK) -> None:
        if self._library and span:
            self._library.prony_span_end(span, status)
