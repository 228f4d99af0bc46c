"""The real binary on whole machines (tests/machines), its output held against what is intended; and the recorder of such
machines (tools/record_machine.sh): that it leaks nothing, and that what it records loads.

usage: python3 tests/e2e/test_machines.py BUILD_DIR            runs the tests
       python3 tests/e2e/test_machines.py BUILD_DIR --update   writes tests/golden/machines anew: read every line of the
                                                               difference, it must be what ought to be printed
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import harness
import masks
from harness import Case, needs_root

MACHINES = os.path.join(harness.ROOT, "tests/machines")
GOLDEN = os.path.join(harness.ROOT, "tests/golden/machines")
RECORDER = os.path.join(harness.ROOT, "tools/record_machine.sh")
WHOLE = ["intel-server-2s-psys", "amd-epyc", "laptop", "container", "vm", "nothing", "i915", "pi5", "pi5-hailo", "pi4"]
# Whole machines whose power is shown by gauges: those do not need to move to give joules, so that what a Run prints of them
# follows from how long it took. Watts of each domain that the headline is made of.
GAUGED = {"jetson-orin-nano": {"hwmon.ina3221.VDD_IN.power": 5.550144},
          "jetson-agx-orin": {"hwmon.ina3221@1-0040.VDD_GPU_SOC.power": 3.216192,
                              "hwmon.ina3221@1-0040.VDD_CPU_CV.power": 0.76576,
                              "hwmon.ina3221@1-0040.VIN_SYS_5V0.power": 4.173312},
          "jetson-xavier": {"jetson.GPU.power": 0.307, "jetson.CPU.power": 0.614, "jetson.SOC.power": 0.921,
                            "jetson.CV.power": 0, "jetson.VDDRQ.power": 0.153, "jetson.SYS5V.power": 1.37},
          "jetson-nano": {"jetson.POM_5V_IN.power": 1.753},
          "amdgpu": {"amdgpu.amdgpu-0.power": 42.0},
          "jetson-unknown": {"hwmon.ina3221.VDD_ALPHA.power": 4.8}}
# Recordings of real machines in one tree, collected by prometheus/procfs (Apache-2.0); not in the repository.
COLLECTION = os.path.join(harness.ROOT, "../shared/data/machines/procfs/fixtures.ttar")
COLLECTED = "procfs-collection"


def told(command, codes, machine, *options):
    """What a command prints of a tree. So wide that what a row costs does not decide where it is broken."""
    tree = os.path.join(MACHINES, machine) if os.sep not in machine else machine
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1"}
    done = subprocess.run([harness.program("prony"), command, "--sysfs", tree + "/sys", "--procfs", tree + "/proc", *options],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=environment, check=False)
    if done.returncode not in codes:
        raise AssertionError(f"exit code {done.returncode}: " + done.stderr.decode(errors="replace"))
    return done.stdout.decode()


def sensors(machine, *options):
    return told("sensors", (0,), machine, *options)


def doctor(machine, *options):
    return told("doctor", (0, 1), machine, *options)


def run(machine):
    """What a short `prony run` says, and its JSON, both masked. Kept files stand still: no joule can come of them."""
    tree = os.path.join(MACHINES, machine) if os.sep not in machine else machine
    with tempfile.TemporaryDirectory(prefix="prony-e2e-") as folder:
        kept, summary = os.path.join(folder, "x.prony"), os.path.join(folder, "x.json")
        # No passports of other machines, none left behind, and no configuration file of the user.
        environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("PRONY_", "XDG_"))},
                       "COLUMNS": "300", "NO_COLOR": "1", "HOME": folder}
        done = subprocess.run([harness.program("prony"), "run", "--out", kept, "--json", summary, "--sysfs", tree + "/sys",
                               "--procfs", tree + "/proc", "--", "sleep", "0.3"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, env=environment, cwd=folder, check=False)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: " + done.stderr.decode(errors="replace"))
        return masks.masked_run_text(done.stderr.decode(), folder), masks.masked_run_json(read(summary), folder)


def outputs(machine, tree=None):
    """File name → what it should hold."""
    if machine in GAUGED:
        return standing(machine, machine)
    run_text, run_json = run(tree or machine)
    return {**standing(machine, tree or machine), f"{machine}.run.txt": run_text, f"{machine}.run.json.txt": run_json}


def standing(machine, tree):
    """What is printed without a Run."""
    return {f"{machine}.sensors.txt": masks.masked_text(sensors(tree)),
            f"{machine}.sensors.json.txt": masks.masked_json(sensors(tree, "--json")),
            f"{machine}.doctor.txt": masks.masked_doctor_text(doctor(tree)),
            f"{machine}.doctor.json.txt": masks.masked_doctor_json(doctor(tree, "--json"))}


def unpack(archive, where):
    """The text format of ttar: records of Directory:, or Path: with Lines: or SymlinkTo:, then Mode:."""
    path, lines = None, iter(read(archive).split("\n"))
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "Directory":
            os.makedirs(os.path.join(where, value), exist_ok=True)
        elif key == "Path":
            path = os.path.join(where, value)
            os.makedirs(os.path.dirname(path), exist_ok=True)
        elif key == "SymlinkTo" and not value.startswith("/"):
            os.symlink(value, path)
        elif key == "Lines":
            text = "".join(next(lines) + "\n" for _ in range(int(value)))
            text = text.replace("NULLBYTE", "\0")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text[:-4] if text.endswith("EOF\n") else text)
    return os.path.join(where, "fixtures")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Machines(Case):
    maxDiff = None

    def test_sensors_doctor_and_run_print_what_is_intended_on_every_machine(self):
        for machine in [*WHOLE, *GAUGED]:
            for name, text in outputs(machine).items():
                with self.subTest(machine=name):
                    self.assertEqual(read(os.path.join(GOLDEN, name)), text)

    def test_a_run_on_a_machine_that_stands_still_has_its_channels_and_not_one_joule(self):
        """Kept counters do not move: neither 0 J nor a guess may come of them, and the command's exit code is its own."""
        expected = {
            "intel-server-2s-psys": {"rapl.psys.energy", "rapl.package-0.energy", "rapl.dram-0.energy", "rapl.package-1.energy",
                                     "rapl.dram-1.energy", "cpu-model.cpu.power"},
            "amd-epyc": {"cpu-model.cpu.power", "rapl.package-0.energy", "rapl.core-0.energy"},
            "container": {"cpu-model.cpu.power"}, "vm": {"cpu-model.cpu.power"}, "nothing": set()}
        for machine, channels in expected.items():
            tree = os.path.join(MACHINES, machine)
            with self.subTest(machine=machine):
                summary = self.record(["sh", "-c", "exit 7"], "--sysfs", tree + "/sys", "--procfs", tree + "/proc",
                                      name=machine, code=7)
                self.assertEqual({row["channel"] for row in summary["energy"]}, channels)
                for row in summary["energy"]:
                    self.assertNotIn("gross_j", row)
                    self.assertIs(row["resolvable"], False)
                self.assertNotIn("gross_j", summary.get("headline") or {})

    def test_the_headline_of_a_board_is_the_sum_of_the_rails_that_are_its_whole(self):
        """Kills: parts added to their whole, a part taken for it, milliwatts for microwatts."""
        for machine, watts in GAUGED.items():
            tree = os.path.join(MACHINES, machine)
            with self.subTest(machine=machine):
                summary = self.record(["sleep", "0.3"], "--sysfs", tree + "/sys", "--procfs", tree + "/proc", name=machine)
                heads = {row["channel"]: row for row in summary["energy"] if row["headline"]}
                self.assertEqual(set(heads), set(watts))
                for channel, row in heads.items():
                    if channel.startswith("hwmon."):
                        self.assertAlmostEqual(row["mean_w"], watts[channel], 6)
                    else:  # nobody documents when these are renewed: a short window is not resolvable, and says what would be
                        self.assertNotIn("gross_j", row)
                        if watts[channel] > 0:  # of a rail that draws nothing no window is long enough
                            self.assertGreater(row["needed_s"], 0)
                if all("gross_j" in row for row in heads.values()):
                    self.assertAlmostEqual(summary["headline"]["gross_j"], sum(row["gross_j"] for row in heads.values()), 9)

    def test_a_package_that_stands_still_for_the_whole_run_has_the_model_step_in_labelled_and_with_the_reason(self):
        for name, text in {"name": "package-0", "energy_uj": "1234567", "max_energy_range_uj": "262143328850"}.items():
            path = self.path("sys/class/powercap/intel-rapl:0", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text + "\n")
        spin = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
        summary = self.record([sys.executable, "-c", spin], "--sysfs", self.path("sys"))
        self.assertEqual((summary["headline"]["origin"], summary["headline"]["kind"]), ("modelled", "range"))
        self.assertGreater(summary["headline"]["gross_j"], 0)
        rows = {row["channel"]: row for row in summary["energy"]}
        self.assertNotIn("gross_j", rows["rapl.package-0.energy"])
        self.assertEqual(rows["cpu-model.cpu.power"]["gross_j"], summary["headline"]["gross_j"])
        reasons = {reason["name"]: reason["reason"] for reason in summary["unavailable"]}
        self.assertIn("package-0 did not move in 50 ms", reasons["rapl.package-0.energy"])
        self.assertIn("stands still", reasons["energy[rapl.package-0.energy].gross_j"])
        self.assertIn("modelled: no sensor here measured", self.summary_text)

    def test_sensors_doctor_and_run_print_what_is_intended_on_recordings_of_real_machines(self):
        if not os.path.exists(COLLECTION):
            self.skipTest("the collection of recordings is not beside the sources (shared/data/machines)")
        for name, text in outputs(COLLECTED, unpack(COLLECTION, self.folder)).items():
            with self.subTest(machine=name):
                self.assertEqual(read(os.path.join(GOLDEN, name)), text)

    def test_every_golden_file_belongs_to_a_machine(self):
        expected = {f"{machine}.{command}{end}" for machine in [*WHOLE, *GAUGED, COLLECTED]
                    for command in ("sensors", "doctor", "run") for end in (".txt", ".json.txt")
                    if not (command == "run" and machine in GAUGED)}
        self.assertEqual(set(os.listdir(GOLDEN)), expected)

    def test_every_tree_is_listed_with_where_it_comes_from(self):
        page = read(os.path.join(MACHINES, "README.md"))
        for name in sorted(os.listdir(MACHINES)):
            if os.path.isdir(os.path.join(MACHINES, name)):
                self.assertRegex(page, rf"(?m)^\| {re.escape(name)} \| (captured|constructed)\b")

    def test_no_link_of_a_tree_leads_out_of_it(self):
        for where, folders, files in os.walk(MACHINES):
            for name in folders + files:
                path = os.path.join(where, name)
                tree = os.path.join(MACHINES, os.path.relpath(path, MACHINES).split(os.sep)[0])
                if os.path.islink(path):
                    self.assertTrue(os.path.realpath(path).startswith(tree + os.sep), path)


SECRETS = {
    "host": "squirrel-17", "mac": "52:54:00:ab:cd:ef", "uuid": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "serial": "SN-99887766", "container": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "interface": "wg-acme", "command": "--password=hunter2", "outside": "root:x:0:0",
}


class Recorder(Case):
    def write(self, path, text):
        path = self.path("root", path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def constructed_root(self):
        """A machine that has every secret in every place where one was ever seen."""
        s = SECRETS
        self.write("proc/sys/kernel/hostname", s["host"] + "\n")
        self.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        self.write("proc/version", f"Linux version 6.1.0 (someone@{s['host']}) (gcc) #1 SMP\n")
        self.write("proc/cpuinfo", f"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\nSerial\t\t: {s['serial']}\n")
        self.write("proc/stat", "cpu  1 2 3 4 5 6 7 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\nintr 99 1 2\nbtime 1700000000\n")
        self.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n")
        self.write("proc/cmdline", f"root=UUID={s['uuid']} psi=1 intel_pstate=passive agent.token={s['serial']} quiet -- {s['command']}\n")
        self.write("proc/1/cmdline", s["command"])
        self.write("proc/1/environ", s["command"])
        self.write("proc/self/environ", s["command"])
        self.write("proc/self/cgroup", f"0::/docker/{s['container']}\n")
        self.write("proc/self/mountinfo", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                   f"30 23 0:27 / /home/{s['host']} rw - ext4 /dev/sda1 rw\n")
        self.write(f"sys/fs/cgroup/docker/{s['container']}/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n")
        self.write(f"sys/fs/cgroup/docker/{s['container']}/cgroup.procs", "4242\n")
        self.write("proc/net/dev", f"h1\nh2\n  eth0: 1 0 0 0 0 0 0 0 2 0\n{s['interface']}: 3 0 0 0 0 0 0 0 4 0\n")
        for name in ("eth0", s["interface"]):
            self.write(f"sys/class/net/{name}/statistics/rx_bytes", "262143328850\n")
            self.write(f"sys/class/net/{name}/address", s["mac"] + "\n")
            self.write(f"sys/class/net/{name}/operstate", "up\n")
        self.write("sys/class/dmi/id/product_name", f"Box of {s['host']}\n")
        self.write("sys/class/dmi/id/product_serial", s["serial"])
        self.write("sys/class/dmi/id/product_uuid", s["uuid"])
        self.write("sys/class/dmi/id/board_asset_tag", s["serial"])
        self.write("sys/class/power_supply/BAT0/serial_number", s["serial"])
        self.write("sys/class/power_supply/BAT0/uevent", "POWER_SUPPLY_SERIAL_NUMBER=" + s["serial"])
        self.write("sys/class/power_supply/BAT0/manufacturer", f"with {s['mac']} and {s['uuid']} in it\n")
        self.write("sys/class/power_supply/BAT0/power_now", "6543000\n")
        self.write("sys/devices/rapl/intel-rapl:0/name", "package-0\n")
        self.write("sys/devices/rapl/intel-rapl:0/energy_uj", "262143328849\n")
        self.write("sys/devices/chips/k10temp.7/hwmon/hwmon0/name", "k10temp\n")
        self.write("sys/devices/chips/k10temp.7/hwmon/hwmon0/temp1_input", "45125\n")
        self.write("elsewhere/name", s["outside"])
        self.link("../../devices/rapl/intel-rapl:0", "sys/class/powercap/intel-rapl:0")
        self.link("../../devices/chips/k10temp.7/hwmon/hwmon0", "sys/class/hwmon/hwmon0")
        self.link("../../../k10temp.7", "sys/devices/chips/k10temp.7/hwmon/hwmon0/device")
        self.link("../../../elsewhere", "sys/class/hwmon/hwmon1")
        self.link("/etc/passwd", "sys/class/hwmon/hwmon0/temp2_input")
        return self.path("root")

    def link(self, target, path):
        os.makedirs(os.path.dirname(self.path("root", path)), exist_ok=True)
        os.symlink(target, self.path("root", path))

    def record(self, *options, prefix=()):
        out = self.path("machine.tar.gz")
        done = subprocess.run([*prefix, "sh", RECORDER, "-o", out, *options], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.complaints = done.stderr
        where = self.path("recorded")
        shutil.rmtree(where, ignore_errors=True)
        with tarfile.open(out) as archive:
            for member in archive.getmembers():
                self.assertTrue(member.isfile() or member.isdir() or member.issym(), member.name)
                self.assertEqual((member.uid, member.uname, member.mtime), (0, "", 0), member.name)
            archive.extractall(where)
        return where

    def everything(self, where):
        """All names and all contents in one text."""
        parts = []
        for folder, folders, files in os.walk(where):
            for name in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]:
                path = os.path.join(folder, name)
                parts.append(os.path.relpath(path, where))
                if os.path.islink(path):
                    self.assertTrue(os.path.realpath(path).startswith(os.path.realpath(where)), path)
                    parts.append(os.readlink(path))
                else:
                    with open(path, "rb") as file:
                        parts.append(file.read().decode(errors="replace"))
        return "\n".join(parts)

    def test_no_secret_of_a_machine_is_recorded_and_its_figures_are(self):
        where = self.record("--root", self.constructed_root())
        text = self.everything(where)
        for what, secret in SECRETS.items():
            self.assertNotIn(secret, text, what)
        self.assertNotIn("someone", text)
        self.assertEqual(read(where + "/sys/class/powercap/intel-rapl:0/energy_uj"), "262143328849\n")
        self.assertEqual(read(where + "/sys/class/net/eth0/statistics/rx_bytes"), "262143328850\n")
        self.assertEqual(read(where + "/sys/class/power_supply/BAT0/power_now"), "6543000\n")
        self.assertEqual(read(where + "/proc/cmdline"), "psi=1 intel_pstate=passive quiet\n")
        self.assertEqual(read(where + "/proc/self/cgroup"), "0::/own\n")
        self.assertEqual(read(where + "/sys/fs/cgroup/own/cpu.stat"), "usage_usec 5\nuser_usec 3\nsystem_usec 2\n")
        self.assertEqual(os.path.basename(os.readlink(where + "/sys/class/hwmon/hwmon0/device")), "k10temp.7")
        self.assertEqual(read(where + "/sys/class/dmi/id/product_name"), "Box of host\n")
        self.assertIn("left out: a link out of the tree", self.complaints)

    def test_a_recorded_machine_loads(self):
        where = self.record("--root", self.constructed_root())
        found = {s["name"]: s for s in json.loads(sensors(where, "--json"))["sensors"]}
        self.assertEqual(found["rapl"]["state"], "ready", found["rapl"])
        self.assertEqual(found["hwmon-climate"]["state"], "ready")
        self.assertEqual(found["cpu"]["state"], "ready")

    def test_recording_twice_gives_the_same_bytes(self):
        root = self.constructed_root()
        self.record("--root", root)
        with open(self.path("machine.tar.gz"), "rb") as file:
            first = file.read()
        self.record("--root", root)
        with open(self.path("machine.tar.gz"), "rb") as file:
            self.assertEqual(file.read(), first)

    def test_this_machine_is_recorded_without_its_name_and_addresses_and_loads_as_itself(self):
        where = self.record()
        text = self.everything(where)
        host = read("/proc/sys/kernel/hostname").strip()
        if len(host) > 4:  # shorter ones are words of their own ("vm")
            self.assertNotRegex(text, rf"\b{re.escape(host)}\b")
        pair = "[0-9a-fA-F]{2}"
        self.assertEqual(set(re.findall(rf"\b{pair}(?::{pair}){{5}}\b", text)) - {"00:00:00:00:00:00"}, set())
        self.assertEqual(re.findall(r"\b(?!0{8})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", text), [])
        self.assertNotRegex(text, r"(?i)serial[_ ]?number|product_uuid")
        live = {s["name"]: s for s in json.loads(self.prony("sensors", "--json").out)["sensors"]}
        kept = {s["name"]: s for s in json.loads(sensors(where, "--json"))["sensors"]}
        for name in ("hwmon-climate", "thermal", "cpufreq", "cpu", "cpuidle", "memory", "pressure", "disk"):
            self.assertEqual([c["name"] for c in kept[name]["channels"]], [c["name"] for c in live[name]["channels"]], name)
        self.assertEqual(kept["cpu-model"]["channels"][0]["model"], live["cpu-model"]["channels"][0]["model"])

    @needs_root
    def test_anybody_can_record_and_what_was_denied_is_named(self):
        root = self.constructed_root()
        energy = os.path.join(root, "sys/devices/rapl/intel-rapl:0/energy_uj")
        os.chmod(energy, 0o400)
        for folder in (self.folder, root):
            os.chmod(folder, 0o777)
        where = self.record("--root", root, prefix=("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"))
        self.assertIn("sys/class/powercap/intel-rapl:0/energy_uj", read(where + "/denied.txt"))
        self.assertFalse(os.path.exists(where + "/sys/class/powercap/intel-rapl:0/energy_uj"))
        self.assertTrue(os.path.exists(where + "/sys/class/powercap/intel-rapl:0/name"))

    def test_every_path_that_the_sources_read_is_recorded(self):
        """A sensor that reads something new must say so to the recorder."""
        listed = subprocess.run(["sh", RECORDER, "--list"], capture_output=True, text=True, check=True).stdout.split()
        paths = set()
        for part in ("sensors", "machine"):
            folder = os.path.join(harness.ROOT, "src", part)
            for name in os.listdir(folder):
                code = re.sub(r"//.*", "", read(os.path.join(folder, name))) if name.endswith((".cpp", ".hpp")) else ""
                paths |= set(re.findall(r'"/((?:proc|sys)/[A-Za-z0-9_./:-]*)', code))
        self.assertGreater(len(paths), 15)
        for path in sorted(paths):
            path = path.rstrip("/ :")
            known = any(p == path or p.startswith(path + "/") or self.like(p, path) for p in listed)
            self.assertTrue(known, f"tools/record_machine.sh does not record /{path}")

    @staticmethod
    def like(pattern, path):
        """Whether a pattern's beginning is the path, folder by folder; the last folder may be given in part ("cpu")."""
        want, have = pattern.split("/"), path.split("/")
        if len(have) > len(want):
            return False
        expressions = [re.escape(w).replace(r"\*", ".*") for w in want]
        return all(re.fullmatch(e, h) or (i == len(have) - 1 and w.startswith(h))
                   for i, (e, w, h) in enumerate(zip(expressions, want, have)))

    def test_an_unknown_option_and_a_missing_root_are_said(self):
        for words, said in ((["--all"], "what is"), (["--root", self.path("nowhere")], "not a directory"), (["-o"], "needs a value")):
            done = subprocess.run(["sh", RECORDER, *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


def update():
    os.makedirs(GOLDEN, exist_ok=True)
    texts = {}
    for machine in [*WHOLE, *GAUGED]:
        texts.update(outputs(machine))
    with tempfile.TemporaryDirectory() as folder:
        if os.path.exists(COLLECTION):
            texts.update(outputs(COLLECTED, unpack(COLLECTION, folder)))
        else:
            print(f"{COLLECTED}: left as it is, the collection is not beside the sources")
    for name, text in texts.items():
        with open(os.path.join(GOLDEN, name), "w", encoding="utf-8") as file:
            file.write(text)
        print(name)


if __name__ == "__main__":
    if "--update" in sys.argv:
        sys.argv.remove("--update")
        if len(sys.argv) > 1:
            harness.BUILD = os.path.abspath(sys.argv[1])
        update()
    else:
        harness.main()
