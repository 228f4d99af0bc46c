"""Reading and writing an experiment's folder: power_metrics.json and what lies beside it. Only JSON, as there."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from ..._errors import PronyError
from ..._run import open_run
from . import _records

Metrics = Dict[str, Dict[str, List[Any]]]  # name -> dates, values, and begin_s, end_s of each value's window
SEGMENT_END = "END OF RECORDING SEGMENT"
PATIENCE_S = 10.0  # for a Run to come to its end; that of a program that was killed takes about a second


class JsonParser:
    """The folder of an experiment. ``meta_data``: a text or a dict, kept in metadata.json. ``cont``: new recordings are
    added to those that are there, as a segment of their own; else those are kept under other names (…json.1 and
    recording-….prony.1), for nothing that was measured is deleted here."""

    def __init__(self, location: "Union[str, os.PathLike[str]]", meta_data: Union[str, Dict[str, Any], None] = None,
                 cont: bool = False) -> None:
        if not isinstance(cont, bool):
            raise TypeError(f"cont is True or False, not {cont!r}")
        self.folder = os.fspath(location)
        self.cont = cont
        self.power_metric_filename = os.path.join(self.folder, "power_metrics.json")
        self.exp_metric_filename = os.path.join(self.folder, "results_exp.json")
        self.model_card_file = os.path.join(self.folder, "model_summary.json")
        self.metadata_file = os.path.join(self.folder, "metadata.json")
        self.wattmeter_logfile = os.path.join(self.folder, "omegawatt.csv")
        if meta_data is not None:
            described = dict(meta_data) if isinstance(meta_data, dict) else {"description": str(meta_data)}
            self._write(self.metadata_file, [{**described, "date": _now()}])

    def _write(self, path: str, documents: Any, mode: str = "w") -> None:
        os.makedirs(self.folder, exist_ok=True)
        with open(path, mode, encoding="utf-8") as file:
            for document in documents:
                file.write(json.dumps(document) + "\n")

    def new_run_file(self) -> str:
        """Where the Run of a new recording goes; what was recorded before is set aside unless it goes on."""
        os.makedirs(self.folder, exist_ok=True)
        if not self.cont:
            self._set_aside()
        elif os.path.exists(self.power_metric_filename):
            self._write(self.power_metric_filename, [SEGMENT_END], "a")
        return _free(os.path.join(self.folder, "recording-"), ".prony")

    def _set_aside(self) -> None:
        """Gives records and Runs of earlier recordings one number, or they would be added to what is measured next."""
        runs = runs_in(self.folder)
        for path in runs:
            _wait_for_the_end(path)
        there, number = os.listdir(self.folder), 1
        while any(re.fullmatch(rf"(power_metrics\.json|recording-\d+\.prony)\.{number}", name) for name in there):
            number += 1
        for path in [*runs, self.power_metric_filename]:
            for rest in ("", ".spans", "-wal", "-journal", "-shm"):  # a damaged Run has them beside it still
                if os.path.exists(path + rest):
                    os.rename(path + rest, f"{path}.{number}{rest}")

    def save_records(self, records: Any) -> None:
        """Appends records, each with its date already."""
        self._write(self.power_metric_filename, records, "a")

    def save_power_metrics(self, metrics: Dict[str, Any]) -> None:
        """Appends what somebody else measured, with the time of now."""
        self._write(self.power_metric_filename, [{"date": _now(), "metrics": metrics}], "a")

    def save_exp_metrics(self, metrics: Dict[str, Any]) -> None:
        """Appends results of the experiment: accuracy, latency, …"""
        self._write(self.exp_metric_filename, [{"date": _now(), "metrics": metrics}], "a")

    def save_model_card(self, model_card: Dict[str, Any]) -> None:
        """Writes what the model computes."""
        self._write(self.model_card_file, [model_card])

    def get_model_card(self, *_: Any) -> Optional[Dict[str, Any]]:
        """What the model computes; None where nobody said it."""
        if not os.path.isfile(self.model_card_file):
            return None
        with open(self.model_card_file, encoding="utf-8") as file:
            return dict(json.load(file))

    def segments(self) -> List[List[Dict[str, Any]]]:
        """The records, by recording. A last line that was torn is left out. Where a program did not live to write them
        they are made of its Runs, a second each."""
        segments: List[List[Dict[str, Any]]] = [[]]
        if os.path.isfile(self.power_metric_filename):
            for document in _documents(self.power_metric_filename):
                if document == SEGMENT_END:
                    segments.append([])
                elif isinstance(document, dict) and "metrics" in document:
                    segments[-1].append(document)
        told = {record.get("run") for segment in segments for record in segment}
        recovered = []
        for path in runs_in(self.folder):
            if os.path.basename(path) not in told:
                with open_run(path) as run:
                    recovered.append(list(_records.records(run, "experiment", 1.0)))
        known = [segment for segment in [*segments, *recovered] if segment]
        return sorted(known, key=lambda segment: _date(segment[0]).timestamp()) if recovered else known

    def _load(self, part: str) -> Optional[Metrics]:
        metrics: Metrics = {}
        for segment in self.segments():
            for record, window in zip(segment, windows(segment)):
                for name, value in (record["metrics"].get(part) or {}).items():
                    number = _number(name, value)
                    if number is None:
                        continue
                    series = metrics.setdefault(name, {"dates": [], "values": [], "windows": []})
                    series["dates"].append(_date(record))
                    series["values"].append(number)
                    series["windows"].append(window)
        return metrics or None

    def load_cpu_metrics(self) -> Optional[Metrics]:
        """Series by name; a value per process is added up. None where there are none."""
        return self._load("cpu")

    def load_gpu_metrics(self) -> Optional[Metrics]:
        """Series by name; those per GPU as dicts. None where there are none."""
        return self._load("gpu")

    def load_exp_metrics(self) -> Optional[Metrics]:
        """Series of the experiment's own results. Lines, or one document, as both are written there."""
        if not os.path.isfile(self.exp_metric_filename):
            return None
        metrics: Metrics = {}
        for document in _documents(self.exp_metric_filename):
            for entry in document if isinstance(document, list) else [document]:
                stamp = entry.get("date") or entry.get("end_training_epoch")
                values = entry.get("metrics", {k: v for k, v in entry.items() if k != "end_training_epoch"})
                for name, value in values.items():
                    series = metrics.setdefault(name, {"dates": [], "values": []})
                    series["dates"].append(datetime.datetime.fromisoformat(stamp) if stamp else None)
                    series["values"].append(value)
        return metrics or None

    def load_wattmeter_metrics(self) -> Optional[Metrics]:
        """omegawatt.csv: lines of a log before the header, frames that are not right and a torn last line are left out."""
        if not os.path.isfile(self.wattmeter_logfile):
            return None
        metrics: Metrics = {}
        header: List[str] = []
        with open(self.wattmeter_logfile, encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.reader(file):
                if row and row[0] == "#timestamp":
                    header = row
                elif header and len(row) == len(header) and row[1] == "true":
                    try:
                        numbers = [float(cell) for place, cell in enumerate(row) if place != 1]
                    except ValueError:
                        continue
                    date = datetime.datetime.fromtimestamp(numbers[0], datetime.timezone.utc)
                    for name, number in zip([header[0], *header[2:]], numbers):
                        series = metrics.setdefault(name, {"dates": [], "values": []})
                        series["dates"].append(date)
                        series["values"].append(number)
        return metrics or None

    def load_metrics(self) -> Tuple[Optional[Metrics], Optional[Metrics], Optional[Metrics], Optional[Metrics]]:
        """CPU, GPU, the experiment's own, and the wattmeter's; each None where there is none."""
        return self.load_cpu_metrics(), self.load_gpu_metrics(), self.load_exp_metrics(), self.load_wattmeter_metrics()


def runs_in(folder: str) -> List[str]:
    """The Runs of an experiment's recordings, the oldest first."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    numbers = sorted(int(name[10:-6]) for name in names if re.fullmatch(r"recording-\d+\.prony", name))
    return [os.path.join(folder, f"recording-{number}.prony") for number in numbers]


def _wait_for_the_end(path: str) -> None:
    """A Run that somebody still writes must keep its name."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with open_run(path) as run:
                if run.state != "recording":
                    return
        except PronyError:
            return  # it is damaged, and kept as it is
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} is still being written: end that recording first, take another folder, or go on in "
                               "this one with cont=True")
        time.sleep(0.1)


def windows(segment: List[Dict[str, Any]]) -> List[Optional[Tuple[float, float]]]:
    """The time that each record of a segment is about, in seconds of the calendar.

    Ours say it. AIPowerMeter's are stamped at the end of a window whose begin nobody wrote down: the record before it;
    of the first one, the median of the others' lengths. One that is alone has none, so no joules."""
    ends = [_date(record).timestamp() for record in segment]
    gaps = sorted(after - before for before, after in zip(ends, ends[1:]))
    made: List[Optional[Tuple[float, float]]] = []
    for number, (record, end) in enumerate(zip(segment, ends)):
        if "begin_ns" in record and "end_ns" in record:
            made.append((end - (record["end_ns"] - record["begin_ns"]) / 1e9, end))
        elif number > 0:
            made.append((ends[number - 1], end))
        else:
            made.append((end - gaps[len(gaps) // 2], end) if gaps else None)
    return made


def _number(name: str, value: Any) -> Any:
    """One value of a record: per process added up; a power of -1 W is how AIPowerMeter writes that there is none."""
    if isinstance(value, dict) and not name.startswith("per_gpu"):
        value = sum(v for v in value.values() if v is not None)
    elif isinstance(value, list):
        value = sum(value)
    if name.endswith("_power") and isinstance(value, (int, float)) and value < 0:
        return None
    return value


def _documents(path: str) -> Iterator[Any]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        yield json.loads(text)
        return
    except ValueError:
        pass
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            if line.strip() == SEGMENT_END:
                yield SEGMENT_END


def _date(record: Dict[str, Any]) -> datetime.datetime:
    return datetime.datetime.fromisoformat(record["date"])


def _now() -> str:
    return str(datetime.datetime.now().astimezone())


def _free(begin: str, end: str = "") -> str:
    number = 1
    while os.path.exists(f"{begin}{number}{end}"):
        number += 1
    return f"{begin}{number}{end}"
