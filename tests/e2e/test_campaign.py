"""The built prony on random counters whose truth is known: the small sample, by files and clocks, of what
tests/attribute/campaign_test.cpp does in memory.

Kills: edges at the polls or at the updates, a phase or period that is never learned, a bound that real reads can miss.
"""

import bisect
import glob
import os
import random
import sys

import harness
from harness import RigCase

# Powers of every shape; each zone has a phase of its own. Steps are seconds apart: when in an update of 100 ms a power
# stepped, no counter tells, and no tool can know.
CURVES = ["constant:37", "sine:40,20,3.1", "sine:60,30,2.3,0.3+constant:4", "steps:0=15,2.9=60,6.2=35,9.1=75,repeat=12.3",
          "noise:11,45,20,3.7", "square:20,70,9.7"]


def p95(values):
    return sorted(values)[len(values) * 95 // 100]


def random_zone(dice):
    """Settings of a counter, and the range in which it may wrap without a doubt about how often (1 kW at most)."""
    low, high = dice.uniform(5, 30), dice.uniform(40, 140)
    period = dice.choice([0.11, 0.37, 0.9, 2.3])
    curve = dice.choice([f"sine:{(low + high) / 2:.3f},{(high - low) / 2:.3f},{period}", f"square:{low:.3f},{high:.3f},{period},0.3",
                         f"noise:{dice.randrange(1000)},70,60,{period / 4:.4f}", f"constant:{high:.3f}",
                         f"steps:0={low:.3f},{period:.2f}={high:.3f},{period * 1.7:.3f}=0,repeat={period * 2.5:.3f}"])
    update_us = dice.choice([977, 1000, 4000, 21_000, 60_000])
    quantum_uj = dice.choice([1, 15.2587890625, 61.03515625, 1000])
    words = f"power={curve} update_us={update_us} phase_us={dice.randrange(update_us)} quantum_uj={quantum_uj}"
    if dice.random() < 0.4:
        words += f" jitter_us={update_us // 8} seed={dice.randrange(1000)}"
    if dice.random() < 0.7:
        words += f" wrap_quanta={int(900e6 / quantum_uj)} start_uj={dice.uniform(700e6, 899e6):.0f}"
    return words


class Campaign(RigCase):
    def record_zones(self, zones, count, seconds, interval):
        library = sorted(glob.glob(os.path.join(harness.BUILD, "libprony.so*")))
        if not library:
            self.skipTest("libprony.so was not built")
        options = []
        for number, words in enumerate(zones):
            options += ["--zone", f"id=intel-rapl:{number} name=package-{number} {words}"]
        rig = self.mount(*options)
        script = os.path.join(harness.HERE, "spans_program.py")
        summary = self.record([sys.executable, script, library[0], str(count), str(seconds)], "--sysfs", rig.path,
                              "--interval", interval, "--force")
        windows = {row["name"]: (row["begin_ns"], row["end_ns"]) for row in self.table("x.prony", "spans")
                   if row["kind"] == "request"}
        return rig, summary, windows

    def rows(self, summary, windows):
        """(zone's number, window, row) of every request's energy that could be resolved."""
        for request in summary["requests"]:
            for row in request["energy"]:
                if row["channel"].startswith("rapl.package-") and row["resolvable"]:
                    yield int(row["channel"][13:].split(".")[0]), windows[request["id"]], row

    def readings(self, channel):
        """The ends of the ticks that read the channel, and what it showed in joules."""
        ends, values = [], []
        for row in self.table("x.prony", "samples"):
            value = next((v for k, v in row.items() if k.startswith(channel)), None)
            if value is not None:
                ends.append(row["end_ns"])
                values.append(value)
        return ends, values

    def test_the_truth_is_inside_low_and_high_of_random_counters(self):
        dice = random.Random(20261121)
        cases = bounds = 0
        for interval in ("2ms", "17ms"):
            zones = [random_zone(dice) for _ in range(6)]
            rig, summary, windows = self.record_zones(zones, 10, 0.377, interval)
            for number, window, row in self.rows(summary, windows):
                truth = rig.truth.joules(f"package-{number}", *window)
                cases += 1
                if row["kind"] == "bound":
                    bounds += 1
                    self.assertTrue(row["low_j"] - 1e-6 <= truth <= row["high_j"] + 1e-6, (zones[number], interval, truth, row))
        print(f"{cases} windows, {bounds} bounds")
        self.assertGreaterEqual(bounds, 60)

    def test_interpolated_edges_are_five_times_nearer_to_the_truth_than_plain_differences(self):
        # Renewed every 100 ms, read every 5 ms.
        zones = [f"power={curve} update_us=100000 phase_us={17_000 * n + 1234} quantum_uj=61" for n, curve in enumerate(CURVES)]
        rig, summary, windows = self.record_zones(zones, 12, 0.7618, "5ms")
        ours, plain = [], []
        readings = [self.readings(f"rapl.package-{number}.energy") for number in range(len(zones))]
        for number, (begin, end), row in self.rows(summary, windows):
            ends, values = readings[number]
            truth = rig.truth.joules(f"package-{number}", begin, end)
            before = [values[bisect.bisect_right(ends, at) - 1] for at in (begin, end)]
            ours.append(abs(row["gross_j"] - truth))
            plain.append(abs(before[1] - before[0] - truth))
        told = f"{len(ours)} windows: 95 % of edge errors {p95(ours):.3f} J, plain {p95(plain):.3f} J"
        print(told)
        self.assertGreaterEqual(len(ours), 48)
        self.assertLessEqual(5 * p95(ours), p95(plain), told)


if __name__ == "__main__":
    harness.main()
