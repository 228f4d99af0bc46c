"""A thousand clients that send a frame a second each into one `prony collect`, pinned to one CPU.

Each client is a kept-open connection and a stream of its own, with 50 series a frame; they send at even distances within
the second. What counts is what the collector's file holds afterwards. CPU is the collector's, from /proc/PID/stat.
"""
import json
import os
import selectors
import socket
import sqlite3
import statistics
import subprocess
import time
import uuid

SERIES = 50


class NotMeasured(Exception):
    pass


class Client:
    def __init__(self, number, port):
        self.name, self.stream = f"client-{number}", uuid.uuid4().hex
        self.sequence, self.sent_at, self.waits, self.got = 0, 0.0, False, b""
        self.line = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self):
        header = {"prony_remote": 1, "client": self.name, "stream": self.stream, "sent_wall_ns": time.time_ns()}
        if self.sequence == 0:
            header["head"] = {"host": self.name, "boot": self.name, "begun_wall_ns": time.time_ns(), "interval_ns": 10**9, "series": [
                {"name": f"rapl.package-{i}.gross_j", "unit": "J", "kind": "counter", "origin": "measured"} for i in range(SERIES)]}
        self.sequence += 1
        values = [round(self.sequence * 17.123456 + i, 6) for i in range(SERIES)]
        frame = {"sequence": self.sequence, "wall_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns(), "dropped": 0, "values": values}
        body = (json.dumps(header) + "\n" + json.dumps(frame) + "\n").encode()
        self.line.sendall(b"POST /v1/frames HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.sent_at, self.waits, self.got = time.monotonic(), True, b""

    def receive(self):
        """Seconds until the receipt was here, or None while it is not."""
        self.got += self.line.recv(65536)
        if not self.got.endswith(b"}\n"):
            return None
        if b" 200 " not in self.got.split(b"\r\n", 1)[0]:
            raise NotMeasured("the collector answers " + self.got.split(b"\r\n", 1)[0].decode(errors="replace"))
        self.waits = False
        return time.monotonic() - self.sent_at


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drive(clients, seconds):
    """Each client sends once a second, for so long. Seconds until each receipt, and in all."""
    watch = selectors.DefaultSelector()
    for client in clients:
        watch.register(client.line, selectors.EVENT_READ, client)
    latencies = []
    begin = time.monotonic()
    total = len(clients) * seconds
    next_one = 0
    while next_one < total or any(client.waits for client in clients):
        due, blocked = begin + next_one / len(clients), False
        while next_one < total and time.monotonic() >= due:
            client = clients[next_one % len(clients)]
            if client.waits:  # its receipt of a second ago is not here: it sends when it is
                blocked = True
                break
            client.send()
            next_one += 1
            due = begin + next_one / len(clients)
        wait = 0.05 if blocked or next_one >= total else max(0.0, min(0.05, due - time.monotonic()))
        for key, _ in watch.select(wait):
            took = key.data.receive()
            if took is not None:
                latencies.append(took)
        if time.monotonic() - begin > 5 * seconds + 30:
            raise NotMeasured("it does not keep up")
    return latencies, time.monotonic() - begin


def measure(prony, folder, count=1000, seconds=20):
    """Rows for the page of `make bench`."""
    cpus = sorted(os.sched_getaffinity(0))
    file = os.path.join(folder, "fleet.sqlite")
    collector = subprocess.Popen([prony, "collect", "--listen", "0", "--out", file], stderr=subprocess.PIPE, text=True,
                                 preexec_fn=lambda: os.sched_setaffinity(0, {cpus[-1]}))
    clients = []
    try:
        told = collector.stderr.readline()
        if "http://127.0.0.1:" not in told:
            raise NotMeasured(told.strip() or "prony collect did not begin")
        port = int(told.split("http://127.0.0.1:")[1].split()[0])
        clients = [Client(number, port) for number in range(count)]
        before = cpu_s(collector.pid)
        latencies, wall_s = drive(clients, seconds)
        used = cpu_s(collector.pid) - before
        with open(f"/proc/{collector.pid}/status", encoding="utf-8") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    finally:
        for client in clients:
            client.line.close()
        collector.terminate()
        collector.wait()
        collector.stderr.close()
    with sqlite3.connect(file) as kept:
        there, distinct = kept.execute("SELECT count(*), count(DISTINCT stream_id * 1000000 + sequence) FROM frame").fetchone()
    sent = count * seconds
    share = used / seconds * 100
    held = there == distinct == sent and used < seconds
    latencies.sort()
    return [(f"{count} clients × 1 Hz into `prony collect`, pinned to one core", f"{sent - there} of {sent} lost; {share:.0f} % of that core",
             "none lost, on one core", held,
             f"{seconds} s, {SERIES} series a frame, a request each, connections kept; a receipt after "
             f"{statistics.median(latencies) * 1e3:.1f} ms, p99 {latencies[int(len(latencies) * 0.99)] * 1e3:.0f} ms; all was there "
             f"after {wall_s:.1f} s; peak RSS {resident:.0f} MiB; the file has {os.path.getsize(file) / 1e6:.0f} MB; the clients are on the same machine")]
