"""How fast the client of servers is and how true its stamps are, against tests/rigs/stream_server, whose every piece holds
the instant at which it was sent (same clock, same machine). Used by bench/run.py; alone: client.py BUILD_DIR.
"""
import json
import os
import sqlite3
import subprocess
import sys
import time


class NotMeasured(Exception):
    pass


class Server:
    """The rig as a context; .url is where it listens."""

    def __init__(self, build, *options):
        path = os.path.join(build, "rigs", "stream_server")
        if not os.access(path, os.X_OK):
            raise NotMeasured("stream_server is not built")
        self.command = [path, *options]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def capacity(build, streams=100, pieces=2000):
    """Pieces per second of the worker's CPU time, sent as fast as the sockets take them; all must come."""
    with Server(build, "--pieces", str(pieces), "--hold", str(streams)) as server:
        worker = subprocess.Popen([os.path.join(build, "prony-engine-http"), "--dialect", "openai", "--url", server.url],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env={k: v for k, v in os.environ.items() if not k.startswith("PRONY_")})
        def tell(**message):
            worker.stdin.write(json.dumps(message) + "\n")
            worker.stdin.flush()
        worker.stdout.readline()
        tell(type="load", model="tiny", streams=streams)
        worker.stdout.readline()
        ticks = cpu_s(worker.pid)
        begun = time.monotonic()
        for number in range(streams):
            tell(type="prompt", id=str(number), text="go on", max_tokens=pieces, keep_output=True)
        lost = 0
        for _ in range(streams):
            reply = json.loads(worker.stdout.readline())
            sent = [int(word) for word in reply.get("text", "").split()]
            lost += pieces - len(sent) if sent == sorted(set(sent)) else pieces
        wall = time.monotonic() - begun
        used = cpu_s(worker.pid) - ticks
        tell(type="stop")
        worker.wait()
    return {"pieces": streams * pieces, "lost": lost, "wall_s": wall, "cpu_s": used}


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def stamps(build, scratch, streams=200, interval_us=10_000, pieces=500):
    """Errors (received − sent, ns) of the stamps in a Run, at streams / interval pieces per second; and what was lost."""
    run, prompts, summary = (os.path.join(scratch, name) for name in ("client.prony", "client.txt", "client.json"))
    with open(prompts, "w", encoding="utf-8") as file:
        file.write("go on\n")
    with Server(build, "--pieces", str(pieces), "--hold", str(streams), "--interval-us", str(interval_us)) as server:
        done = subprocess.run([os.path.join(build, "prony"), "llm", "--engine", "openai", "--url", server.url, "--model", "tiny",
                               "--prompts", prompts, "--all-at-once", "--requests", str(streams), "--streams", str(streams),
                               "--keep-output", "--quiet", "--out", run, "--json", summary, "--force"],
                              capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise NotMeasured(f"prony llm ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    with sqlite3.connect(run) as database:
        came = {}
        for parent, end in database.execute("SELECT parent, end_ns FROM span WHERE kind = 'token' ORDER BY end_ns"):
            came.setdefault(parent, []).append(end)
        answers = dict(database.execute("SELECT span_id, value FROM span_attribute WHERE key = 'answer'"))
        kernel = dict(database.execute("SELECT span_id, value FROM span_attribute WHERE key = 'stamps'"))
        span_s = database.execute("SELECT (max(end_ns) - min(end_ns)) / 1e9 FROM span WHERE kind = 'token'").fetchone()[0]
    errors, lost = [], 0
    for span, answer in answers.items():
        sent = [int(word) for word in answer.split()]
        ends = came.get(span, [])
        lost += pieces - len(ends)
        if len(sent) == len(ends):
            errors += [end - begin for begin, end in zip(sent, ends)]
    lost += (streams - len(answers)) * pieces
    return {"errors_ns": sorted(errors), "lost": lost, "pieces": streams * pieces, "rate_per_s": streams * pieces / span_s,
            "kernel": sum(value == "kernel" for value in kernel.values()), "streams": streams}


def rows(build, scratch):
    fast = max((capacity(build) for _ in range(3)), key=lambda got: got["pieces"] / got["cpu_s"])
    rate = fast["pieces"] / fast["cpu_s"]
    true = stamps(build, scratch)
    errors = true["errors_ns"]
    if not errors:
        raise NotMeasured("no stamps were kept")
    p50, p99 = (errors[int(len(errors) * p)] / 1e3 for p in (0.5, 0.99))
    return [("client: pieces per second of one core, 100 streams", f"{rate / 1e3:.0f} 000", "≥ 100 000",
             rate >= 1e5 and fast["lost"] == 0,
             f"{fast['pieces']} pieces of about 200 bytes in {fast['wall_s']:.2f} s, {fast['cpu_s']:.2f} s of the worker's CPU, "
             f"{fast['lost']} lost or out of order; best of 3"),
            (f"client: error of its stamps at {true['rate_per_s'] / 1e3:.1f} thousand pieces/s, p50 / p99", f"{p50:.0f} / {p99:.0f} µs",
             "p99 ≤ 200 µs", p99 <= 200 and true["lost"] == 0,
             f"received − sent, the sender's own clock reading inside each of {len(errors)} pieces; worst {errors[-1] / 1e3:.0f} µs; "
             f"{true['lost']} lost; {true['kernel']} of {true['streams']} streams stamped by the kernel alone; into a Run")]


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(sys.argv[1], folder):
            print(*row, sep=" | ")
