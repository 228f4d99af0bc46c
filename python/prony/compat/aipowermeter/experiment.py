"""Recording an experiment, and its results: Experiment and ExpResults, over the folder of a parsers.JsonParser."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ... import _library
from ..._meter import Meter
from ..._run import open_run
from . import _records
from .parsers import JsonParser, runs_in

STOP_MESSAGE = "Stop"


class _Recording:
    """What measure_yourself gives as both its values: a process and a queue, as far as programs use them."""

    def __init__(self, driver: JsonParser, meter: Meter, pid: int, period_s: float) -> None:
        self._driver, self._meter, self._target, self._period_s = driver, meter, pid, period_s
        self._lock = threading.Lock()
        self._over = False
        self.pid = os.getpid()
        meter.start()
        atexit.register(self._stop)

    def put(self, message: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """STOP_MESSAGE ends the recording; when this returns, everything is in the folder."""
        if message == STOP_MESSAGE:
            self._stop()

    def is_alive(self) -> bool:
        """Whether it is measuring."""
        return not self._over

    def join(self, timeout: Optional[float] = None) -> None:
        """Nothing is left to wait for: ``put`` has waited."""

    def terminate(self) -> None:
        """Ends the recording; what was measured is kept."""
        self._stop()

    kill = close = terminate

    def _stop(self) -> None:
        if os.getpid() != self.pid:
            return  # a forked child's copy
        with self._lock:
            if self._over:
                return
            self._over = True
            atexit.unregister(self._stop)
            self._meter.stop()
            with self._meter.run() as run:
                self._driver.save_records(_records.records(run, self._target, self._period_s))
            self._meter.close()


class Experiment:
    """Starts and ends recordings. ``driver``: a parsers.JsonParser. ``model`` and ``input_size``: a PyTorch model and the
    shape of its input with the batch, whose parameters and multiply-adds are written to model_summary.json. ``cont``: add
    to what is in the folder. ``simulate``: a simulated machine."""

    def __init__(self, driver: JsonParser, model: Any = None, input_size: Optional[Sequence[int]] = None,
                 cont: bool = False, *, simulate: Optional[str] = None) -> None:
        if not isinstance(cont, bool):
            raise TypeError(f"cont is True or False, not {cont!r}")
        self.db_driver, self._simulate = driver, simulate
        driver.cont = driver.cont or cont
        if model is not None:
            self.save_model_card(model, input_size)

    def save_model_card(self, model: Any, input_size: Optional[Sequence[int]], device: str = "cpu") -> None:
        """Writes what the model computes. It stays on its device."""
        if input_size is None:
            raise ValueError("a model needs input_size=(batch, …), or nobody knows what it computes")
        from ... import complexity

        found = complexity.of(model, input_size=tuple(input_size))
        self.db_driver.save_model_card({
            "total_params": found.parameters, "trainable_params": found.trainable_parameters,
            "total_mult_adds": found.multiply_adds, "total_input": found.input_bytes, "input_size": list(input_size),
            "total_output_bytes": found.activation_bytes, "not_counted": list(found.uncounted)})

    def measure_yourself(self, period: float = 1, measurement_period: float = 2, model: Any = None,
                         input_size: Optional[Sequence[int]] = None) -> Tuple[_Recording, _Recording]:
        """Measures this program with all its descendants until STOP_MESSAGE is put. ``period``: seconds a record."""
        if model is not None:
            self.save_model_card(model, input_size)
        return self._measure(period, os.getpid())

    def measure_from_pid_list(self, pid_list: Sequence[int], period: float = 1,
                              measurement_period: float = 2) -> Tuple[_Recording, _Recording]:
        """Measures another process with all its descendants. Of a list only the first may be no descendant of it."""
        pids = [int(pid) for pid in pid_list]
        if not pids:
            raise ValueError("the list of processes is empty")
        foreign = [pid for pid in pids[1:] if not _descends(pid, pids[0])]
        if foreign:
            raise ValueError(f"processes {foreign} do not descend from {pids[0]}: one tree is measured here; `prony monitor "
                             "--pid A --pid B` measures several")
        return self._measure(period, pids[0])

    def _measure(self, period: float, pid: int) -> Tuple[_Recording, _Recording]:
        if isinstance(period, bool) or not isinstance(period, (int, float)) or not 0.01 <= period <= 86400:
            raise ValueError(f"period={period!r}: seconds, 0.01 to a day")
        path = self.db_driver.new_run_file()
        own = pid == os.getpid()
        mode = "process" if not own or _library.program() else "thread"
        meter = Meter(path, name=_records.TARGET, mode=mode, pid=None if own else pid, spans=False,
                      simulate=self._simulate, interval_s=min(1.0, max(0.01, period / 10)))
        recording = _Recording(self.db_driver, meter, pid, float(period))
        with meter.run() as run:
            energies = [channel for channel in run.channels if channel.gives_joules]
        if not any(channel.origin != "modelled" for channel in energies):
            warnings.warn("no sensor measures energy here: powers are left out of the records; `prony doctor` says what "
                          "would help, and `prony show` of the Run has what is modelled", stacklevel=3)
        return recording, recording


class ExpResults:
    """The results of an experiment's folder. Energies are of each record's own window, so windows that nobody measured
    (pauses between segments) are in no total. ``start`` and ``end``: seconds of the calendar (``time.time()``)."""

    def __init__(self, db_driver: JsonParser) -> None:
        self.db_driver = db_driver
        self.cpu_metrics, self.gpu_metrics, self.exp_metrics, self.wattmeter_metrics = db_driver.load_metrics()
        if not any((self.cpu_metrics, self.gpu_metrics, self.exp_metrics, self.wattmeter_metrics)):
            raise ValueError(f"no recordings are in the folder {db_driver.folder!r}")
        self.model_card = db_driver.get_model_card()

    def _series(self, name: str) -> Optional[Dict[str, List[Any]]]:
        for metrics in (self.cpu_metrics, self.gpu_metrics, self.exp_metrics, self.wattmeter_metrics):
            if metrics and name in metrics:
                return metrics[name]
        return None

    def _windows(self, name: str, start: Optional[float], end: Optional[float]) -> List[Tuple[float, float]]:
        """Value and seconds of each window, cut at the two ends."""
        series = self._series(name) or {}
        found = []
        for value, window in zip(series.get("values", []), series.get("windows", [])):
            if window is None or isinstance(value, dict):
                continue
            first = window[0] if start is None else max(window[0], start)
            last = window[1] if end is None else min(window[1], end)
            if last > first:
                found.append((float(value), last - first))
        return found

    def list_metrics(self) -> List[str]:
        """The names of all that was recorded."""
        return [name for part in (self.cpu_metrics, self.gpu_metrics, self.exp_metrics) for name in part or {}]

    def print_metrics(self) -> None:
        """Writes them."""
        sys.stdout.write("\n".join(self.list_metrics()) + "\n")

    def get_curve(self, name: str) -> Optional[List[Dict[str, Any]]]:
        """{"date": seconds, "value": …} of each record, as recorded; None where there is no such metric."""
        series = self._series(name)
        return None if series is None else [{"date": date.timestamp(), "value": value}
                                            for date, value in zip(series["dates"], series["values"])]

    def total_(self, metric_name: str, start: Optional[float] = None, end: Optional[float] = None) -> Optional[float]:
        """Value × time, summed: joules of a power. None where nothing was recorded, or no window is known."""
        found = self._windows(metric_name, start, end)
        return sum(value * length for value, length in found) if found else None

    def average_(self, metric_name: str, start: Optional[float] = None, end: Optional[float] = None) -> Any:
        """The mean over the time that was recorded; of a metric per GPU a dict."""
        series = self._series(metric_name)
        if series and series["values"] and isinstance(series["values"][0], dict):
            return {gpu: _mean([(record[gpu], window[1] - window[0]) for record, window in
                                zip(series["values"], series["windows"]) if window and gpu in record
                                and isinstance(record[gpu], (int, float))])
                    for gpu in sorted({gpu for record in series["values"] for gpu in record})}
        return _mean(self._windows(metric_name, start, end))

    def max_(self, metric_name: str, start: Optional[float] = None, end: Optional[float] = None) -> Optional[float]:
        """The largest of the windows' means."""
        return max((value for value, _ in self._windows(metric_name, start, end)), default=None)

    def get_duration_metric(self, metric_name: str) -> Optional[float]:
        """Seconds for which it was recorded."""
        found = self._windows(metric_name, None, None)
        return sum(length for _, length in found) if found else None

    def get_exp_duration(self) -> Optional[float]:
        """Seconds that were recorded, without the pauses between segments."""
        names = list(self.cpu_metrics or {}) + list(self.gpu_metrics or {})
        return max((self.get_duration_metric(name) or 0.0 for name in names), default=0.0) or None

    def total_power_draw(self, start: Optional[float] = None, end: Optional[float] = None) -> Optional[float]:
        """Joules of the machine's measured parts: psys, or else package and memory, which psys holds; and the GPUs."""
        psys = self.total_("psys_power", start, end)
        parts: List[Optional[float]] = [psys] if psys is not None else [self.total_(name, start, end) for name in ("intel_power", "total_dram_power")]
        known = [part for part in [*parts, self.total_("nvidia_power", start, end)] if part is not None]
        return sum(known) if known else None

    def get_summary(self, start: Optional[float] = None, end: Optional[float] = None) -> Dict[str, Any]:
        """duration (s), start, end, and of cpu and gpu what was recorded: names that end in power are joules here, as
        there. What is not known is left out."""
        def told(pairs: Sequence[Tuple[str, Any]]) -> Dict[str, Any]:
            return {name: value for name, value in pairs if value is not None}

        powers = (("total_psys_power", "psys_power"), ("total_intel_power", "intel_power"),
                  ("rel_intel_power", "rel_intel_power"), ("total_dram_power", "total_dram_power"),
                  ("total_cpu_power", "total_cpu_power"), ("rel_dram_power", "per_process_dram_power"),
                  ("rel_cpu_power", "per_process_cpu_power"))
        cpu = told([(name, self.total_(metric, start, end)) for name, metric in powers] + [
            ("mem_use_abs", self.average_("per_process_mem_use_abs", start, end)),
            ("max_total_mem_use", self.max_("total_mem_use", start, end)),
            ("relative_cpu_use", self.average_("per_process_cpu_uses", start, end)),
            ("absolute_cpu_time_per_pid", self._cpu_time())])
        gpu = told([("nvidia_power", self.total_("nvidia_power", start, end)),
                    ("nvidia_use_rate", self.average_("nvidia_use_rate", start, end)),
                    ("nvidia_memory", self.average_("nvidia_memory", start, end))])
        stamps = [w for part in (self.cpu_metrics, self.gpu_metrics) for series in (part or {}).values()
                  for w in series["windows"] if w]
        first, last = min((w[0] for w in stamps), default=None), max((w[1] for w in stamps), default=None)
        summary = told([("duration", self.get_exp_duration()), ("start", start if start is not None else first),
                        ("end", end if end is not None else last)])
        return {**summary, **({"cpu": cpu} if cpu else {}), **({"gpu": gpu} if gpu else {})}

    def _cpu_time(self) -> Optional[Dict[str, float]]:
        found: Dict[str, float] = {}
        for segment in self.db_driver.segments():
            for record in segment:
                for pid, seconds in (record["metrics"].get("cpu", {}).get("absolute_cpu_time_per_pid") or {}).items():
                    found[pid] = found.get(pid, 0.0) + seconds
        return found or None

    def charged(self) -> Dict[str, Dict[str, float]]:
        """Of the folder's Runs together, without those that were set aside, by power: total_j, and charged_j that Prony
        gives to the experiment by CPU time on each package."""
        found: Dict[str, Dict[str, float]] = {}
        for path in runs_in(self.db_driver.folder):
            with open_run(path) as run:
                for power, joules in _records.charges(run).items():
                    for key, value in joules.items():
                        found.setdefault(power, {})[key] = found.get(power, {}).get(key, 0.0) + value
        return found

    def print(self) -> None:
        """Writes the summary."""
        lines = ["================= EXPERIMENT SUMMARY ==============="]
        if self.model_card is not None:
            lines.append(f"MODEL SUMMARY: {self.model_card['total_params']} parameters and "
                         f"{self.model_card['total_mult_adds']} multiply-adds of a forward pass")
        summary = self.get_summary()
        cpu, gpu = summary.get("cpu", {}), summary.get("gpu", {})

        def line(words: str, total: Optional[float], own: Optional[float] = None) -> None:
            if total is not None:
                share = "" if own is None else f", your experiment's share of busy time: {own:.3f} joules"
                lines.append(f"{words}: {total:.3f} joules{share}")

        if "duration" in summary:
            lines.append(f"recorded: {summary['duration']:.3f} s")
        line("total psys energy (holds the packages)", cpu.get("total_psys_power"))
        line("total package energy", cpu.get("total_intel_power"), cpu.get("rel_intel_power"))
        line("total core energy (part of the package)", cpu.get("total_cpu_power"), cpu.get("rel_cpu_power"))
        line("total RAM energy", cpu.get("total_dram_power"), cpu.get("rel_dram_power"))
        line("total nvidia energy", gpu.get("nvidia_power"))
        if not any(name.endswith("_power") for name in [*cpu, *gpu]):
            lines.append("no power was recorded: no sensor of this machine measures any")
        if "mem_use_abs" in cpu:
            lines.append(f"resident memory, mean: {cpu['mem_use_abs'] / 2**20:.1f} MiB")
        if "relative_cpu_use" in cpu:
            lines.append(f"share of busy CPU time: {100 * cpu['relative_cpu_use']:.1f} %")
        if "nvidia_use_rate" in gpu:
            lines.append(f"GPU busy: {gpu['nvidia_use_rate']:.1f} %, memory used: {gpu['nvidia_memory'] / 2**20:.1f} MiB")
        sys.stdout.write("\n".join(lines) + "\n")

    def display_curves(self, metric_names: Sequence[str], saveto: Optional[str] = None) -> None:
        """Curves over time, with matplotlib; into a file, or on the screen."""
        from matplotlib import pyplot

        _, axes = pyplot.subplots()
        for name in metric_names:
            curve = self.get_curve(name)
            if curve is None:
                raise KeyError(f"{name} was not recorded; there are {', '.join(self.list_metrics())}")
            axes.plot([p["date"] - curve[0]["date"] for p in curve], [p["value"] for p in curve], label=name)
        axes.set_xlabel("s")
        axes.legend()
        if saveto is None:
            pyplot.show()
        else:
            pyplot.savefig(saveto)
        pyplot.close()


def _mean(pairs: List[Tuple[float, float]]) -> Optional[float]:
    length = sum(seconds for _, seconds in pairs)
    return sum(value * seconds for value, seconds in pairs) / length if length > 0 else None


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
        if pid == ancestor:
            return True
    return False
