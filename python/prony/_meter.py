"""The meter: what this program (or another) costs from start to stop."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Iterable, Optional, Union

from . import _library
from ._arrow import Table
from ._errors import ErrorCode, StateError
from ._library import ArrowArray, ArrowSchema, MeterOptions, check, encode, meter
from ._run import Run
from ._summary import Summary, take_summary

_MODES = {"thread": 0, "process": 1}
_FORCE, _ENVIRONMENT, _EVERY_CHANNEL, _KEPT_BASELINE, _LEAVE_SPANS = 1, 2, 4, 8, 16


def _nanoseconds(name: str, seconds: Optional[float]) -> int:
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {type(seconds).__name__}")
    if not 0 < seconds <= 86400:  # a NaN is neither
        raise ValueError(f"{name}={seconds}: seconds, above 0 and up to a day")
    return max(1, round(seconds * 1e9))


class _Handle:
    """The library's meter; closed once, by the process that made it."""

    def __init__(self, options: MeterOptions) -> None:
        self.pointer = ctypes.c_void_p()
        self.pid, self.closed = os.getpid(), False
        check(meter().prony_meter_open(options, self.pointer))

    def close(self) -> None:
        """Also what happens when the interpreter ends: the Run is then complete, up to there."""
        if not self.closed and self.pid == os.getpid():
            self.closed = True
            meter().prony_meter_close(self.pointer)


class Meter:
    """Measures this program from ``start`` to ``stop``, or around a ``with`` block, into a Run file.

    mode: "thread" measures in threads of this program; "process" starts a `prony` of its own, which measures on when
    this program crashes and says how it ended. out: the Run file (default: runs/<utc>-<name>.prony; an existing one is
    refused unless force). name: what the target is called. sensors: "rapl,nvml" or a list (default: all there are).
    simulate: a simulated machine, "laptop". interval_s: between two reads of fast sensors (default 0.01).
    baseline_s: ``start`` first measures that long what the machine draws at rest. pid: another process, with its
    descendants ("process" only). environment: programs that this one starts write spans too. spans: False leaves this
    program's spans where they go now. program: the `prony` to start.

    Any thread may ask, one at a time (a lock sees to it). In a forked child everything raises StateError, and its exit
    leaves the parent's measuring alone. At the end of the interpreter a meter that still runs is stopped.
    """

    def __init__(self, out: "Union[str, os.PathLike[str], None]" = None, *, name: Optional[str] = None, mode: str = "thread",
                 sensors: Union[str, Iterable[str], None] = None, simulate: Optional[str] = None,
                 interval_s: Optional[float] = None, baseline_s: Optional[float] = None, pid: Optional[int] = None,
                 force: bool = False, environment: bool = False, every_channel: bool = False,
                 kept_baseline: bool = False, spans: bool = True, program: Optional[str] = None) -> None:
        if mode not in _MODES:
            raise ValueError(f"there is no mode {mode!r}; there are thread and process")
        flags = (force * _FORCE | environment * _ENVIRONMENT | every_channel * _EVERY_CHANNEL
                 | kept_baseline * _KEPT_BASELINE | (not spans) * _LEAVE_SPANS)
        if sensors is not None and not isinstance(sensors, str):
            sensors = ",".join(sensors)
        options = MeterOptions(
            struct_size=ctypes.sizeof(MeterOptions), mode=_MODES[mode], flags=flags,
            out=None if out is None else encode(os.fspath(out)), name=encode(name), sensors=encode(sensors),
            simulate=encode(simulate), interval_ns=_nanoseconds("interval_s", interval_s),
            baseline_ns=_nanoseconds("baseline_s", baseline_s), pid=pid or 0,
            program=encode(program or (None if os.environ.get("PRONY_PROGRAM") else _library.program())))
        self.mode = mode
        self._lock = threading.Lock()
        self._handle = _Handle(options)
        self._state = "opened"
        self._finalizer = weakref.finalize(self, _Handle.close, self._handle)

    def _own(self) -> ctypes.c_void_p:
        """The handle; asked before the lock, which a forked child may have inherited locked."""
        if self._handle.pid != os.getpid():
            raise StateError("this meter belongs to the process that forked this one\n"
                             "Make a meter in the child, or measure it from the parent: its children are counted.",
                             ErrorCode.STATE)
        if self._handle.closed:
            raise StateError("this meter was closed", ErrorCode.STATE)
        return self._handle.pointer

    def start(self) -> "Meter":
        """Begins. Measuring goes on when this returns. Once per meter."""
        self._own()
        with self._lock:
            check(meter().prony_meter_start(self._own()))
            self._state = "running"
        return self

    def stop(self) -> "Meter":
        """Ends; the Run is then complete. Again: nothing. Up to a second, for counters that come late."""
        self._own()
        with self._lock:
            check(meter().prony_meter_stop(self._own()))
            self._state = "stopped"
        return self

    def close(self) -> None:
        """Stops it if need be and frees what it holds. The Run file stays."""
        if self._handle.pid == os.getpid():
            with self._lock:
                self._finalizer()

    def __enter__(self) -> "Meter":
        return self.start()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.stop()
            return
        try:
            self.stop()
        except Exception:  # noqa: BLE001 the block's own error is the one to be told
            pass

    @property
    def state(self) -> str:
        """"opened", "running" or "stopped"."""
        return self._state

    @property
    def path(self) -> Optional[str]:
        """Where the Run lies; None before start."""
        self._own()
        with self._lock:
            path = meter().prony_meter_path(self._own())
            return None if path is None else os.fsdecode(path)

    def run(self) -> Run:
        """The Run so far, to be asked; before stop it lags by up to a second."""
        self._own()
        with self._lock:
            handle = ctypes.c_void_p()
            check(meter().prony_meter_run(self._own(), handle))
            return Run(handle)

    def stats(self) -> Table:
        """The samples so far: a row a tick with its begin_ns and end_ns, a column a channel (None: not read then)."""
        self._own()
        with self._lock:
            schema, array = ArrowSchema(), ArrowArray()
            check(meter().prony_meter_stats(self._own(), schema, array))
            return Table(schema, array)

    def summary(self) -> Summary:
        """The same numbers as `prony show`; provisional before stop."""
        path = self.path or ""
        with self._lock:
            handle = ctypes.c_void_p()
            check(meter().prony_meter_summary(self._own(), handle))
            return take_summary(handle, path, self._state != "stopped")

    def __repr__(self) -> str:
        return f"<prony.Meter in a {self.mode}, {self._state}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_() if self._state != "opened" else f"<p>{repr(self)[1:-1]}</p>"
