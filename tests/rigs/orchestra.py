"""Starts the conductor with its burners, tells it when, and reads the truth that it kept; used by the known-split tests."""

import bisect
import json
import os
import select
import signal
import subprocess
import time


def name_of(pid):
    """None: it has ended."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


class Truth:
    """What the conductor wrote: between any two instants of CLOCK_MONOTONIC, who used what. Linear between two points."""

    def __init__(self, told):
        self.idle_w, self.zero_ns = told["idle_w"], told["zero_ns"]
        self.column = {}
        for number, name in enumerate(told["parties"]):
            self.column[name] = 4 + 2 * number
        self.points = told["points"]
        self.times = [point[0] for point in self.points]

    def at(self, ns, column):
        i = min(max(bisect.bisect_right(self.times, ns) - 1, 0), len(self.points) - 2)
        a, b = self.points[i], self.points[i + 1]
        return a[column] + (b[column] - a[column]) * (ns - a[0]) / (b[0] - a[0])

    def between(self, window, column):
        return self.at(window[1], column) - self.at(window[0], column)

    def joules(self, window):
        """All that the package drew."""
        return self.between(window, 1)

    def active_j(self, window):
        return self.joules(window) - self.idle_w * (window[1] - window[0]) * 1e-9

    def busy_s(self, window):
        return self.between(window, 2)

    def tick_error(self, window):
        """By how much the kernel's busy time, which is sampled at its ticks, is off in the window: 0.02 is 2 % too much."""
        return self.between(window, 3) / self.busy_s(window) - 1

    def cpu_s(self, name, window):
        return self.between(window, self.column[name])

    def party_j(self, name, window):
        """What a party's CPU time cost, each second of it at what it cost then."""
        return self.between(window, self.column[name] + 1)


class Orchestra:
    """`with Orchestra(program, folder, ["--burner", "name=a share=0.3"]) as burners: … truth = burners.end()`."""

    def __init__(self, program, folder, options):
        self.feed, self.out = os.path.join(folder, "feed"), os.path.join(folder, "burners.json")
        self.process = subprocess.Popen([program, self.feed, self.out, *options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("ready "):
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            raise RuntimeError(f"the conductor did not get ready: {line}")
        self.pids = json.loads(line[6:]) or {}

    def command(self, gate):
        """A command that starts the burners, waits until a line comes through the pipe `gate`, and ends the active power:
        what Prony then measures is the window."""
        pid = self.process.pid
        return ["sh", "-c", f'kill -USR1 {pid}; read -r x < "$0"; kill -USR2 {pid}', gate]

    def go(self):
        self.process.send_signal(signal.SIGUSR1)

    def over(self):
        self.process.send_signal(signal.SIGUSR2)

    def wait_for(self, names, most_s=60):
        """Until no burner of these names is left: on a full machine they end later than planned."""
        task = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        end = time.monotonic() + most_s
        while time.monotonic() < end and os.path.exists(task):
            with open(task, encoding="ascii") as file:
                children = file.read().split()
            if not any(name_of(child) in names for child in children):
                return
            time.sleep(0.05)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(30) != 0:
            raise RuntimeError("the conductor failed")
        with open(self.out, encoding="utf-8") as file:
            return Truth(json.load(file))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # its burners die with it
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
