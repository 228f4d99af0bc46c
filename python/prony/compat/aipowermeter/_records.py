"""From a Run to the records of power_metrics.json: each window's increases, so that windows add up to the whole."""

from __future__ import annotations

import datetime
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from ..._run import Channel, Run
from ..heflwr._series import Curve, add_up

TARGET = "experiment"
# The recorded name, and the domains that it adds up: "package" stands for package-0, package-1, …
POWERS = {"intel_power": "package", "psys_power": "psys", "total_cpu_power": "core", "total_dram_power": "dram",
          "uncore_power": "uncore"}
SHARES = {"rel_intel_power": "intel_power", "per_process_cpu_power": "total_cpu_power",
          "per_process_dram_power": "total_dram_power"}


def _stem(domain: str) -> str:
    """"package" of "package-0" """
    head, _, number = domain.rpartition("-")
    return head if head and number.isdigit() else domain


class _Curves:
    """The curves of a Run's channels that records are made of."""

    def __init__(self, run: Run) -> None:
        table = run.table("channels")
        self._ranges = dict(zip(table["channel"], table["range"]))
        self._run = run
        self._known: Dict[str, Curve] = {}
        self.channels: List[Channel] = run.channels

    def of(self, channel: Channel) -> Curve:
        if channel.name not in self._known:
            curve = Curve()
            read = self._run.readings(channel).read()
            for begin_ns, end_ns, value in zip(read["begin_ns"], read["end_ns"], read["value"]):
                stamp_s = (begin_ns + end_ns) / 2e9
                if channel.is_counter:
                    range_ = self._ranges.get(channel.name)
                    curve.add_counter(stamp_s, value, float(range_) * channel.scale if range_ else None)
                else:
                    curve.add_gauge(stamp_s, value)
            self._known[channel.name] = curve
        return self._known[channel.name]

    def increase(self, channels: List[Channel], window: Tuple[float, float]) -> Optional[float]:
        return add_up([self.of(channel).increase(*window) for channel in channels])

    def mean(self, channel: Channel, window: Tuple[float, float]) -> Optional[float]:
        return self.of(channel).mean(*window)


class Sources:
    """Which channels each field comes from. One sensor a domain: what another tells of it too is left out."""

    def __init__(self, run: Run, pid: Union[int, str]) -> None:
        self.pid = str(pid)
        self._curves = _Curves(run)
        channels = self._curves.channels
        energies = [c for c in channels if c.sensor.startswith("rapl") and c.measure == "energy"]
        self.powers = {name: [c for c in energies if _stem(c.domain) == stem] for name, stem in POWERS.items()}
        self.modelled = [c for c in channels if c.gives_joules and c.origin == "modelled"]
        gpus = [c for c in channels if c.sensor == "nvml" and _stem(c.domain) == "gpu"]
        self.gpu_energy = [c for c in gpus if c.measure == "energy"]
        self.gpu_use = [c for c in gpus if c.measure == "fraction" and c.name.endswith(".utilization")]
        self.gpu_memory = [c for c in gpus if c.measure == "memory"]
        self.gpu_own_memory = [c for c in channels if c.name.startswith(f"target.{TARGET}.gpu-") and c.measure == "memory"]
        named = {c.name: c for c in channels}
        self.cpu, self.busy = named.get(f"target.{TARGET}.cpu"), named.get("cpu.busy")
        self.memory, self.used = named.get(f"target.{TARGET}.rss"), named.get("memory.used")
        self.temperatures = [c for c in channels if c.measure == "temperature"]

    def metrics(self, window: Tuple[float, float]) -> Dict[str, Dict[str, Any]]:
        """The record of one window; what is not known is not in it."""
        cpu, gpu = self._cpu(window), self._gpu(window)
        heat = {c.name: self._curves.mean(c, window) for c in self.temperatures}
        parts = {"cpu": cpu, "gpu": gpu, "temperature": {name: value for name, value in heat.items() if value is not None}}
        return {name: part for name, part in parts.items() if part}

    def _cpu(self, window: Tuple[float, float]) -> Dict[str, Any]:
        length_s = window[1] - window[0]
        found: Dict[str, Any] = {}

        def keep(name: str, value: Any) -> None:
            if value is not None:
                found[name] = value

        for name, channels in self.powers.items():
            joules = self._curves.increase(channels, window)
            keep(name, None if joules is None else joules / length_s)
        used = self._curves.increase([self.cpu], window) if self.cpu else None
        busy = self._curves.increase([self.busy], window) if self.busy else None
        share = None if used is None or not busy else min(1.0, used / busy)
        keep("absolute_cpu_time_per_pid", None if used is None else {self.pid: used})
        keep("per_process_cpu_uses", None if share is None else {self.pid: share})
        for name, whole in SHARES.items():
            if share is not None and whole in found:
                found[name] = {self.pid: share * found[whole]}
        own = self._curves.mean(self.memory, window) if self.memory else None
        all_of_it = self._curves.mean(self.used, window) if self.used else None
        keep("per_process_mem_use_abs", None if own is None else {self.pid: own})
        keep("per_process_mem_use_percent", None if own is None or not all_of_it else {self.pid: own / all_of_it})
        keep("total_mem_use", all_of_it)
        return found

    def _gpu(self, window: Tuple[float, float]) -> Dict[str, Any]:
        length_s = window[1] - window[0]

        def each(channels: List[Channel], value: Any) -> Dict[str, float]:
            told = {c.domain.rpartition("-")[2]: value(c) for c in channels}
            return {number: one for number, one in told.items() if one is not None}

        def watts(channel: Channel) -> Optional[float]:
            joules = self._curves.increase([channel], window)
            return None if joules is None else joules / length_s

        found: Dict[str, Any] = {}
        power, memory = each(self.gpu_energy, watts), each(self.gpu_memory, lambda c: self._curves.mean(c, window))
        use = {n: 100 * value for n, value in each(self.gpu_use, lambda c: self._curves.mean(c, window)).items()}
        for name, values, total in (("nvidia_power", power, sum(power.values())),
                                    ("nvidia_memory", memory, sum(memory.values())),
                                    ("nvidia_use_rate", use, sum(use.values()) / max(1, len(use)))):
            if values:
                found["per_gpu_" + name], found[name] = values, total
        own = {c.domain.rpartition("-")[2]: self._curves.mean(c, window) for c in self.gpu_own_memory}
        if any(value is not None for value in own.values()):
            found["per_gpu_attributable_mem_use"] = {n: {self.pid: v} for n, v in own.items() if v is not None}
        return found


def records(run: Run, pid: Union[int, str], period_s: float) -> Iterator[Dict[str, Any]]:
    """The records of a Run, one a period from its begin; the last one is shorter. Their windows leave nothing out. Each
    names its Run, so that a Run that none names is known to be one whose program did not live to write its records."""
    summary, name = run.summary(), os.path.basename(run.path)
    if summary.begin_ns is None or summary.end_ns is None:
        return
    sources = Sources(run, pid)
    started = datetime.datetime.fromisoformat(str(summary.data["started_utc"]).replace("Z", "+00:00"))
    begin_s, end_s, count = summary.begin_ns / 1e9, summary.end_ns / 1e9, 0
    while begin_s + count * period_s < end_s - 1e-3 * period_s:
        window = (begin_s + count * period_s, min(end_s, begin_s + (count + 1) * period_s))
        count += 1
        if window[1] - window[0] <= 0:
            continue
        date = started + datetime.timedelta(seconds=window[1] - begin_s)
        yield {"date": str(date.astimezone()), "begin_ns": round(window[0] * 1e9), "end_ns": round(window[1] * 1e9),
               "run": name, "metrics": sources.metrics(window)}


def charges(run: Run) -> Dict[str, Dict[str, float]]:
    """Of each power the joules of the whole Run: all of it, and what is charged to the experiment. Absent: not there."""
    summary = run.summary()
    stems = {c.name: _stem(c.domain) for c in run.channels if c.sensor.startswith("rapl") and c.measure == "energy"}
    found: Dict[str, Dict[str, float]] = {}
    for name, stem in POWERS.items():
        for party, key in (("gross", "total_j"), ("target", "charged_j")):
            values = [row.value_j for row in summary.of(party) if stems.get(row.channel) == stem]
            total = add_up(values)
            if total is not None:
                found.setdefault(name, {})[key] = total
    return found
