"""What a guest told, for the tests: booted once, asked by every test of it."""

import json
import unittest
from concurrent import futures

import rig

PROGRAMS = {}
TOLD = {}  # machine → results, or the reason why there are none


def boot_all():
    """Two guests at once: one waits while the other works."""
    def boot(machine, program):
        try:
            TOLD[machine] = rig.boot(machine, program)
        except Exception as error:  # told by every test of that guest
            TOLD[machine] = error

    with futures.ThreadPoolExecutor(2) as two:
        for machine, program in PROGRAMS.items():
            reason = "no Prony was built for it" if program == "-" else rig.missing(machine)
            if reason:
                TOLD[machine] = unittest.SkipTest(f"{machine}: {reason}")
            else:
                two.submit(boot, machine, program)


class Guest(unittest.TestCase):
    machine = ""

    def setUp(self):
        told = TOLD[self.machine]
        if isinstance(told, unittest.SkipTest):
            self.skipTest(str(told))
        if isinstance(told, Exception):
            self.fail(str(told))
        self.told = told

    def text(self, name, code=0):
        self.assertIn(name, self.told)
        self.assertEqual(self.told[name][0], code, f"{name}: {self.told[name][1]} {self.told.get(name + '.err', '')}")
        return self.told[name][1]

    def lines(self, name):
        return [json.loads(line) for line in self.text(name).splitlines()]

    def sensor(self, when, name):
        found = [s for s in json.loads(self.text(when + ".sensors"))["sensors"] if s["name"] == name]
        self.assertEqual(len(found), 1, f"sensors named {name}")
        return found[0]

    def channels(self, when, name):
        return {c["name"]: c for c in self.sensor(when, name)["channels"]}

    def samples(self, when, column):
        """(begin_ns, end_ns, value) of every reading."""
        rows = [(r["begin_ns"], r["end_ns"], r[column]) for r in self.lines(when + ".samples") if column in r]
        self.assertTrue(rows, f"no reading of {column}")
        return rows

    def check_step(self, when, column, before, after, write):
        """Readings that ended before the write show one value, those that began after it the other."""
        begin, end = map(int, self.text(write).split())
        rows = self.samples(when, column)
        early = [v for _, e, v in rows if e < begin]
        late = [v for b, _, v in rows if b > end]
        self.assertTrue(early and late, "readings on both sides of the write")
        for value in early:
            self.assertAlmostEqual(value, before, places=9)
        for value in late:
            self.assertAlmostEqual(value, after, places=9)
        return begin, end

    def energy(self, when, channel):
        rows = [e for e in json.loads(self.text(when + ".show"))["energy"] if e["channel"] == channel]
        self.assertEqual(len(rows), 1, channel)
        return rows[0]

    def window(self, when):
        runs = [s for s in self.lines(when + ".spans") if s["kind"] == "run"]
        self.assertEqual(len(runs), 1)
        return runs[0]["begin_ns"], runs[0]["end_ns"]
