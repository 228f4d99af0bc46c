"""The rig tests itself: its counters follow the closed form, wrap, step and fail as told, and it leaves no mount behind.

usage: test_fakesysfs.py PROGRAM; exits 77 (skipped) where no FUSE mount can be made, saying why.
"""

import errno
import mmap
import os
import signal
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as rigs  # noqa: E402
from truth import joules_from_zero, watts  # noqa: E402

PROGRAM = ""

CURVES = [
    "constant:12.5",
    "sine:30,20,0.7",
    "sine:30,30,0.31,0.25",
    "square:10,50,0.3",
    "square:10,50,0.21,0.2",
    "steps:0=10,0.1=17.5,0.2=25,0.3=0,0.4=40,repeat=0.5",
    "steps:0=10,0.4=60,1=5",
    "noise:42,30,25,0.013",
    "constant:3+sine:20,15,0.4+noise:7,8,8,0.05",
]
# The older way to say the same.
OLD = {
    "curve=constant base=12.5": "constant:12.5",
    "curve=sine base=30 amp=20 period=0.7": "sine:30,20,0.7",
    "curve=square base=30 amp=20 period=0.3": "square:10,50,0.3",
    "curve=steps base=10 amp=30 period=0.5 levels=4": "steps:0=10,0.125=20,0.25=30,0.375=40,repeat=0.5",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return int(file.read())


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class ClosedForm(unittest.TestCase):
    def test_the_integral_is_the_sum_of_the_power(self):
        # Kills: a wrong sign or a lost half period in a closed form, which would make every truth check agree on a lie.
        for curve in CURVES:
            steps = 100_000
            span = 1.618
            total = sum(watts(curve, (i + 0.5) * span / steps) for i in range(steps)) * span / steps
            self.assertLess(abs(total / joules_from_zero(curve, span) - 1), 1e-4, curve)

    def test_the_integral_never_falls_and_starts_at_nothing(self):
        for curve in CURVES:
            self.assertEqual(joules_from_zero(curve, 0), 0)
            values = [joules_from_zero(curve, i * 0.013) for i in range(300)]
            self.assertEqual(values, sorted(values), curve)


class Mounted(unittest.TestCase):
    def options(self, **extra):
        words = " ".join(f"{k}={v}" for k, v in extra.items())
        return ["--zone", "id=intel-rapl:0 name=package-0 " + words]

    def counter(self, rig, zone="intel-rapl:0"):
        return os.path.join(rig.path, "class/powercap", zone, "energy_uj")

    def bracketed(self, rig, path):
        """(time before, value, time after) of one read."""
        before = now_ns()
        value = read(os.path.join(rig.path, path))
        return before, value, now_ns()

    def test_each_curve_reads_as_the_closed_form_says(self):
        # The truth at the read is bracketed by two clock reads; the counter may lag by one update period and a quantum.
        for curve in CURVES:
            with rigs.Rig(PROGRAM, self.options(power=curve, update_us=1000, quantum_uj=61)) as rig:
                for _ in range(12):
                    before, value, after = self.bracketed(rig, "class/powercap/intel-rapl:0/energy_uj")
                    low = rig.truth.joules("package-0", rig.truth.t0_ns, before - 1_000_000) - 61e-6
                    high = rig.truth.joules("package-0", rig.truth.t0_ns, after)
                    self.assertLessEqual(low, value * 1e-6 + 1e-9, curve)
                    self.assertLessEqual(value * 1e-6, high + 1e-9, curve)
                    time.sleep(0.007)

    def test_the_rig_and_the_formulas_in_python_agree_on_every_truth(self):
        # Kills: a slip in either of the two; they share no line.
        for number, curve in enumerate(CURVES):
            with rigs.Rig(PROGRAM, self.options(power=curve)) as rig:
                for i in range(20):
                    begin = rig.truth.t0_ns + 17_000_000 * i * (number + 1) + 123_457
                    end = begin + 3 ** i + 1_000_001 * i
                    with open(os.path.join(rig.path, f"truth/package-0/{begin}-{end}"), encoding="utf-8") as file:
                        self.assertAlmostEqual(float(file.read()), rig.truth.joules("package-0", begin, end), 9, curve)
                for question in ("package-0/5", "package-9/1-2", "package-0/a-b", "package-0/1-2/3"):
                    self.assertRaises(OSError, read, os.path.join(rig.path, "truth", question))

    def test_the_older_words_for_a_curve_mean_the_same(self):
        for words, curve in OLD.items():
            with rigs.Rig(PROGRAM, ["--zone", "id=intel-rapl:0 name=package-0 " + words]) as rig:
                told = rig.truth.domains["package-0"]["power"]
                for i in range(40):
                    self.assertAlmostEqual(watts(told, 0.0371 * i), watts(curve, 0.0371 * i), 9, words)

    def test_between_two_updates_the_counter_stands_still(self):
        with rigs.Rig(PROGRAM, self.options(update_us=200_000, phase_us=1000)) as rig:
            values = set()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                values.add(read(self.counter(rig)))
            self.assertLessEqual(len(values), 4)
            self.assertGreaterEqual(len(values), 2)

    def test_the_counter_wraps_at_the_end_of_its_register(self):
        with rigs.Rig(PROGRAM, self.options(power="constant:50", wrap_quanta=1_000_000)) as rig:  # 1 J: every 20 ms
            self.assertEqual(read(os.path.join(rig.path, "class/powercap/intel-rapl:0/max_energy_range_uj")), 999_999)
            values = []
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                values.append(read(self.counter(rig)))
            self.assertLess(max(values), 1_000_000)
            falls = sum(b < a for a, b in zip(values, values[1:]))
            self.assertGreaterEqual(falls, 5)

    def test_the_tree_is_laid_out_as_the_kernel_does(self):
        with rigs.Rig(PROGRAM) as rig:
            top = os.path.join(rig.path, "class/powercap")
            self.assertEqual(sorted(os.listdir(top)), ["intel-rapl", "intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1"])
            self.assertTrue(os.path.islink(os.path.join(top, "intel-rapl:0:0")))
            nested = os.path.join(top, "intel-rapl:0/intel-rapl:0:1/name")
            with open(nested, encoding="utf-8") as file:
                self.assertEqual(file.read(), "dram\n")
            chip = os.path.join(rig.path, "class/hwmon/hwmon0")
            self.assertGreater(read(os.path.join(chip, "power1_input")), 1_000_000)

    def test_faults_come_and_go_as_told_also_for_a_kept_open_file(self):
        with rigs.Rig(PROGRAM) as rig:
            fd = os.open(self.counter(rig), os.O_RDONLY)
            try:
                good = int(os.pread(fd, 64, 0))
                for word, number in (("eio", errno.EIO), ("vanish", errno.ENODEV), ("denied", errno.EACCES)):
                    rig.fault("package-0", word)
                    with self.assertRaises(OSError) as caught:
                        os.pread(fd, 64, 0)
                    self.assertEqual(caught.exception.errno, number, word)
                rig.fault("package-0", "empty")
                self.assertEqual(os.pread(fd, 64, 0), b"")
                rig.fault("package-0", "rubbish")
                self.assertRaises(ValueError, lambda: int(os.pread(fd, 64, 0)))
                rig.fault("package-0", "ok")
                self.assertGreaterEqual(int(os.pread(fd, 64, 0)), good)
                rig.fault("package-0", "reset")
                self.assertLess(int(os.pread(fd, 64, 0)), 3_000_000)
                rig.fault("package-0", "stale")
                first = os.pread(fd, 64, 0)
                time.sleep(0.02)
                self.assertEqual(os.pread(fd, 64, 0), first)
            finally:
                os.close(fd)

    def test_updates_with_jitter_come_neither_in_step_nor_out_of_order(self):
        # 20 ms ± 9: the pauses between two changes differ by far more than the reader's own haste; without jitter they
        # would not. Values only rise.
        def pauses(**extra):
            seen = []
            with rigs.Rig(PROGRAM, self.options(update_us=20_000, power="constant:50", **extra)) as rig:
                fd = os.open(self.counter(rig), os.O_RDONLY)
                last, end = None, time.monotonic() + 0.8
                while time.monotonic() < end:
                    value = int(os.pread(fd, 64, 0))
                    if last is not None:
                        self.assertGreaterEqual(value, last)
                    if value != last:
                        seen.append(value)
                    last = value
                os.close(fd)
            return sorted((b - a) / 50e3 for a, b in zip(seen[1:], seen[2:]))  # ms of 50 W that each change brought

        steady, moved = pauses(), pauses(jitter_us=9000)
        # What a change brought is 20 ms of power, or a multiple where the reader was held up; jitter spreads it.
        self.assertLess(abs(steady[len(steady) // 2] - 20), 0.01)
        self.assertGreater(moved[len(moved) * 3 // 4] - moved[len(moved) // 4], 3)

    def test_the_quantum_is_the_step_of_the_counter_and_of_the_gauges(self):
        hwmon = "id=hwmon0 chip=board power=sine:40,20,0.7 quantum_uj=1000 quantum_uw=250000"
        thermal = "id=thermal_zone0 type=zone power=sine:40,20,0.7 quantum_mc=500"
        with rigs.Rig(PROGRAM, ["--hwmon", hwmon, "--thermal", thermal]) as rig:
            values = {name: set() for name in ("hwmon/hwmon0/energy1_input", "hwmon/hwmon0/power1_input",
                                               "thermal/thermal_zone0/temp")}
            for _ in range(40):
                for name, seen in values.items():
                    seen.add(read(os.path.join(rig.path, "class", name)))
                time.sleep(0.005)
            for (name, seen), step in zip(values.items(), (1000, 250_000, 500)):
                self.assertEqual({value % step for value in seen}, {0}, name)
                self.assertGreater(len(seen), 5, name)

    def test_a_gauge_shows_the_mean_over_its_window_and_a_plain_one_the_power(self):
        # A square of 0.2 s between 10 W and 50 W: at once it is one of the two, over two whole periods always 30 W.
        words = "power=square:10,50,0.2 update_us=1000"
        options = ["--hwmon", "id=hwmon0 chip=plain only=power " + words, "--hwmon",
                   "id=hwmon1 chip=mean only=power average=yes window_us=400000 " + words, "--thermal",
                   "id=thermal_zone0 type=slow mc_per_w=1000 start_mc=20000 window_us=100000 " + words]
        with rigs.Rig(PROGRAM, options) as rig:
            plain = set()
            for _ in range(60):
                plain.add(read(os.path.join(rig.path, "class/hwmon/hwmon0/power1_input")))
                before, mean, after = self.bracketed(rig, "class/hwmon/hwmon1/power1_average")
                self.assertAlmostEqual(mean * 1e-6, 30, 3)
                before, milli, after = self.bracketed(rig, "class/thermal/thermal_zone0/temp")
                most = 50 * (after - before + 2_000_000) * 1e-8  # what may move within the read and an update
                held = rig.truth.joules("slow", before - 100_000_000, before) / 0.1
                self.assertLess(abs((milli - 20_000) / 1000 - held), most + 0.01)
                time.sleep(0.005)
            self.assertEqual(plain, {10_000_000, 50_000_000})
            self.assertEqual(read(os.path.join(rig.path, "class/hwmon/hwmon1/power1_average_interval")), 400)

    def test_a_rail_gives_millivolts_and_milliamperes_whose_product_is_the_power(self):
        with rigs.Rig(PROGRAM, ["--hwmon", "id=hwmon0 chip=rail only=rail volts=5 power=constant:30"]) as rig:
            chip = os.path.join(rig.path, "class/hwmon/hwmon0")
            self.assertEqual((read(chip + "/in1_input"), read(chip + "/curr1_input")), (5000, 6000))
            self.assertFalse(os.path.exists(chip + "/power1_input"))

    def test_a_battery_runs_down_by_what_was_drawn_and_mains_are_connected(self):
        options = ["--supply", "id=BAT0 type=Battery volts=10 full_j=3600 power=constant:36000 update_us=1000",
                   "--supply", "id=AC type=Mains power=constant:0"]
        with rigs.Rig(PROGRAM, options) as rig:
            battery = os.path.join(rig.path, "class/power_supply/BAT0")
            self.assertEqual(read(battery + "/power_now"), 36_000_000_000)
            self.assertEqual((read(battery + "/voltage_now"), read(battery + "/current_now")), (10_000_000, 3_600_000_000))
            before, left, after = self.bracketed(rig, "class/power_supply/BAT0/energy_now")
            for at, compare in ((after, self.assertGreaterEqual), (before - 1_000_000, self.assertLessEqual)):
                used = rig.truth.joules("Battery", rig.truth.t0_ns, at)
                compare(left + (1 if at == after else -1), max(0, 3600 - used) / 3600e-6)
            time.sleep(0.12)  # empty after 0.1 s
            self.assertEqual((read(battery + "/energy_now"), read(battery + "/capacity")), (0, 0))
            self.assertEqual(read(os.path.join(rig.path, "class/power_supply/AC/online")), 1)

    def test_every_fault_reaches_every_kind_of_file(self):
        options = ["--zone", "id=intel-rapl:0 name=package-0", "--hwmon", "id=hwmon0 chip=board", "--thermal",
                   "id=thermal_zone0 type=zone", "--supply", "id=BAT0 type=Battery"]
        files = ["powercap/intel-rapl:0/energy_uj", "hwmon/hwmon0/power1_input", "hwmon/hwmon0/energy1_input",
                 "hwmon/hwmon0/temp1_input", "thermal/thermal_zone0/temp", "power_supply/BAT0/power_now",
                 "power_supply/BAT0/energy_now"]
        with rigs.Rig(PROGRAM, options) as rig:
            fds = [os.open(os.path.join(rig.path, "class", name), os.O_RDONLY) for name in files]
            texts = lambda: [os.pread(fd, 64, 0) for fd in fds]  # noqa: E731
            try:
                for word, number in (("eio", errno.EIO), ("vanish", errno.ENODEV), ("denied", errno.EACCES)):
                    rig.fault("*", word)
                    for fd, name in zip(fds, files):
                        with self.assertRaises(OSError) as caught:
                            os.pread(fd, 64, 0)
                        self.assertEqual(caught.exception.errno, number, (word, name))
                rig.fault("*", "empty")
                self.assertEqual(texts(), [b""] * len(files))
                rig.fault("*", "rubbish")
                for text in texts():
                    self.assertRaises(ValueError, int, text)
                rig.fault("*", "negative")
                self.assertEqual(texts(), [b"-7\n"] * len(files))
                rig.fault("*", "stale")
                held = texts()
                time.sleep(0.02)
                self.assertEqual(texts(), held)
                rig.fault("*", "ok")
                for text in texts():
                    self.assertTrue(text.endswith(b"\n"))
                    int(text)
            finally:
                for fd in fds:
                    os.close(fd)

    def test_a_torn_counter_gives_half_its_text_at_every_other_read(self):
        with rigs.Rig(PROGRAM, self.options(start_uj=123456789000, power="constant:0")) as rig:
            fd = os.open(self.counter(rig), os.O_RDONLY)
            whole = os.pread(fd, 64, 0)
            rig.fault("package-0", "torn")
            self.assertEqual([os.pread(fd, 64, 0) for _ in range(4)], [whole[: len(whole) // 2], whole] * 2)
            os.close(fd)

    def test_a_reset_counter_begins_at_nothing_and_goes_on_at_the_same_pace(self):
        with rigs.Rig(PROGRAM, self.options(power="constant:100", quantum_uj=61, start_uj=200_000_000_000)) as rig:
            path = "class/powercap/intel-rapl:0/energy_uj"
            self.assertGreater(read(os.path.join(rig.path, path)), 199_999_999_000)
            begin = now_ns()
            rig.fault("package-0", "reset")
            end = now_ns()
            time.sleep(0.05)
            before, value, after = self.bracketed(rig, path)
            self.assertLessEqual(value * 1e-6, 100 * (after - begin + 1_000_000) * 1e-9)
            self.assertGreaterEqual(value * 1e-6, 100 * (before - end - 1_000_000) * 1e-9 - 61e-6)

    def test_a_live_zone_shows_what_a_program_says_was_used(self):
        # Kills: a counter that goes on by itself, nanojoules taken for microjoules, faults that a live zone has not.
        with tempfile.NamedTemporaryFile() as feed:
            feed.write(bytes(4))
            feed.flush()
            live = ["--zone", f"id=intel-rapl:0 name=package-0 quantum_uj=61 start_uj=6100 live={feed.name}"]
            self.assertRaises(rigs.RigError, rigs.Rig, PROGRAM, live)  # too short for a feed
            feed.write(bytes(4))
            feed.flush()
            with mmap.mmap(feed.fileno(), 8) as memory, rigs.Rig(PROGRAM, live) as rig:
                self.assertEqual(read(self.counter(rig)), 6100)
                for used_uj in (61, 6100, 123_456_789):
                    memory[:] = struct.pack("<Q", used_uj * 1000)
                    self.assertEqual([read(self.counter(rig)) for _ in range(2)], [(used_uj // 61 + 100) * 61] * 2)
                rig.fault("package-0", "stale")
                memory[:] = struct.pack("<Q", 200_000_000_000)
                self.assertEqual(read(self.counter(rig)), (123_456_789 // 61 + 100) * 61)
                self.assertRaises(OSError, read, os.path.join(rig.path, "truth/package-0/1-2"))
            self.assertRaises(rigs.RigError, rigs.Rig, PROGRAM, ["--hwmon", f"id=hwmon0 chip=x live={feed.name}"])

    def test_a_vanished_zone_cannot_be_opened(self):
        with rigs.Rig(PROGRAM) as rig:
            rig.fault("core", "vanish")
            self.assertRaises(FileNotFoundError, read, self.counter(rig, "intel-rapl:0:0"))
            self.assertGreater(read(self.counter(rig)), 0)

    def test_a_word_it_does_not_know_is_refused(self):
        with rigs.Rig(PROGRAM) as rig:
            self.assertRaises(OSError, rig.fault, "package-0", "explode")
            self.assertRaises(OSError, rig.fault, "package-9", "eio")
        for words in ("curve=zigzag", "power=sine:1", "power=constant:-1", "update_us=0", "wrap_quanta=1", "colour=red",
                      "base=x", "only=power", "quantum_uj"):
            with self.assertRaises(rigs.RigError, msg=words) as caught:
                rigs.Rig(PROGRAM, ["--zone", "id=intel-rapl:0 name=x " + words])
            self.assertIn("usage", str(caught.exception))

    def test_no_mount_is_left_behind(self):
        rig = rigs.Rig(PROGRAM)
        path = rig.path
        self.assertTrue(rigs.is_mounted(path))
        rig.close()
        self.assertFalse(rigs.is_mounted(path))
        self.assertFalse(os.path.exists(path))
        killed = rigs.Rig(PROGRAM)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        killed.close()
        self.assertFalse(rigs.is_mounted(killed.path))
        self.assertFalse(os.path.exists(killed.path))

    def test_the_negative_control_would_be_seen(self):
        # A counter that is wrong by 2 % must not pass the very comparison that the right one passes.
        with rigs.Rig(PROGRAM, self.options(power="sine:40,20,0.7")) as rig:
            begin_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            begin = read(self.counter(rig))
            time.sleep(0.7)
            end = read(self.counter(rig))
            end_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            truth = rig.truth.joules("package-0", begin_ns, end_ns)
            measured = (end - begin) * 1e-6
            slack = 60 * 1e-3 + 60 * 2e-3  # one update at either edge, and the reads' own width
            self.assertLess(abs(measured - truth), slack)
            self.assertGreater(abs(measured * 1.02 - truth), slack)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    reason = rigs.why_no_fuse()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(verbosity=2)
