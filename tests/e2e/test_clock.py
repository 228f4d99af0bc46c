"""The wall clock is set forward by an hour in mid-run, as an NTP step does: nothing that was measured may notice.

Kills: an interval, a power or a duration taken from the wall clock.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess

import harness
from harness import Case

STEP_S = 3600


def compiler():
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class WallClock(Case):
    def shim(self):
        if compiler() is None:
            self.skipTest("no C compiler for the library that steps the clock")
        library = self.path("step.so")
        subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-o", library,
                        os.path.join(harness.HERE, "wall_clock_step.c")], check=True)
        return library

    def offsets_s(self, name):
        """Wall clock less monotonic clock, at each anchor that the Run keeps."""
        with contextlib.closing(sqlite3.connect(self.path(name))) as run:
            return [(wall - monotonic) * 1e-9 for monotonic, wall in
                    run.execute("SELECT monotonic_ns, wall_ns FROM anchor ORDER BY monotonic_ns")]

    def test_a_wall_clock_set_by_an_hour_in_mid_run_changes_no_energy_and_no_duration(self):
        summary = self.record(["sleep", "2"], "--simulate", "laptop",
                              env={"LD_PRELOAD": self.shim(), "PRONY_TEST_STEP_AFTER_MS": "1000"})
        offsets = self.offsets_s("x.prony")
        self.assertAlmostEqual(offsets[-1] - offsets[0], STEP_S, delta=5, msg="the clock was not set: nothing is shown")
        rows = [row for row in summary["energy"] if "gross_j" in row and row["origin"] == "measured"]
        self.assertGreaterEqual(len(rows), 4)
        for row in rows:
            self.assertLessEqual(row["low_j"], row["true_j"], row)
            self.assertLessEqual(row["true_j"], row["high_j"], row)
            self.assertLess(abs(row["gross_j"] / row["true_j"] - 1), 0.05, row)
            self.assertEqual(row["resets"], 0)
        self.assertLess(summary["wall_s"], STEP_S / 2)


if __name__ == "__main__":
    harness.main()
