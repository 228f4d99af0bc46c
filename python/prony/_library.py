"""The shared libraries behind this package: where they lie, their structs, their functions. Loaded when first needed.

They are looked for in $PRONY_LIBRARY_DIR, then in the folder ``_native`` of this package (a wheel holds them there), then
wherever the dynamic linker finds them (a system-wide installation).
"""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, List, Optional

from ._errors import AbsentError, ErrorCode, UnavailableError, error_of

NATIVE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_native")
SPAN_ABI = METER_ABI = 1


class ArrowSchema(ctypes.Structure):
    """``struct ArrowSchema`` of the Arrow C data interface."""


class ArrowArray(ctypes.Structure):
    """``struct ArrowArray`` of the Arrow C data interface."""


class ArrowArrayStream(ctypes.Structure):
    """``struct ArrowArrayStream`` of the Arrow C stream interface."""

    _fields_ = [("get_schema", c_void_p), ("get_next", c_void_p), ("get_last_error", c_void_p), ("release", c_void_p),
                ("private_data", c_void_p)]


ArrowSchema._fields_ = [("format", c_char_p), ("name", c_char_p), ("metadata", c_void_p), ("flags", c_int64),
                        ("n_children", c_int64), ("children", POINTER(POINTER(ArrowSchema))),
                        ("dictionary", POINTER(ArrowSchema)), ("release", c_void_p), ("private_data", c_void_p)]
ArrowArray._fields_ = [("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64),
                       ("n_children", c_int64), ("buffers", POINTER(c_void_p)),
                       ("children", POINTER(POINTER(ArrowArray))), ("dictionary", POINTER(ArrowArray)),
                       ("release", c_void_p), ("private_data", c_void_p)]


class MeterOptions(ctypes.Structure):
    """``prony_meter_options``."""

    _fields_ = [("struct_size", c_uint32), ("mode", c_uint32), ("flags", c_uint32), ("reserved", c_uint32),
                ("out", c_char_p), ("name", c_char_p), ("sensors", c_char_p), ("simulate", c_char_p),
                ("interval_ns", c_int64), ("baseline_ns", c_int64), ("pid", c_int64), ("program", c_char_p)]


class ChannelStruct(ctypes.Structure):
    """``prony_channel``."""

    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("name", c_char_p), ("sensor", c_char_p),
                ("device", c_char_p), ("domain", c_char_p), ("measure", c_char_p), ("unit", c_char_p),
                ("part_of", c_char_p), ("scale", c_double)]


class SpanStruct(ctypes.Structure):
    """``prony_span_record``."""

    _fields_ = [("struct_size", c_uint32), ("kind", c_int32), ("status", c_int32), ("thread", c_uint32),
                ("id", c_uint64), ("parent", c_uint64), ("begin_ns", c_int64), ("end_ns", c_int64), ("pid", c_int64),
                ("name", c_char_p)]


class JoulesStruct(ctypes.Structure):
    """``prony_joules``."""

    _fields_ = [("struct_size", c_uint32), ("present", c_uint32), ("headline", c_uint32), ("resolvable", c_uint32),
                ("channel", c_char_p), ("domain", c_char_p), ("party", c_char_p), ("target", c_char_p),
                ("origin", c_char_p), ("kind", c_char_p), ("absent", c_char_p), ("value_j", c_double),
                ("low_j", c_double), ("high_j", c_double)]


class ClockStruct(ctypes.Structure):
    """``prony_clock``."""

    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("name", c_char_p), ("offset_ns", c_int64),
                ("doubt_ns", c_int64)]


_SPAN_FUNCTIONS = {
    "prony_open": (c_int, [c_char_p]),
    "prony_close": (None, []),
    "prony_recording": (c_int, []),
    "prony_abi_version": (c_uint32, []),
    "prony_span_begin": (c_uint64, [c_int, c_char_p, c_uint64]),
    "prony_span_end": (None, [c_uint64, c_int]),
    "prony_span_count": (None, [c_uint64, c_char_p, c_int64]),
    "prony_span_attribute": (None, [c_uint64, c_char_p, c_char_p]),
    "prony_span_complete": (c_uint64, [c_int, c_char_p, c_uint64, c_int64, c_int64]),
    "prony_span_stamped": (c_uint64, [c_int, c_char_p, c_uint64, c_int64, c_int64, POINTER(ClockStruct)]),
    "prony_now_ns": (c_int64, []),
}
_OUT = POINTER(c_void_p)
_METER_FUNCTIONS = {
    "prony_last_error": (c_char_p, []),
    "prony_meter_abi_version": (c_uint32, []),
    "prony_meter_version": (c_char_p, []),
    "prony_meter_open": (c_int, [POINTER(MeterOptions), _OUT]),
    "prony_meter_start": (c_int, [c_void_p]),
    "prony_meter_stop": (c_int, [c_void_p]),
    "prony_meter_close": (c_int, [c_void_p]),
    "prony_meter_path": (c_char_p, [c_void_p]),
    "prony_meter_run": (c_int, [c_void_p, _OUT]),
    "prony_meter_stats": (c_int, [c_void_p, POINTER(ArrowSchema), POINTER(ArrowArray)]),
    "prony_meter_summary": (c_int, [c_void_p, _OUT]),
    "prony_run_open": (c_int, [c_char_p, _OUT]),
    "prony_run_close": (None, [c_void_p]),
    "prony_run_state": (c_int, [c_void_p]),
    "prony_run_path": (c_char_p, [c_void_p]),
    "prony_run_fact": (c_char_p, [c_void_p, c_char_p]),
    "prony_run_spans_lost": (c_uint64, [c_void_p]),
    "prony_run_channel_count": (c_size_t, [c_void_p]),
    "prony_run_channel": (c_int, [c_void_p, c_size_t, POINTER(ChannelStruct)]),
    "prony_run_span_count": (c_size_t, [c_void_p]),
    "prony_run_span": (c_int, [c_void_p, c_size_t, POINTER(SpanStruct)]),
    "prony_run_span_value": (c_int, [c_void_p, c_size_t, c_char_p, POINTER(c_int64)]),
    "prony_run_span_text": (c_int, [c_void_p, c_size_t, c_char_p, POINTER(c_char_p)]),
    "prony_run_table": (c_int, [c_void_p, c_char_p, POINTER(ArrowSchema), POINTER(ArrowArray)]),
    "prony_run_readings": (c_int, [c_void_p, c_char_p, c_int64, c_int64, POINTER(ArrowArrayStream)]),
    "prony_run_summary": (c_int, [c_void_p, _OUT]),
    "prony_summary_free": (None, [c_void_p]),
    "prony_summary_count": (c_size_t, [c_void_p]),
    "prony_summary_joules": (c_int, [c_void_p, c_size_t, POINTER(JoulesStruct)]),
    "prony_summary_headline": (c_int, [c_void_p, POINTER(JoulesStruct)]),
    "prony_summary_window": (c_int, [c_void_p, POINTER(c_int64), POINTER(c_int64)]),
    "prony_summary_exit": (c_int, [c_void_p, POINTER(c_int), POINTER(c_int)]),
    "prony_summary_json": (c_char_p, [c_void_p]),
}


def _load(kind: Any, file_name: str) -> Any:
    named = os.environ.get("PRONY_LIBRARY_DIR")
    places: List[str] = [os.path.join(folder, file_name) for folder in ([named] if named else [NATIVE])]
    places = [path for path in places if named or os.path.exists(path)] or [file_name]
    try:
        return kind(places[0])
    except OSError as error:
        raise AbsentError(f"cannot load {file_name}: {error}\n"
                          "Install the wheel that holds it, install Prony, or set PRONY_LIBRARY_DIR to its folder.",
                          ErrorCode.ABSENT) from None


def _declare(library: Any, functions: Any, version: str, known: int) -> Any:
    for name, (result, arguments) in functions.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise UnavailableError(f"{library._name} has no {name}: it is older than this package\n"
                                   "Install both of one version.", ErrorCode.UNAVAILABLE) from None
        function.restype, function.argtypes = result, arguments
    if (found := getattr(library, version)()) != known:
        raise UnavailableError(f"{library._name} has ABI version {found}, this package knows {known}\n"
                               "Install both of one version.", ErrorCode.UNAVAILABLE)
    return library


@functools.lru_cache(maxsize=None)
def spans() -> Any:
    """libprony. Its functions neither block nor call back, so that they keep the interpreter's lock (PyDLL)."""
    return _declare(_load(ctypes.PyDLL, "libprony.so.1"), _SPAN_FUNCTIONS, "prony_abi_version", SPAN_ABI)


@functools.lru_cache(maxsize=None)
def meter() -> Any:
    """libprony-meter. Its functions may take long: other Python threads run meanwhile (CDLL)."""
    return _declare(_load(ctypes.CDLL, "libprony-meter.so.1"), _METER_FUNCTIONS, "prony_meter_abi_version", METER_ABI)


def check(code: int) -> None:
    """Raises what the library said if ``code`` is not 0. To be called in the thread of the call that failed."""
    if code != 0:
        words = meter().prony_last_error() or b""
        raise error_of(code, words.decode("utf-8", "replace"))


def program() -> Optional[str]:
    """The ``prony`` that a wheel holds; None: there is none, and the library looks for one."""
    named = os.environ.get("PRONY_LIBRARY_DIR")
    path = os.path.join(named or NATIVE, "prony")
    return path if os.access(path, os.X_OK) and os.path.isfile(path) else None


def encode(text: Optional[str]) -> Optional[bytes]:
    """UTF-8 without a NUL, which would cut a C string short unseen."""
    if text is None:
        return None
    if "\0" in text:
        raise ValueError("a text with a NUL character cannot be handed on")
    return text.encode("utf-8", "surrogateescape")


def decode(text: Optional[bytes]) -> Optional[str]:
    """The text; None for NULL."""
    return None if text is None else text.decode("utf-8", "replace")
