"""Where rows go: a text log, a port that Prometheus scrapes, a server that takes posted forms."""

from __future__ import annotations

import datetime
import logging
import os
import sys
import threading
import uuid
import warnings
from typing import Any, Dict, List, Optional, Tuple, Union

from ._base import Monitor, Row
from ._door import Server
from ._sender import Path, Sender, server_of


def row_text(row: Row, active: Dict[str, bool]) -> str:
    """A row in the words of the text log; what is not to be had here is left out."""
    fields: List[Tuple[str, str, Optional[float]]] = [
        ("cpu", "CPU Usage: {}%", None if row.cpu_percent is None else round(row.cpu_percent, 1)),
        ("memory", "Memory Usage: {}%", None if row.memory_percent is None else round(row.memory_percent, 2)),
        ("network", "Bytes Sent: {}", row.bytes_sent), ("network", "Bytes Recv: {}", row.bytes_recv),
        ("power", "VDD In: {}", None if row.vdd_in_mw is None else round(row.vdd_in_mw)),
        ("power", "VDD Cpu_Gpu_Cv: {}", None if row.vdd_cpu_gpu_cv_mw is None else round(row.vdd_cpu_gpu_cv_mw)),
        ("power", "VDD Soc: {}", None if row.vdd_soc_mw is None else round(row.vdd_soc_mw))]
    return ", ".join(words.format(value) for metric, words, value in fields if active[metric] and value is not None)


def posted_text(row: Row, active: Dict[str, bool]) -> str:
    """A row in the words that are posted: not those of the text log, and figures as they are."""
    fields: List[Tuple[str, str, Optional[float]]] = [
        ("cpu", "Cpu Usage: {}%, ", row.cpu_percent), ("memory", "Memory Usage: {}%, ", row.memory_percent),
        ("network", "Bytes Sent: {}, ", row.bytes_sent), ("network", "Bytes Recv: {}, ", row.bytes_recv),
        ("power", "VDD In: {}, ", row.vdd_in_mw), ("power", "VDD cpu_gpu_cv: {}, ", row.vdd_cpu_gpu_cv_mw),
        ("power", "VDD soc: {}, ", row.vdd_soc_mw)]
    return "".join(words.format(value) for metric, words, value in fields if active[metric] and value is not None)


class FileMonitor(Monitor):
    """Appends to a text log: the time at each start, then a line an interval, each written whole."""

    def __init__(self, file: "Union[str, os.PathLike[str]]", interval: float = 5, *, run: Optional[str] = None,
                 simulate: Optional[str] = None) -> None:
        super().__init__(interval, run=run, simulate=simulate)
        self.file = file
        self._descriptor = -1

    def _begin_output(self) -> None:
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # somebody was killed in the middle of a line
        self._line(datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"))

    def _line(self, text: str) -> None:
        os.write(self._descriptor, (text + "\n").encode())  # one write: lines of several programs never mix

    def _output(self, row: Row) -> None:
        self._line(row_text(row, self._active) + ", ")

    def _end_output(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


_GAUGES = (("cpu", "cpu_usage", "cpu_percent"), ("memory", "memory_usage", "memory_percent"),
           ("network", "bytes_sent", "bytes_sent"), ("network", "bytes_recv", "bytes_recv"),
           ("power", "vdd_in", "vdd_in_mw"), ("power", "vdd_cpu_gpu_cv", "vdd_cpu_gpu_cv_mw"),
           ("power", "vdd_soc", "vdd_soc_mw"))
_TOTALS = (("network", "prony_network_sent_bytes_total", "bytes_sent", 1.0),
           ("network", "prony_network_received_bytes_total", "bytes_recv", 1.0),
           ("power", "prony_vdd_in_joules_total", "vdd_in_mw", 1e-3),
           ("power", "prony_vdd_cpu_gpu_cv_joules_total", "vdd_cpu_gpu_cv_mw", 1e-3),
           ("power", "prony_vdd_soc_joules_total", "vdd_soc_mw", 1e-3))


class PrometheusMonitor(Monitor):
    """Shows the last row at http://ADDRESS:PORT/metrics until the stop; then nobody answers, and the series end.

    The seven gauges are those of the package that this stands in for, of the last interval. Differences lose what comes
    between two scrapes, so there are counters too: ``prony_…_total``, which never go back while this program runs.
    Only this machine is listened to: the numbers are without a password. A Prometheus elsewhere needs ``address=""`` (all
    addresses, as there) or the address of one of this machine's networks.
    """

    def __init__(self, port: int = 8003, interval: float = 5, *, address: str = "127.0.0.1", run: Optional[str] = None,
                 simulate: Optional[str] = None) -> None:
        super().__init__(interval, run=run, simulate=simulate)
        self.port, self.address = port, address
        self._server: Optional[Server] = None
        self._answer = b""
        self._totals: Dict[str, float] = {}

    def _begin_output(self) -> None:
        self._answer = b""
        self._server = Server(self.address, self.port, lambda path: self._answer if path in ("/", "/metrics") else None)
        self.port = self._server.server_address[1]  # where port 0 asked for any
        threading.Thread(target=self._server.serve_forever, name="prony-prometheus", daemon=True,
                         kwargs={"poll_interval": 0.1}).start()

    def _output(self, row: Row) -> None:
        lines = []
        for metric, name, field in _GAUGES:
            value = getattr(row, field)
            if self._active[metric] and value is not None:
                lines += [f"# TYPE {name} gauge", f"{name} {value!r}"]
        for metric, name, field, scale in _TOTALS:
            value = getattr(row, field)
            if self._active[metric] and value is not None:
                self._totals[name] = self._totals.get(name, 0.0) + value * scale * (row.length_s if scale != 1.0 else 1.0)
            if name in self._totals:
                lines += [f"# TYPE {name} counter", f"{name} {self._totals[name]!r}"]
        self._answer = ("\n".join(lines) + "\n").encode()

    def _end_output(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class RemoteMonitor(Monitor):
    """Posts each row to http://HOST/simple_log (identifier, message) or, with ``simple=False``, to /log with all fields
    of a log record, each with ``stream`` and ``sequence``, by which ``prony collect`` knows a row that comes twice. A thread
    of its own sends and tries again; measuring never waits for it. ``undelivered`` tells after the stop how many rows the
    server never took. ``host`` may be https://…, with certificates to trust in ``ca``; the first line of ``token_file`` is
    shown as a token, which goes over https alone, or to this machine."""

    def __init__(self, host: str, interval: float = 5, identifier: Optional[str] = None, simple: bool = True, *,
                 token_file: Optional[Path] = None, ca: Optional[Path] = None, run: Optional[str] = None,
                 simulate: Optional[str] = None) -> None:
        super().__init__(interval, run=run, simulate=simulate)
        self._server = server_of(host, token_file, ca)
        self.host, self.simple = host, simple
        self.identifier = f"remote-monitor-{uuid.uuid4().hex}" if identifier is None else identifier
        self.undelivered = 0
        self._sender: Optional[Sender] = None

    def _begin_output(self) -> None:
        self._sender = Sender(self._server, "/simple_log" if self.simple else "/log")

    def _output(self, row: Row) -> None:
        assert self._sender is not None
        message = posted_text(row, self._active)
        if self.simple:
            self._sender.hand_over({"identifier": self.identifier, "message": message})
            return
        record = logging.LogRecord("HeFlwr", logging.INFO, __file__, sys._getframe().f_lineno, message, None, None)
        record.message = message
        self._sender.hand_over({"identifier": self.identifier, **record.__dict__})

    def _end_output(self) -> None:
        sender, self._sender = self._sender, None
        if sender is None:
            return
        self.undelivered = sender.close()
        if self.undelivered:
            warnings.warn(f"{self.undelivered} rows could not be delivered to {self.host} ({sender.trouble}): they are in "
                          "stats()", stacklevel=4)
