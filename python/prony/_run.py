"""A Run: what a measurement left behind, opened and asked."""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass, field
from typing import Any, Iterator, List, Optional, Union

from . import _library
from ._arrow import LibraryStream, Table, stream_capsule
from ._errors import ErrorCode, StateError
from ._library import (ArrowArray, ArrowArrayStream, ArrowSchema, ChannelStruct, SpanStruct, check, decode, encode,
                       meter)
from ._spans import KINDS
from ._summary import Summary, take_summary

_STATES = ("recording", "complete", "interrupted")
_KIND_NAMES = {number: name for name, number in KINDS.items()}
_STATUS_NAMES = ("ok", "failed", "open")
_FIRST_NS, _LAST_NS = -2**63, 2**63 - 1


@dataclass(frozen=True)
class Channel:
    """What one stream of numbers is. ``value = reading × scale``, in ``unit``; ``part_of``: the channel it is inside of."""

    name: str
    sensor: str
    device: str
    domain: str
    measure: str
    unit: str
    origin: str
    is_counter: bool
    gives_joules: bool
    part_of: Optional[str]
    scale: float


@dataclass(frozen=True)
class SpanRecord:
    """A recorded span; times are ns on CLOCK_MONOTONIC. ``status``: "ok", "failed" or "open" (begun and never ended)."""

    id: int
    parent: int
    kind: str
    name: str
    begin_ns: int
    end_ns: int
    status: str
    thread: int
    pid: int
    _run: "Run" = field(repr=False, compare=False)
    _index: int = field(repr=False, compare=False)

    @property
    def wall_s(self) -> float:
        """How long it lasted."""
        return (self.end_ns - self.begin_ns) / 1e9

    def get(self, key: str, default: Union[int, str, None] = None) -> Union[int, str, None]:
        """The count or text that the program gave under ``key``."""
        return self._run._span_value(self._index, key, default)


class Readings:
    """The readings of one channel, in batches: iterate over Tables, or hand it to polars or pyarrow as a stream.

    Columns: begin_ns, end_ns, raw (as read), value (in the channel's unit; None in a gap), quality (ok, late, gap).
    """

    def __init__(self, run: "Run", channel: str, from_ns: int, to_ns: int) -> None:
        self._run, self._channel, self._from_ns, self._to_ns = run, channel, from_ns, to_ns

    def __iter__(self) -> Iterator[Table]:
        return self._run._stream(self._channel, self._from_ns, self._to_ns)

    def read(self) -> "dict[str, List[Any]]":
        """All of them as plain lists."""
        columns: "dict[str, List[Any]]" = {name: [] for name in ("begin_ns", "end_ns", "raw", "value", "quality")}
        for batch in self:
            for name, values in batch.items():
                columns[name] += values
        return columns

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        stream = self._run._stream(self._channel, self._from_ns, self._to_ns)
        columns = stream.schema()
        return stream_capsule(lambda: columns, stream)


class Run:
    """An open Run file. A context manager; any thread, one at a time (a lock sees to it).

    One that is still being recorded is read beside its recorder; one whose recorder died is recovered.
    """

    def __init__(self, handle: ctypes.c_void_p) -> None:
        self._handle: Optional[ctypes.c_void_p] = handle
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._streams = 0  # that the library still reads from this Run
        self._closed = False

    def close(self) -> None:
        """Ends the reading. Tables that came from the Run stay."""
        if self._pid != os.getpid():
            return  # a forked child's copy: its parent closes it
        with self._lock:
            self._closed = True
            if self._streams == 0 and self._handle is not None:
                meter().prony_run_close(self._handle)
                self._handle = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and meter is not None and os is not None:
            self.close()

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None or self._closed:
            raise StateError("this Run was closed", ErrorCode.STATE)
        return self._handle

    @property
    def path(self) -> str:
        """Where it lies."""
        with self._lock:
            return os.fsdecode(meter().prony_run_path(self._open()) or b"")

    @property
    def state(self) -> str:
        """"recording", "complete" or "interrupted" (its recorder died, and everything up to then is here)."""
        with self._lock:
            return _STATES[meter().prony_run_state(self._open())]

    @property
    def spans_lost(self) -> int:
        """Spans that did not fit and were dropped."""
        with self._lock:
            return int(meter().prony_run_spans_lost(self._open()))

    def fact(self, key: str) -> Optional[str]:
        """What the Run says of its circumstances: "machine.cpu_model", "run.kind", …; None: nothing."""
        with self._lock:
            return decode(meter().prony_run_fact(self._open(), encode(key)))

    @property
    def channels(self) -> List[Channel]:
        """What was measured."""
        with self._lock:
            handle, found = self._open(), []
            for index in range(meter().prony_run_channel_count(handle)):
                c = ChannelStruct(struct_size=ctypes.sizeof(ChannelStruct))
                check(meter().prony_run_channel(handle, index, c))
                origin = "measured" if c.flags & 1 else "derived" if c.flags & 2 else "modelled"
                found.append(Channel(decode(c.name) or "", decode(c.sensor) or "", decode(c.device) or "",
                                     decode(c.domain) or "", decode(c.measure) or "", decode(c.unit) or "", origin,
                                     bool(c.flags & 8), bool(c.flags & 16), decode(c.part_of), c.scale))
            return found

    @property
    def spans(self) -> List[SpanRecord]:
        """What this and other programs marked, ordered by begin."""
        with self._lock:
            handle, found = self._open(), []
            for index in range(meter().prony_run_span_count(handle)):
                s = SpanStruct(struct_size=ctypes.sizeof(SpanStruct))
                check(meter().prony_run_span(handle, index, s))
                status = _STATUS_NAMES[s.status] if 0 <= s.status < len(_STATUS_NAMES) else str(s.status)
                found.append(SpanRecord(s.id, s.parent, _KIND_NAMES.get(s.kind, str(s.kind)), decode(s.name) or "",
                                        s.begin_ns, s.end_ns, status, s.thread, s.pid, self, index))
            return found

    def _span_value(self, index: int, key: str, default: Union[int, str, None]) -> Union[int, str, None]:
        with self._lock:
            handle, number, text = self._open(), ctypes.c_int64(), ctypes.c_char_p()
            if not _library_absent(meter().prony_run_span_value(handle, index, encode(key), number)):
                return number.value
            if not _library_absent(meter().prony_run_span_text(handle, index, encode(key), text)):
                return decode(text.value)
            return default

    def table(self, name: str) -> Table:
        """A table of `prony export` whole ("samples", "spans", "charges", "channels", "requests", "targets",
        "processes", "passports") or "parties" (what a summary has)."""
        with self._lock:
            schema, array = ArrowSchema(), ArrowArray()
            check(meter().prony_run_table(self._open(), encode(name), schema, array))
            return Table(schema, array)

    def readings(self, channel: Union[str, Channel], from_ns: Optional[int] = None,
                 to_ns: Optional[int] = None) -> Readings:
        """The readings of one channel whose tick lies in [from_ns, to_ns)."""
        name = channel.name if isinstance(channel, Channel) else channel
        return Readings(self, name, _FIRST_NS if from_ns is None else from_ns, _LAST_NS if to_ns is None else to_ns)

    def _stream(self, channel: str, from_ns: int, to_ns: int) -> "_Stream":
        with self._lock:
            struct = ArrowArrayStream()
            check(meter().prony_run_readings(self._open(), encode(channel), from_ns, to_ns, struct))
            self._streams += 1
        return _Stream(self, struct)

    def _stream_ended(self) -> None:
        self._streams -= 1
        if self._closed:
            self.close()

    def summary(self) -> Summary:
        """The same numbers as `prony show`; provisional while it is being recorded."""
        with self._lock:
            handle, summary = self._open(), ctypes.c_void_p()
            check(meter().prony_run_summary(handle, summary))
            return take_summary(summary, self.path, self.state == "recording")

    def __repr__(self) -> str:
        return "<prony.Run, closed>" if self._handle is None else f"<prony.Run {self.path}, {self.state}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


class _Stream(Iterator[Table]):
    """The batches of a channel. The Run's handle stays open until the stream has ended, whoever closes the Run."""

    def __init__(self, run: Run, struct: ArrowArrayStream) -> None:
        self._run, self._stream, self._over = run, LibraryStream(struct), False

    def schema(self) -> Any:
        with self._run._lock:
            return self._stream.schema()

    def __next__(self) -> Table:
        with self._run._lock:
            batch = None if self._over else self._stream.next()
        if batch is None:
            self._end()
            raise StopIteration
        return batch

    def _end(self) -> None:
        with self._run._lock:
            if not self._over:
                self._over = True
                self._stream.close()
                self._run._stream_ended()

    def __del__(self) -> None:
        if not self._over and os is not None and self._run._pid == os.getpid():
            self._end()


def _library_absent(code: int) -> bool:
    if code == int(ErrorCode.ABSENT):
        return True
    check(code)
    return False


def open_run(path: Union[str, "os.PathLike[str]"]) -> Run:
    """Opens a Run file to be read. Raises AbsentError, DeniedError or MalformedError, in the library's words."""
    handle = ctypes.c_void_p()
    check(_library.meter().prony_run_open(os.fsencode(path), handle))
    return Run(handle)
