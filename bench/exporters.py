"""CPU per reading: Prony, node_exporter and a psutil loop on one and the same constructed tree of 100 readings.

Every tool is asked every 10 ms, so that all pay alike for caches that went cold. CPU is user + system of the whole process
tree (wait4), less that of the same start without a reading, so that start-up is nobody's. A reading is one value of the
tree's 100 files: 100 in a scrape of node_exporter, 48 in a pass of psutil (clocks and chip temperatures; it knows neither
energy nor power nor thermal zones beside chips), and in Prony those of its Run.
"""
import http.client
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TURNS = 5
PACE_S = 0.01
PASSES = 200
SECONDS = 4
SENSORS = "rapl,hwmon,hwmon-climate,thermal,cpufreq"
NODE_EXPORTER = "prometheus-node-exporter"

PSUTIL_LOOP = """
import sys, time, psutil
psutil.PROCFS_PATH = sys.argv[1]
seen = 0
begin = time.monotonic()
for i in range(int(sys.argv[2])):
    time.sleep(max(0, begin + i * float(sys.argv[3]) - time.monotonic()))
    seen += sum(len(chip) for chip in psutil.sensors_temperatures().values()) + len(psutil.cpu_freq(percpu=True))
print(seen, psutil.__version__, sys.version.split()[0])
"""


class NotMeasured(Exception):
    pass


def cpu_of(process):
    """Waits for it; CPU seconds of it and of all that it has waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def unpacked(name):
    """A program of a package that is not installed, because to install it would start a service; None: not to be had."""
    with open(os.path.join(ROOT, "tools", "packages.txt"), encoding="utf-8") as packages:
        if name not in packages.read().split("[bench-unpacked]")[-1].split():
            return None
    folder = os.path.join(ROOT, "build", "deps", name)
    path = os.path.join(folder, "usr", "bin", name)
    if not os.access(path, os.X_OK) and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        os.makedirs(folder, exist_ok=True)
        quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False, "timeout": 120}
        subprocess.run(["apt-get", "-q", "download", name], **quiet)
        for file in os.listdir(folder):
            if file.endswith(".deb"):
                subprocess.run(["dpkg-deb", "-x", file, folder], **quiet)
    return path if os.access(path, os.X_OK) else None


class NodeExporter:
    """Only the four collectors that read the tree."""

    def __init__(self, root):
        self.path = shutil.which(NODE_EXPORTER) or unpacked(NODE_EXPORTER)
        if not self.path:
            raise NotMeasured(f"{NODE_EXPORTER} is not here (tools/packages.txt, group bench-unpacked)")
        told = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=True)
        self.name = "node_exporter " + (told.stdout + told.stderr).split("version ")[1].split()[0]
        self.how = (f"`{NODE_EXPORTER} --collector.disable-defaults --collector.{{rapl,hwmon,thermal_zone,cpufreq}} "
                    f"--path.sysfs= --path.procfs=`, {PASSES} scrapes over one connection, less as long idle")
        self.root = root

    def _run(self, scrapes, length_s):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        collectors = [f"--collector.{name}" for name in ("rapl", "hwmon", "thermal_zone", "cpufreq")]
        process = subprocess.Popen(
            [self.path, f"--web.listen-address=127.0.0.1:{port}", "--web.disable-exporter-metrics",
             f"--path.sysfs={self.root}/sys", f"--path.procfs={self.root}/proc", "--collector.disable-defaults", *collectors],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        readings = 0
        begin = time.monotonic()
        try:
            connection = self._connect(port)
            begin = time.monotonic()
            for i in range(scrapes):
                time.sleep(max(0.0, begin + i * PACE_S - time.monotonic()))
                connection.request("GET", "/metrics")
                readings += self._readings(connection.getresponse().read().decode())
            length_s = length_s or time.monotonic() - begin
            time.sleep(max(0.0, begin + length_s - time.monotonic()))
        finally:
            process.terminate()
            cpu_s = cpu_of(process)
        return cpu_s, readings, length_s

    @staticmethod
    def _connect(port):
        for _ in range(100):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.connect()
                return connection
            except OSError:
                time.sleep(0.05)
        raise NotMeasured("node_exporter does not answer")

    @staticmethod
    def _readings(page):
        wanted = ("node_rapl_", "node_hwmon_power_watt", "node_hwmon_temp_celsius", "node_thermal_zone_temp",
                  "node_cpu_scaling_frequency_hertz")
        return sum(line.startswith(wanted) for line in page.splitlines())

    def turn(self):
        cpu_s, readings, length_s = self._run(PASSES, None)
        idle_s, _, _ = self._run(0, length_s)
        return cpu_s - idle_s, readings


def python_with_psutil():
    """An interpreter that has psutil: this one, or the system's, whose packages tools/setup.sh installs. None: neither."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.access(python, os.X_OK) and subprocess.run([python, "-c", "import psutil"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return python
    return None


class Psutil:
    """It reads /sys only, so the tree is put there for it alone."""

    def __init__(self, root):
        self.python = python_with_psutil()
        if self.python is None:
            raise NotMeasured("python3-psutil is not installed (tools/setup.sh bench)")
        self.root = root
        self.name = "psutil"
        self.how = (f"`sensors_temperatures()` + `cpu_freq(percpu=True)`, {PASSES} passes, in a mount "
                    "namespace whose /sys is the tree, less the same start without a pass")
        self.unshare = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]

    def _run(self, passes):
        script = f'mount --bind "{self.root}/sys" /sys && exec "$@"'
        process = subprocess.Popen([*self.unshare, "sh", "-c", script, "sh", self.python, "-c", PSUTIL_LOOP,
                                    f"{self.root}/proc", str(passes), str(PACE_S)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        told = process.stdout.read()
        why = process.stderr.read()
        cpu_s = cpu_of(process)
        if process.returncode != 0:
            raise NotMeasured("the psutil loop ended: " + why.strip()[-120:])
        seen, version, python = told.split()
        self.name = f"psutil {version}, Python {python}"
        return cpu_s, int(seen)

    def turn(self):
        cpu_s, readings = self._run(PASSES)
        start_s, _ = self._run(0)
        return cpu_s - start_s, readings


class Lane:
    """Prony's sensors in one lane: all 100 files each time, as the others read all that they know."""

    def __init__(self, root, program, files):
        self.command = [program, f"{root}/sys", f"{root}/lane.prony", "1"]
        self.files = "\n".join(files) + "\n"
        self.name = "Prony, all 100 each time"
        self.how = "its sensors in one lane, sampler and Run file (`bench/channels.cpp`), CPU of the process while it records"

    def turn(self):
        got = json.loads(subprocess.run(self.command, input=self.files, capture_output=True, text=True, check=True).stdout)
        readings = 100 * got["files"]  # a second of them
        return got["record_percent"][0] / 100, readings


class Prony:
    """A whole recording as anybody makes it: sampler, Run file, and the command's own process tree."""

    def __init__(self, root, prony, interval):
        self.command = [prony, "run", "--quiet", "--force", "--interval", interval, "--sensors", SENSORS, "--sysfs",
                        f"{root}/sys", "--procfs", f"{root}/proc", "--out", f"{root}/exporters.prony", "--"]
        self.run = f"{root}/exporters.prony"
        self.name = f"prony run --interval {interval}"
        self.how = (f"`--sensors {SENSORS} -- sleep {SECONDS}`: 32 energies and powers at that pace, 68 temperatures and "
                    "clocks once a second; the tree of the command is followed at that pace as well, and the Run file is written; "
                    "less `-- true`")

    def _run(self, *command):
        return cpu_of(subprocess.Popen([*self.command, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _readings(self):
        with sqlite3.connect(self.run) as run:
            return run.execute(
                "SELECT sum(total.value) FROM tick_group_channel AS member JOIN tick_group ON tick_group.id = member.group_id "
                "JOIN channel ON channel.id = member.channel_id JOIN total ON total.subject = 'sampler.' || tick_group.name "
                "WHERE total.name = 'ticks' AND channel.sensor <> 'process-tree'").fetchone()[0]

    def turn(self):
        cpu_s = self._run("sleep", str(SECONDS))
        readings = self._readings()
        start_s = self._run("true")
        return cpu_s - start_s, readings - self._readings()


def compare(root, files, prony, bench_channels):
    """Rows of (name, µs per reading or None, least, most, readings, how or why not), Prony's first; in turns, medians."""
    tools, rows = [], {}
    for make in (lambda: Lane(root, bench_channels, files), lambda: Prony(root, prony, "10ms"),
                 lambda: NodeExporter(root), lambda: Psutil(root)):
        try:
            tools.append(make())
        except (NotMeasured, OSError, subprocess.SubprocessError) as why:
            rows[len(rows)] = (str(why).split()[0], None, None, None, 0, str(why))
    measured = {}
    for _ in range(TURNS):  # neighbours in time: what slows one slows the others
        for tool in tools:
            try:
                cpu_s, readings = tool.turn()
                measured.setdefault(tool, []).append((cpu_s / readings * 1e6, readings))
            except (NotMeasured, OSError, ValueError, ZeroDivisionError, sqlite3.Error, subprocess.SubprocessError) as why:
                rows[tool] = (tool.name, None, None, None, 0, str(why))
    out = []
    for tool in tools:
        if tool in rows or tool not in measured:
            continue
        each = [us for us, _ in measured[tool]]
        out.append((tool.name, statistics.median(each), min(each), max(each), measured[tool][-1][1], tool.how))
    return out + list(rows.values())
