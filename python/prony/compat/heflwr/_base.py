"""What the six monitors share: metrics, start and stop, and rows made from a Run.

A prony.Meter measures; once an interval a thread of this program reads what it recorded and makes the rows whose time is
wholly on record. So a row is written up to two seconds after its time, and is exact then.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Union

from ..._meter import Meter
from ..._run import Channel, Run
from ..._summary import Summary
from ._series import Curve, add_up

Number = Union[int, float, None]
TARGET = "heflwr"
PATIENCE_S = 5.0  # slow sensors are read once a second


@dataclass(frozen=True)
class Row:
    """One interval. A metric that is switched off, and one that this machine does not tell, is None."""

    begin_s: float
    end_s: float
    cpu_percent: Optional[float]
    memory_percent: Optional[float]
    bytes_sent: Optional[int]
    bytes_recv: Optional[int]
    vdd_in_mw: Optional[float]
    vdd_cpu_gpu_cv_mw: Optional[float]
    vdd_soc_mw: Optional[float]

    @property
    def length_s(self) -> float:
        """How long it really was; the last one before a stop is shorter."""
        return self.end_s - self.begin_s


POWER = {"power_vdd_in": "vdd_in_mw", "power_vdd_cpu_gpu_cv": "vdd_cpu_gpu_cv_mw", "power_vdd_soc": "vdd_soc_mw"}
SERIES = {"cpu_usage": ("cpu", "cpu_percent"), "memory_usage": ("memory", "memory_percent"),
          "network_bytes_sent": ("network", "bytes_sent"), "network_bytes_recv": ("network", "bytes_recv"),
          **{key: ("power", field) for key, field in POWER.items()}}


class Sources:
    """Which channels of a Run a monitor's metrics come from, and their curves so far."""

    def __init__(self, run: Run, metrics: Dict[str, bool], summary: Summary) -> None:
        self.channels: Dict[str, Channel] = {}
        self.curves: Dict[str, Curve] = {}
        known = {channel.name: channel for channel in run.channels}
        table = run.table("channels")
        self._ranges = dict(zip(table["channel"], table["range"]))
        headline = [name for name, flag in zip(table["channel"], table["headline"]) if flag in (1, "1")]
        self._models = {e["channel"]: e["model"] for e in summary.data.get("energy", []) if "model" in e}
        wanted = {
            "cpu": [f"target.{TARGET}.cpu"], "memory": [f"target.{TARGET}.rss"],
            "sent": [n for n in known if n.startswith("network.") and n.endswith(".sent")],
            "recv": [n for n in known if n.startswith("network.") and n.endswith(".received")],
            "vdd_in": headline, "vdd_cpu_gpu_cv": rails(known, "VDD_CPU_GPU_CV", ("GPU", "CPU", "CV")),
            "vdd_soc": rails(known, "VDD_SOC", ("SOC",)),
        }
        on = {"cpu": "cpu", "memory": "memory", "sent": "network", "recv": "network"}
        self.parts = {key: [n for n in names if n in known] for key, names in wanted.items()
                      if metrics[on.get(key, "power")]}
        for names in self.parts.values():
            for name in names:
                self.channels[name], self.curves[name] = known[name], Curve()

    def read(self, run: Run) -> None:
        """Takes over what was recorded since the last time."""
        for name, channel in self.channels.items():
            curve = self.curves[name]
            since = round(curve.stamps_s[-1] * 1e9) if curve.stamps_s else None
            read = run.readings(channel, since).read()
            for begin_ns, end_ns, value in zip(read["begin_ns"], read["end_ns"], read["value"]):
                self._add(name, channel, curve, (begin_ns + end_ns) / 2e9, value)

    def _add(self, name: str, channel: Channel, curve: Curve, stamp_s: float, value: Optional[float]) -> None:
        if name in self._models:
            model = self._models[name]
            curve.add_model(stamp_s, value, model["idle_w"], model["full_w"], model["cpus"])
        elif channel.is_counter:
            range_ = self._ranges.get(name)
            curve.add_counter(stamp_s, value, float(range_) * channel.scale if range_ else None)
        else:
            curve.add_gauge(stamp_s, value)

    def recorded_until(self) -> float:
        """Up to when every metric is on record; 0: nothing is yet. For a source that is gone, others wait a while only."""
        stamps = [curve.stamps_s[-1] for curve in self.curves.values() if curve.stamps_s]
        return max(min(stamps), max(stamps) - PATIENCE_S) if stamps else 0.0

    def row(self, begin_s: float, end_s: float) -> Row:
        """The metrics between two times."""
        length_s = end_s - begin_s

        def total(key: str) -> Optional[float]:
            return add_up([self.curves[name].increase(begin_s, end_s) for name in self.parts.get(key, [])])

        def power_mw(key: str) -> Optional[float]:
            joules = total(key)
            return None if joules is None or length_s <= 0 else joules / length_s * 1e3

        cpu_s, sent, recv = total("cpu"), total("sent"), total("recv")
        memory = add_up([self.curves[name].mean(begin_s, end_s) for name in self.parts.get("memory", [])])
        all_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Row(begin_s, end_s, None if cpu_s is None or length_s <= 0 else 100 * cpu_s / length_s,
                   None if memory is None else 100 * memory / all_bytes, None if sent is None else round(sent),
                   None if recv is None else round(recv), power_mw("vdd_in"), power_mw("vdd_cpu_gpu_cv"),
                   power_mw("vdd_soc"))

    def forget_before(self, stamp_s: float) -> None:
        """Frees what no later row needs."""
        for curve in self.curves.values():
            curve.forget_before(stamp_s)


def rails(known: Dict[str, Channel], name: str, parts: Any) -> List[str]:
    """The rail of that name, or those that add up to it, by their labels and never by their place."""
    label = {n: c.domain.rsplit("-", 1)[-1] for n, c in known.items() if c.measure in ("power", "energy")}
    return ([n for n, text in label.items() if text == name][:1]
            or [n for part in parts for n, text in label.items() if text == part][:len(parts)])


def check_power(energies: List[Channel]) -> None:
    """Whether power can be had here, and whether anything measures it."""
    if not energies:
        raise RuntimeError("power was asked for, and nothing on this machine tells it: `prony doctor` says what would")
    if all(channel.origin == "modelled" for channel in energies):
        names = ", ".join(channel.name for channel in energies)
        warnings.warn(f"power is modelled here, no sensor measures it ({names}): its range is wide, see `prony show` of "
                      "the Run", stacklevel=3)


class Monitor:
    """Metrics, start, stop, stats and summary. What becomes of a row is a matter of ``_begin_output``, ``_output`` and
    ``_end_output``. Any thread may call; a lock sees to it."""

    _mode = "thread"

    def __init__(self, interval: float = 5, *, run: Optional[str] = None, simulate: Optional[str] = None) -> None:
        if isinstance(interval, bool) or not isinstance(interval, (int, float)):
            raise TypeError(f"interval is a number of seconds, not {type(interval).__name__}")
        if not 0.01 <= interval <= 86400:
            raise ValueError(f"interval={interval}: seconds, 0.01 to a day")
        self.interval = interval
        self._metrics = {"cpu": True, "memory": True, "network": True, "power": False}
        self._active = self._metrics  # since the last start
        self._run_path, self._simulate = run, simulate
        self._rows: List[Row] = []
        self._measured: List[Dict[str, bool]] = []  # per row, what was switched on
        self._lock = threading.RLock()
        self._meter: Optional[Meter] = None
        self._sources: Optional[Sources] = None
        self._folder: Optional[str] = None
        self._begin_s = self._next_s = 0.0
        self._stopping = threading.Event()
        self._worker: Optional[threading.Thread] = None
        self._pid = os.getpid()
        self.error: Optional[BaseException] = None

    def set_metrics(self, **metrics: bool) -> None:
        """cpu, memory, network, power: on or off, from the next start on; what is not named stays as it is."""
        for name, wanted in metrics.items():
            if name not in self._metrics:
                raise ValueError(f"there is no metric {name!r}; there are {', '.join(self._metrics)}")
            if not isinstance(wanted, bool):
                raise TypeError(f"metric {name!r} is True or False, not {wanted!r}")
        self._metrics.update(metrics)

    def start(self) -> None:
        """Begins; where it runs already, nothing. Raises RuntimeError if power is asked for and nothing here tells it."""
        with self._lock:
            if self._meter is not None:
                return
            self._pid, self.error, self._active = os.getpid(), None, dict(self._metrics)
            path = self._run_path
            if path is None:
                self._folder = tempfile.mkdtemp(prefix="prony-heflwr-")
                path = os.path.join(self._folder, "monitor.prony")
            try:
                self._meter = Meter(path, name=TARGET, mode=self._mode, simulate=self._simulate, spans=False,
                                    interval_s=min(1.0, max(0.01, self.interval / 5))).start()
                self._begin_s = self._next_s = time.monotonic()
                if self._active["power"]:
                    with self._meter.run() as run:
                        check_power([channel for channel in run.channels if channel.gives_joules])
                self._begin_output()
            except BaseException:
                self._clean_up()
                raise
            self._stopping.clear()
            self._worker = threading.Thread(target=self._work, name="prony-heflwr", daemon=True)
            self._worker.start()
            atexit.register(self.stop)

    def stop(self) -> None:
        """Ends; where it does not run, nothing. The last row, shorter than the others, is in stats() afterwards."""
        if self._pid != os.getpid():
            return  # a forked child's copy: the parent measures on
        with self._lock:
            if self._meter is None:
                return
            self._stopping.set()
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join()
        with self._lock:
            if self._meter is None:
                return
            try:
                self._meter.stop()
                self._take(last=True)
            finally:
                atexit.unregister(self.stop)
                try:
                    self._end_output()
                finally:
                    self._clean_up()

    def _clean_up(self) -> None:
        if self._meter is not None:
            self._meter.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._meter = self._sources = self._folder = self._worker = None

    def _work(self) -> None:
        while not self._stopping.wait(max(0.25, self.interval)):
            try:
                with self._lock:
                    self._take()
            except Exception as error:  # noqa: BLE001 a thread has nobody to raise to: stop() goes on, `error` tells
                self.error = error

    def _take(self, last: bool = False) -> None:
        """Makes the rows that are wholly on record; ``last``: and what is left."""
        if self._meter is None:
            return
        with self._meter.run() as run:
            if self._sources is None:
                summary = run.summary()
                if summary.wall_s is None and not last:
                    return  # nothing is on record yet
                self._sources = Sources(run, self._active, summary)
            self._sources.read(run)
            end_s = (run.summary().end_ns or 0) / 1e9 if last else self._sources.recorded_until()
        while self._next_s + self.interval <= end_s:
            # From the begin, so that rounding does not pile up.
            count = round((self._next_s - self._begin_s) / self.interval) + 1
            self._add(self._next_s, self._begin_s + count * self.interval)
        if last and end_s - self._next_s > 1e-3 * self.interval:
            self._add(self._next_s, end_s)
        self._sources.forget_before(self._next_s)

    def _add(self, begin_s: float, end_s: float) -> None:
        assert self._sources is not None
        row = self._sources.row(begin_s, end_s)
        self._rows.append(row)
        self._measured.append(self._active)
        self._next_s = end_s
        self._output(row)

    def stats(self) -> Dict[str, List[Number]]:
        """A list per metric, one entry an interval; those of a metric that was on all the time are of one length."""
        with self._lock:
            return {key: [getattr(row, field) for row, on in zip(self._rows, self._measured) if on[metric]]
                    for key, (metric, field) in SERIES.items()}

    def times(self) -> List[Dict[str, float]]:
        """When each row was: begin and end in seconds on CLOCK_MONOTONIC (time.monotonic())."""
        with self._lock:
            return [{"begin_s": row.begin_s, "end_s": row.end_s} for row in self._rows]

    def summary(self) -> Dict[str, Number]:
        """Means weighted by time, in %; bytes as sums; total_power_… are energies in mJ, by time stamps. None: asked for,
        and not to be had here."""
        with self._lock:
            rows = list(zip(self._rows, self._measured))
        result: Dict[str, Number] = {}
        for metric, field in (("cpu", "cpu_percent"), ("memory", "memory_percent")):
            pairs = [(getattr(row, field), row.length_s) for row, on in rows if on[metric]]
            known = [(value, length) for value, length in pairs if value is not None]
            whole_s = sum(length for _, length in known)
            result[f"avg_{metric}_usage"] = (sum(value * length for value, length in known) / whole_s if whole_s
                                             else 0 if not pairs else None)
        for key in ("network_bytes_sent", "network_bytes_recv"):
            result[f"total_{key}"] = _sum([getattr(row, SERIES[key][1]) for row, on in rows if on["network"]])
        for key, field in POWER.items():
            powers = [(getattr(row, field), row.length_s) for row, on in rows if on["power"]]
            result[f"total_{key}"] = _sum([None if power is None else power * length for power, length in powers])
        return result

    def _begin_output(self) -> None:
        raise NotImplementedError

    def _output(self, row: Row) -> None:
        raise NotImplementedError

    def _end_output(self) -> None:
        raise NotImplementedError


def _sum(values: List[Number]) -> Number:
    """0 where the metric was off all the time, as the package that this stands in for has it."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None
