#!/usr/bin/env python3
"""Prony against the kernel's own drivers, in guests that QEMU boots: what it says is held against the registers that were
written, and its joules against the truth that the rig's module adds up.

usage: test_qemu.py PRONY_X86_64|- PRONY_AARCH64|-     "-": not built, the tests of its guests are skipped
"""

import json
import re
import sys
import unittest

import rig
from test_boards import Jetson, RaspberryPi5  # noqa: F401  (their tests run here)
from guests import PROGRAMS, Guest, boot_all

COUNT_J = 61e-6           # of the rig's powercap registers
REGISTER_J = 2**32 * COUNT_J
UPDATE_NS = 1_000_000     # they are renewed once in this
PERF_STEP_J = 2.0**-14
DOMAINS = ("package-0", "core-0", "dram-0")


class Chips:
    """The same chips on both machines; see guest/chips.sh for the registers."""

    def files(self, name):
        """{chip: {file: integer}}"""
        chips, names = {}, {}
        for line in self.text(name).splitlines():
            path, value = line.split(": ", 1)
            folder, file = path.rsplit("/", 1)
            if file == "name":
                names[folder] = value
            else:
                chips.setdefault(names[folder], {})[file] = int(value)
        return chips

    def test_the_kernel_shows_what_was_written_into_the_chips(self):
        chips = self.files("chips.files")
        self.assertEqual({k: chips["ina3221"][k] for k in ("in1_input", "curr1_input", "in2_input", "curr2_input", "in3_input",
                                                           "curr3_input", "in4_input")},
                         {"in1_input": 12000, "curr1_input": 5000, "in2_input": 3304, "curr2_input": 200, "in3_input": 5000,
                          "curr3_input": 0, "in4_input": 50000})
        self.assertEqual(chips["ina226"]["power1_input"], 3200000)
        self.assertEqual(chips["lm75"]["temp1_input"], 45500)
        after = self.files("chips.files_after")
        self.assertEqual(after["ina3221"]["curr1_input"], 2500)
        self.assertEqual(after["ina226"]["power1_input"], 800000)
        self.assertEqual(after["lm75"]["temp1_input"], 30000)

    def test_ina3221_has_three_rails_and_its_shunt_channels_are_none(self):
        # in4 to in6 are shunt voltages in microvolts and curr4 sums all shunts: taken for rails they give 250 kW.
        rails = [c for c in self.channels("chips", "hwmon").values() if c["name"].startswith("hwmon.ina3221.")]
        self.assertEqual(sorted(c["name"] for c in rails), [f"hwmon.ina3221.in{i}.power" for i in (1, 2, 3)])
        self.assertEqual({c["origin"] for c in rails}, {"derived"})
        self.assertFalse(any(c["coverage_known"] for c in rails))

    def test_ina3221_rails_are_millivolts_times_milliamperes(self):
        self.check_step("chips", "hwmon.ina3221.in1.power_w", 12.000 * 5.000, 12.000 * 2.500, "chips.current")
        for _, _, watts in self.samples("chips", "hwmon.ina3221.in2.power_w"):
            self.assertAlmostEqual(watts, 3.304 * 0.200, places=9)
        for _, _, watts in self.samples("chips", "hwmon.ina3221.in3.power_w"):
            self.assertEqual(watts, 0)

    def test_ina226_power_is_its_own_register_and_is_taken_once(self):
        # Its register says 3.2 W while bus times current would be 3.072 W: a rail made of them would be a second channel.
        names = [n for n in self.channels("chips", "hwmon") if n.startswith("hwmon.ina226.")]
        self.assertEqual(names, ["hwmon.ina226.power1.power"])
        self.check_step("chips", "hwmon.ina226.power1.power_w", 3.2, 0.8, "chips.power")

    def test_lm75_temperature_in_degrees(self):
        self.check_step("chips", "hwmon.lm75.temp1.temperature_celsius", 45.5, 30.0, "chips.temperature")

    def test_joules_of_a_rail_contain_those_of_the_power_that_was_written(self):
        # One step of known size between two readings: the range that is said must reach both of its extremes.
        begin, end = map(int, self.text("chips.current").split())
        rows = self.samples("chips", "hwmon.ina3221.in1.power_w")
        first, last = rows[0][0], rows[-1][1]
        truth = 60 * ((begin + end) / 2 - first) * 1e-9 + 30 * (last - (begin + end) / 2) * 1e-9
        ledger = self.energy("chips", "hwmon.ina3221.in1.power")["ledger"]
        self.assertLessEqual(ledger["low_j"], truth)
        self.assertGreaterEqual(ledger["high_j"], truth)
        still = self.energy("chips", "hwmon.ina3221.in2.power")["ledger"]["recorded_j"]
        seconds = (rows[-1][0] + rows[-1][1] - rows[0][0] - rows[0][1]) / 2e9
        self.assertAlmostEqual(still, 3.304 * 0.2 * seconds, delta=0.01 * still)


class X86Chips(Chips, Guest):
    machine = "x86_64"


class Aarch64Chips(Chips, Guest):
    machine = "aarch64"


class Truth:
    """What the rig's module drew: power steps, exactly."""

    def __init__(self, log, factor=1.0, shift_ns=0):
        self.segments = [[int(word) for word in line.split()] for line in log.splitlines()]
        self.factor, self.shift_ns = factor, shift_ns  # 1 and 0, but for the controls

    def joules(self, domain, at_ns):
        """Since the module was loaded."""
        at_ns += self.shift_ns
        column = DOMAINS.index(domain)
        segment = [s for s in self.segments if s[0] <= at_ns][-1]
        return (segment[4 + column] + segment[1 + column] * (at_ns - segment[0])) * 1e-12 * self.factor

    def most_watts(self, domain):
        return max(s[1 + DOMAINS.index(domain)] for s in self.segments) * 1e-3


class JouleChecks(Guest):
    machine = "x86_64"
    falsified = {}

    def truth(self, when):
        return Truth(self.text(when + ".log"), **self.falsified)

    def check_bound(self, when, domain, step_j, update_ns):
        """The joules of the run's window: inside the bound that is said, and that no wider than what was read allows."""
        truth = self.truth(when)
        begin, end = self.window(when)
        row = self.energy(when, f"rapl.{domain}.energy")
        self.assertTrue(row["resolvable"], row)
        self.assertEqual(row["kind"], "bound")
        drawn = truth.joules(domain, end) - truth.joules(domain, begin)
        self.assertLessEqual(row["low_j"], drawn, domain)
        self.assertGreaterEqual(row["high_j"], drawn, domain)
        self.assertTrue(row["low_j"] <= row["gross_j"] <= row["high_j"])
        # A reading equal to the one before tells nothing new: readings are counted by what changed.
        rows = self.samples(when, f"rapl.{domain}.energy_j")
        ticks = [rows[0][:2]] + [new[:2] for old, new in zip(rows, rows[1:]) if new[2] != old[2]]
        # An update period of the most that was drawn for each edge, as docs/methodology.md has it for a sensor that nobody
        # knows yet, and what may have been drawn between two readings before the edge and two after it.
        doubt = 4 * step_j + 2 * update_ns * 1e-9 * truth.most_watts(domain)
        for edge in (begin, end):
            before = [b for b, _ in ticks if b <= edge][-2:][0]
            after = [e for _, e in ticks if e >= edge][:2][-1]
            doubt += truth.joules(domain, after) - truth.joules(domain, before - update_ns)
        self.assertLessEqual(row["high_j"] - row["low_j"], doubt, domain)
        return drawn

    def check_powercap_readings(self):
        truth = self.truth("cap")
        start_j = self.start_counts() * COUNT_J
        for domain in DOMAINS:
            for begin, end, joules in self.samples("cap", f"rapl.{domain}.energy_j"):
                least = start_j + truth.joules(domain, begin - UPDATE_NS) - COUNT_J
                most = start_j + truth.joules(domain, end)
                turns = round(((least + most) / 2 - joules) / REGISTER_J)
                self.assertIn(turns, (0, 1))
                self.assertLessEqual(least - 1e-9, joules + turns * REGISTER_J, domain)
                self.assertGreaterEqual(most + 1e-9, joules + turns * REGISTER_J, domain)

    def start_counts(self):
        with open(rig.HERE + "/guest/x86_64.sh", encoding="utf-8") as file:
            return int(re.search(r"start_counts=(\d+)", file.read()).group(1))

    def check_powercap_joules(self):
        for domain in DOMAINS:
            self.check_bound("cap", domain, COUNT_J, UPDATE_NS)
            row = self.energy("cap", f"rapl.{domain}.energy")
            self.assertEqual((row["wraps"], row["resets"]), (1, 0), domain)

    def check_perf_readings(self):
        # Counted since the events were opened, so against the first reading: as exact as that one's own duration.
        truth = self.truth("perf")
        for domain in DOMAINS:
            rows = self.samples("perf", f"rapl.{domain}.energy_j")
            first_begin, first_end, first = rows[0]
            for begin, end, joules in rows[1:]:
                least = truth.joules(domain, begin) - truth.joules(domain, first_end) - PERF_STEP_J
                most = truth.joules(domain, end) - truth.joules(domain, first_begin) + PERF_STEP_J
                self.assertLessEqual(least - 1e-9, joules - first, domain)
                self.assertGreaterEqual(most + 1e-9, joules - first, domain)

    def check_perf_joules(self):
        for domain in DOMAINS:
            self.check_bound("perf", domain, PERF_STEP_J, UPDATE_NS)


class Joules(JouleChecks):
    def test_powercap_zones_are_found_with_what_contains_what(self):
        sensor = self.sensor("cap", "rapl")
        self.assertEqual(sensor["state"], "ready")
        self.assertEqual(sensor["unavailable"], [])
        channels = {c["domain"]: c for c in sensor["channels"]}
        self.assertEqual(set(channels), set(DOMAINS))
        self.assertEqual(channels["core-0"].get("part_of"), "rapl.package-0.energy")
        self.assertNotIn("part_of", channels["package-0"])
        self.assertNotIn("part_of", channels["dram-0"])
        for channel in channels.values():
            self.assertAlmostEqual(channel["wraps_at"], REGISTER_J, places=6)

    def test_what_was_recorded_is_the_last_reading_minus_the_first(self):
        for domain in DOMAINS:
            readings = [v for _, _, v in self.samples("cap", f"rapl.{domain}.energy_j")]
            row = self.energy("cap", f"rapl.{domain}.energy")
            self.assertAlmostEqual(row["ledger"]["recorded_j"], readings[-1] - readings[0] + row["wraps"] * REGISTER_J, places=6)

    def test_the_machine_is_package_and_memory_and_cores_are_not_counted_twice(self):
        truth = self.truth("cap")
        begin, end = self.window("cap")
        drawn = sum(truth.joules(d, end) - truth.joules(d, begin) for d in ("package-0", "dram-0"))
        headline = json.loads(self.text("cap.show"))["headline"]
        self.assertLessEqual(headline["low_j"], drawn)
        self.assertGreaterEqual(headline["high_j"], drawn)
        self.assertEqual(headline["origin"], "measured")

    def test_joules_are_denied_to_others_than_root_by_the_kernel_and_prony_says_what_allows_them(self):
        sensor = {s["name"]: s for s in json.loads(self.text("cap.denied"))["sensors"]}["rapl"]
        self.assertEqual(sensor["state"], "denied")
        self.assertEqual(sensor["channels"], [])
        for entry in sensor["unavailable"]:
            self.assertIn("ermission denied", entry["reason"])
            self.assertTrue(entry["remedy"])

    def test_thermal_zone_in_degrees(self):
        readings = [v for _, _, v in self.samples("cap", "thermal.x86_pkg_temp.temperature_celsius")]
        self.assertEqual((readings[0], readings[-1]), (45.0, 65.5))
        self.assertLessEqual(set(readings), {45.0, 65.5})

    def test_the_perf_core_is_preferred_to_powercap_and_gives_64_bits(self):
        sensor = self.sensor("perf", "rapl")
        self.assertEqual(sensor["state"], "ready")
        channels = {c["domain"]: c for c in sensor["channels"]}
        self.assertEqual(set(channels), set(DOMAINS))  # the zones of powercap show the same joules: not a second time
        self.assertEqual(channels["core-0"].get("part_of"), "rapl.package-0.energy")
        for channel in channels.values():
            self.assertNotIn("wraps_at", channel)
            self.assertNotIn("intel-rapl", channel["device"])

    def test_every_powercap_reading_lies_between_the_truth_at_its_begin_and_at_its_end(self):
        self.check_powercap_readings()

    def test_every_perf_reading_lies_between_the_truth_at_its_begin_and_at_its_end(self):
        self.check_perf_readings()

    def test_powercap_joules_through_a_wrap_and_power_steps_contain_the_truth(self):
        self.check_powercap_joules()

    def test_perf_joules_through_power_steps_contain_the_truth(self):
        self.check_perf_joules()


class Controls(JouleChecks):
    """The checks above, held against a truth that is a little false: each must fail. What does not see this proves nothing."""

    def test_a_small_error_of_a_powercap_reading_or_its_stamps_would_be_seen(self):
        for self.falsified in ({"factor": 1.001}, {"factor": 0.999}, {"shift_ns": 3_000_000}, {"shift_ns": -3_000_000}):
            with self.assertRaises(AssertionError, msg=str(self.falsified)):
                self.check_powercap_readings()

    def test_a_small_error_of_a_perf_reading_or_its_stamps_would_be_seen(self):
        for self.falsified in ({"factor": 1.001}, {"factor": 0.999}, {"shift_ns": 3_000_000}, {"shift_ns": -3_000_000}):
            with self.assertRaises(AssertionError, msg=str(self.falsified)):
                self.check_perf_readings()

    def test_an_error_of_a_hundredth_of_the_joules_by_powercap_would_be_seen(self):
        for self.falsified in ({"factor": 1.01}, {"factor": 0.99}):
            with self.assertRaises(AssertionError, msg=str(self.falsified)):
                self.check_powercap_joules()

    def test_an_error_of_a_hundredth_of_the_joules_by_perf_would_be_seen(self):
        for self.falsified in ({"factor": 1.01}, {"factor": 0.99}):
            with self.assertRaises(AssertionError, msg=str(self.falsified)):
                self.check_perf_joules()


class Battery(Guest):
    machine = "x86_64"

    def test_the_hwmon_twin_of_a_battery_is_no_rail(self):
        self.assertIn("POWER_SUPPLY_STATUS=Discharging", self.text("battery.files"))
        names = [n for n in self.channels("battery", "hwmon") if "battery" in n]
        self.assertEqual(names, [])

    def test_a_battery_draws_volts_times_amperes_and_takes_them_back_while_it_charges(self):
        # 12.6 V; 1.5 A out, later 2 A in. The driver writes sizes without a sign: the sign is its status.
        channel = self.channels("battery", "power_supply")["power_supply.test_battery.power"]
        self.assertEqual(channel["origin"], "derived")
        self.assertFalse(channel["coverage_known"])
        watts = [v for _, _, v in self.samples("battery", "power_supply.test_battery.power_w")]
        self.assertAlmostEqual(watts[0], 12.6 * 1.5, places=9)
        self.assertAlmostEqual(watts[-1], -12.6 * 2.0, places=9)

    def test_the_charge_of_a_battery_is_a_fraction(self):
        rows = self.samples("battery", "power_supply.test_battery.charge_1")
        self.assertEqual({v for _, _, v in rows}, {0.77})

    def test_unplugging_and_charging_are_events_of_the_run(self):
        events = json.loads(self.text("battery.show"))["events"]
        words = {(e["kind"], e["subject"], e["text"].lower()) for e in events}
        self.assertTrue(any(kind == "power-supply" and "test_battery" in subject and "charging" in text
                            for kind, subject, text in words), words)
        self.assertTrue(any(kind == "power-supply" and "test_ac" in subject for kind, subject, _ in words), words)


class Mailbox(Guest):
    machine = "x86_64"

    def test_what_the_firmware_says_comes_through_a_real_control_call(self):
        for column, before, after in (("soc.temperature_celsius", 55.5, 61.3), ("arm.frequency_hz", 1.8e9, 0.6e9),
                                      ("throttled.reasons_count", 0, 1)):
            values = [round(v, 6) for _, _, v in self.samples("mailbox", "raspberry." + column)]
            self.assertEqual((values[0], values[-1], set(values)), (before, after, {before, after}), column)
        self.assertIn("none → soft temperature limit", str(json.loads(self.text("mailbox.show"))["events"]))
        self.assertIn("it says: Command not registered", str(self.sensor("mailbox", "raspberry")["unavailable"]))


if __name__ == "__main__":
    native, cross = sys.argv[1:3]
    PROGRAMS.update(x86_64=native, aarch64=cross, jetson=cross, pi5=cross)
    boot_all()
    unittest.main(verbosity=2, argv=sys.argv[:1] + sys.argv[3:])
