"""What monitors cost, and how many of a machine's joules they count: Prony, node_exporter, codecarbon and heflwr side by
side, at the same time, once a second, beside 300 sleeping processes. Rewrites the table in docs/monitor.md.

The machine's energy counter is the truth rig's (tests/rigs): a FUSE tree whose joules between any two instants are known.
Tools that take a folder are pointed at it; the others see it in place of /sys, in a mount namespace of their own. A tool's
joules are held against the truth between the two instants that it says itself they are of, or at which it was asked.
`python3 bench/monitors.py BUILD_DIR [SECONDS]`; the tools come by name from PyPI and Debian (`make bench-monitors`).
"""
import datetime
import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "rigs"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

import exporters  # noqa: E402
import rig as rigs  # noqa: E402

VENV = os.path.join(ROOT, "build", "deps", "monitors")
SLEEPERS = 300
WARM_UP_S = 8
POWER = "sine:20,10,7"

CODECARBON = """
import json, logging, sys, time
from codecarbon import EmissionsTracker
import codecarbon
tracker = EmissionsTracker(measure_power_secs=1, tracking_mode="machine", save_to_file=False, log_level="critical",
                           allow_multiple_runs=True)
begin = time.monotonic_ns()
tracker.start()
print("up", flush=True)
sys.stdin.readline()
tracker.stop()
end = time.monotonic_ns()
print(json.dumps({"begin_ns": begin, "end_ns": end, "joules": tracker.final_emissions_data.cpu_energy * 3.6e6}))
"""

HEFLWR = """
import importlib.util, json, sys, types
whole = types.ModuleType("heflwr")  # its monitors without what else it imports, which takes PyTorch
whole.__path__ = list(importlib.util.find_spec("heflwr").submodule_search_locations)
sys.modules["heflwr"] = whole
from heflwr.monitor.process_monitor import FileMonitor
monitor = FileMonitor(file=sys.argv[1], interval=1)
monitor.set_metrics(cpu=True, memory=True, network=True, power=False)
monitor.start()
print("up", flush=True)
sys.stdin.readline()
print(json.dumps({}), flush=True)
monitor.stop()
"""


class Absent(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def family_of(pid):
    """The process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = lines_of(f"/proc/{name}/stat")
            if stat:
                children.setdefault(int(stat[0].rsplit(")", 1)[1].split()[1]), []).append(int(name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def cost_of(pid):
    """CPU ns (threads that have ended too), voluntary context switches of the threads that live, and proportional bytes,
    of a process and its descendants."""
    cpu_ns = waits = pss = 0
    for member in family_of(pid):
        try:
            cpu_ns += time.clock_gettime_ns((~member << 3) | 2)
        except OSError:
            continue
        for thread in os.listdir(f"/proc/{member}/task") if os.path.isdir(f"/proc/{member}/task") else []:
            waits += sum(int(line.split()[1]) for line in lines_of(f"/proc/{member}/task/{thread}/status")
                         if line.startswith("voluntary_ctxt_switches"))
        pss += sum(int(line.split()[1]) * 1024 for line in lines_of(f"/proc/{member}/smaps_rollup") if line.startswith("Pss:"))
    return cpu_ns, waits, pss


class Tool:
    """Starts, is asked once a second, stops, and says joules between two instants of CLOCK_MONOTONIC; None: it counts none."""

    short_threads = False  # it makes a thread for each reading: their switches are known when it has ended

    def __init__(self, name, words, how, cwd=None):
        self.name, self.how = name, how
        self.said = tempfile.TemporaryFile("w+")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True,
                                        cwd=cwd)

    def complaint(self):
        self.said.seek(0)
        return self.said.read().strip()[-300:]

    def ready(self):
        """Waits until it measures."""

    def ask(self):
        """What a scraper does each second."""

    def end(self):
        return None

    def close(self):
        """Ends it and all that it started; its voluntary context switches since it began, those of ended threads too."""
        family = family_of(self.process.pid)
        if not self.short_threads:
            self.process.terminate()
        for _ in range(100):
            pid, _, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid != 0:
                break
            time.sleep(0.1)
        else:
            self.process.kill()
            _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        for member in family[1:]:
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.said.close()
        return usage.ru_nvcsw


class Scraped(Tool):
    """Answers HTTP; the joules are the increase of its counter between the first and the last scrape."""

    def __init__(self, name, words, how, port, wanted):
        super().__init__(name, words, how)
        self.port, self.wanted, self.seen = port, wanted, []
        self.connection = None

    def ready(self):
        for _ in range(200):
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                self.connection.connect()
                return
            except OSError:
                time.sleep(0.1)
        raise Absent(f"{self.name} does not answer: {self.process.poll()}")

    def ask(self):
        at_ns = time.monotonic_ns()
        self.connection.request("GET", "/metrics")
        text = self.connection.getresponse().read().decode()
        at_ns = (at_ns + time.monotonic_ns()) // 2
        joules = None
        for line in text.splitlines():
            if line.startswith("prony_frame_timestamp_seconds"):
                at_ns = round(float(line.split()[-1]) * 1e9) - (time.time_ns() - time.monotonic_ns())
            if all(word in line for word in self.wanted):
                joules = float(line.split()[-1])
        if joules is not None:
            self.seen.append((at_ns, joules))

    def end(self):
        if len(self.seen) < 2:
            return None
        (begin, before), (end, after) = self.seen[0], self.seen[-1]
        return {"begin_ns": begin, "end_ns": end, "joules": after - before}


class Script(Tool):
    """A Python program that says "up", then what it counted when it is told to stop."""

    short_threads = True

    def ready(self):
        if self.process.stdout.readline().strip() != "up":
            raise Absent(f"{self.name}: {self.complaint()}")

    def end(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline() or "{}")
        return told if "joules" in told else None


def version_of(package):
    python = os.path.join(VENV, "bin", "python")
    told = subprocess.run([python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"],
                          capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise Absent(f"{package} is not in build/deps/monitors (make bench-monitors installs it)")
    return told.stdout.strip()


def makers(build, tree, scratch):
    """Functions, each of which starts one tool."""
    prony = os.path.join(build, "prony")
    python = os.path.join(VENV, "bin", "python")
    # As the driver's own folders lie, which the rig has no links between.
    place = f"""mount -t tmpfs none /sys/class && cd /sys/class && mkdir -p powercap/intel-rapl powercap/intel-rapl:0 &&
        ln -s .. powercap/intel-rapl/subsystem && mount --bind "{tree}/class/powercap/intel-rapl:0" powercap/intel-rapl:0 &&
        cd "{scratch}" && exec "$@" """
    in_place = ["unshare", "--mount", "sh", "-c", place, "sh"]

    def monitor(*words):
        port = free_port()
        told = " ".join(["prony monitor", *words, "--sink prometheus"])
        return Scraped(told, [prony, "monitor", "--quiet", "--sysfs", tree, *words, "--sink", f"prometheus:{port}"],
                       "all host sensors" + (", every process" if words else "") + ", a scrape a second", port,
                       ("prony_energy_joules_total{", 'domain="package-0"'))

    def node_exporter():
        path = exporters.unpacked(exporters.NODE_EXPORTER)
        if not path:
            raise Absent(f"{exporters.NODE_EXPORTER} is not here")
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        port = free_port()
        return Scraped("node_exporter " + (told.stdout + told.stderr).split("version ")[1].split()[0],
                       [path, f"--web.listen-address=127.0.0.1:{port}", f"--path.sysfs={tree}"],
                       "its default collectors, a scrape a second", port, ("node_rapl_package_joules_total{",))

    def codecarbon():
        version = version_of("codecarbon")
        return Script(f"codecarbon {version}", [*in_place, python, "-c", CODECARBON],
                      '`EmissionsTracker(measure_power_secs=1, tracking_mode="machine")`', cwd=scratch)

    def heflwr():
        version = version_of("heflwr")
        return Script(f"heflwr {version}", [python, "-c", HEFLWR, os.path.join(scratch, "heflwr.log")],
                      "`process_monitor.FileMonitor(interval=1)`, its own process only; power needs a Jetson's tegrastats",
                      cwd=scratch)

    return [monitor, lambda: monitor("--all"), node_exporter, codecarbon, heflwr]


def truth_j(tree, begin_ns, end_ns):
    return float(lines_of(f"{tree}/truth/package-0/{begin_ns}-{end_ns}")[0])


def measure(build, tree, scratch, seconds):
    tools, absent = [], []
    for make in makers(build, tree, scratch):
        try:
            tool = make()
        except Absent as why:
            absent.append(str(why))
            continue
        try:
            tool.ready()
            tools.append(tool)
        except Absent as why:
            absent.append(str(why))
            tool.close()
    begin = time.monotonic()
    before = {}
    rows = []
    for turn in range(WARM_UP_S + seconds + 1):
        time.sleep(max(0.0, begin + turn - time.monotonic()))
        if turn == WARM_UP_S:
            began = time.monotonic()
            before = {tool: cost_of(tool.process.pid) for tool in tools}
        for tool in tools:
            tool.ask()
    length = time.monotonic() - began
    after = {tool: cost_of(tool.process.pid) for tool in tools}
    for tool in tools:
        told = tool.end()
        percent = 100 * told["joules"] / truth_j(tree, told["begin_ns"], told["end_ns"]) if told else None
        (cpu_0, waits_0, _), (cpu_1, waits_1, pss) = before[tool], after[tool]
        all_waits = tool.close()
        waits = f"≤ {(all_waits - waits_0) / length:.1f}" if tool.short_threads else f"{(waits_1 - waits_0) / length:.1f}"
        rows.append((tool.name, (cpu_1 - cpu_0) / 1e7 / length, pss / 2**20, waits, percent, tool.how))
    return rows, absent, length


def table(rows, absent, length, load):
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [line.split(":", 1)[1].strip() for line in lines_of("/proc/cpuinfo") if line.startswith("model name")]
    processes = sum(name.isdigit() for name in os.listdir("/proc"))
    text = [f"{now:%Y-%m-%d %H:%M} UTC · {names[0] if names else platform.machine()}, {os.cpu_count()} CPUs · Linux "
            f"{platform.release()} · {processes} processes · load {load[0]:.1f} · {length:.0f} s, all at the same time · "
            f"`python3 bench/monitors.py BUILD_DIR {length:.0f}`", "",
            "| tool | CPU, % of a core | memory (PSS), MiB | wake-ups/s | energy counted, % of the truth | how |",
            "|---|---|---|---|---|---|"]
    for name, cpu, mebibytes, waits, percent, how in rows:
        energy = f"{percent:.2f}" if percent is not None else "none"
        text.append(f"| {name} | {cpu:.2f} | {mebibytes:.1f} | {waits} | {energy} | {how} |")
    text += ["", *(f"Not measured: {why}" for why in absent)]
    return "\n".join(text).rstrip() + "\n"


def main():
    build = os.path.abspath(sys.argv[1])
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    why = rigs.why_no_fuse()
    if why or os.geteuid() != 0:
        sys.exit("bench/monitors.py: " + (why or "the tools that read /sys need a mount namespace: run as root"))
    sleepers = [subprocess.Popen(["sleep", "3600"]) for _ in range(SLEEPERS)]
    try:
        with tempfile.TemporaryDirectory(prefix="prony-monitors-") as scratch, rigs.Rig(
                os.path.join(build, "rigs", "fakesysfs"), ["--zone", f"id=intel-rapl:0 name=package-0 power={POWER}"]) as rig:
            load = os.getloadavg()
            rows, absent, length = measure(build, rig.path, scratch, seconds)
            text = table(rows, absent, length, load)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
        for sleeper in sleepers:
            sleeper.wait()
    print(text)
    page = os.path.join(ROOT, "docs", "monitor.md")
    begin_mark, end_mark = "<!-- bench-monitors: begin -->\n", "<!-- bench-monitors: end -->"
    with open(page, encoding="utf-8") as file:
        head, rest = file.read().split(begin_mark)
    with open(page, "w", encoding="utf-8") as file:
        file.write(head + begin_mark + text + end_mark + rest.split(end_mark)[1])


if __name__ == "__main__":
    main()
