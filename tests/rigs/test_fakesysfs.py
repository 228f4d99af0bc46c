"""The rig tests itself: its counters follow the closed form, wrap, step and fail as told, and it leaves no mount behind.

usage: test_fakesysfs.py PROGRAM; exits 77 (skipped) where no FUSE mount can be made, saying why.
"""

import errno
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as rigs  # noqa: E402
from truth import joules_from_zero, watts  # noqa: E402

PROGRAM = ""

CURVES = [
    {"curve": "constant", "base_w": 12.5, "amp_w": 0, "period_s": 1, "levels": 4},
    {"curve": "sine", "base_w": 30, "amp_w": 20, "period_s": 0.7, "levels": 4},
    {"curve": "square", "base_w": 30, "amp_w": 20, "period_s": 0.3, "levels": 4},
    {"curve": "steps", "base_w": 10, "amp_w": 30, "period_s": 0.5, "levels": 5},
]


def read(path):
    with open(path, encoding="utf-8") as file:
        return int(file.read())


class ClosedForm(unittest.TestCase):
    def test_the_integral_is_the_sum_of_the_power(self):
        # Kills: a wrong sign or a lost half period in a closed form, which would make every truth check agree on a lie.
        for curve in CURVES:
            steps = 200_000
            span = 1.618
            total = sum(watts(curve, (i + 0.5) * span / steps) for i in range(steps)) * span / steps
            self.assertLess(abs(total / joules_from_zero(curve, span) - 1), 1e-5, curve["curve"])

    def test_the_integral_never_falls_and_starts_at_nothing(self):
        for curve in CURVES:
            self.assertEqual(joules_from_zero(curve, 0), 0)
            values = [joules_from_zero(curve, i * 0.013) for i in range(300)]
            self.assertEqual(values, sorted(values), curve["curve"])


class Mounted(unittest.TestCase):
    def options(self, **extra):
        words = " ".join(f"{k}={v}" for k, v in extra.items())
        return ["--zone", "id=intel-rapl:0 name=package-0 " + words]

    def counter(self, rig, zone="intel-rapl:0"):
        return os.path.join(rig.path, "class/powercap", zone, "energy_uj")

    def test_each_curve_reads_as_the_closed_form_says(self):
        # The truth at the read is bracketed by two clock reads; the counter may lag by one update period and a quantum.
        for curve in CURVES:
            shape = {"curve": curve["curve"], "base": curve["base_w"], "amp": curve["amp_w"],
                     "period": curve["period_s"], "levels": curve["levels"], "update_us": 1000, "quantum_uj": 61}
            with rigs.Rig(PROGRAM, self.options(**shape)) as rig:
                for _ in range(20):
                    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                    value = read(self.counter(rig)) * 1e-6
                    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                    low = rig.truth.joules("package-0", rig.truth.t0_ns, before - 1_000_000) - 61e-6
                    high = rig.truth.joules("package-0", rig.truth.t0_ns, after)
                    self.assertLessEqual(low, value + 1e-9, curve["curve"])
                    self.assertLessEqual(value, high + 1e-9, curve["curve"])
                    time.sleep(0.007)

    def test_between_two_updates_the_counter_stands_still(self):
        with rigs.Rig(PROGRAM, self.options(update_us=200_000, phase_us=1000)) as rig:
            values = set()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                values.add(read(self.counter(rig)))
            self.assertLessEqual(len(values), 4)
            self.assertGreaterEqual(len(values), 2)

    def test_the_counter_wraps_at_the_end_of_its_register(self):
        with rigs.Rig(PROGRAM, self.options(base=50, wrap_quanta=1_000_000)) as rig:  # 1 J: every 20 ms
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
                self.assertGreater(int(os.pread(fd, 64, 0)), good)
                rig.fault("package-0", "reset")
                self.assertLess(int(os.pread(fd, 64, 0)), 3_000_000)
                rig.fault("package-0", "stale")
                first = os.pread(fd, 64, 0)
                time.sleep(0.02)
                self.assertEqual(os.pread(fd, 64, 0), first)
            finally:
                os.close(fd)

    def test_a_vanished_zone_cannot_be_opened(self):
        with rigs.Rig(PROGRAM) as rig:
            rig.fault("core", "vanish")
            self.assertRaises(FileNotFoundError, read, self.counter(rig, "intel-rapl:0:0"))
            self.assertGreater(read(self.counter(rig)), 0)

    def test_a_word_it_does_not_know_is_refused(self):
        with rigs.Rig(PROGRAM) as rig:
            self.assertRaises(OSError, rig.fault, "package-0", "explode")
            self.assertRaises(OSError, rig.fault, "package-9", "eio")
        self.assertRaises(rigs.RigError, rigs.Rig, PROGRAM, ["--zone", "id=intel-rapl:0 name=x curve=zigzag"])

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
        with rigs.Rig(PROGRAM, self.options(base=40, amp=20, curve="sine", period=0.7)) as rig:
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
