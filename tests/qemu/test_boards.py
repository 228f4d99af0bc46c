"""Boards, played by a device tree and by a firmware: what Prony says of their rails, held against registers and texts."""

import json
import re

import rig
from guests import Guest


class Jetson(Guest):
    """Rails that get their names and shunts from a device tree, against the registers that guest/jetson.sh writes."""

    machine = "jetson"
    LABELS = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
    CHANNELS = tuple(f"hwmon.ina3221.{label}.power" for label in LABELS)
    SHUNT_OHMS = 0.005  # jetson.dts

    def registers(self):
        """{register: [each value that was written, in order]}"""
        written = {}
        with open(rig.HERE + "/guest/jetson.sh", encoding="utf-8") as file:
            for register, value in re.findall(r"\bwrite (0x\w+) (0x\w+)", file.read()):
                written.setdefault(int(register, 16), []).append(int(value, 16))
        return written

    def watts(self, input_number, step=0):
        """By the data sheet: 8 mV and 40 uV in bits 3 to 15; the driver tells whole mV and mA."""
        shunt, bus = (self.registers()[2 * input_number - 1 + i] for i in (0, 1))
        milliamperes = (shunt[min(step, len(shunt) - 1)] >> 3) * 40e-6 / self.SHUNT_OHMS * 1e3
        return (bus[min(step, len(bus) - 1)] >> 3) * 8e-3 * round(milliamperes) * 1e-3

    def file(self, name, end):
        return next(line.split(": ", 1)[1] for line in self.text(name).splitlines() if line.split(": ")[0].endswith(end))

    def test_the_kernel_has_labels_and_shunts_out_of_the_tree(self):
        for number, label in enumerate(self.LABELS, 1):
            self.assertEqual(self.file("jetson.files", f"/in{number}_label"), label)
            self.assertEqual(self.file("jetson.files", f"/shunt{number}_resistor"), "5000")  # its own would be 10000
        self.assertEqual((self.file("jetson.files", "/samples"), self.file("jetson.files", "/update_interval")), ("1", "7"))

    def test_rails_are_known_by_label_and_which_of_them_is_the_whole(self):
        channels = {n: c for n, c in self.channels("jetson", "hwmon").items() if ".ina3221." in n}
        self.assertEqual(tuple(channels), self.CHANNELS)
        self.assertNotIn("part_of", channels[self.CHANNELS[0]])
        for name in self.CHANNELS[1:]:
            self.assertEqual(channels[name]["part_of"], self.CHANNELS[0])
        self.assertTrue(all(c["coverage_known"] for c in channels.values()))
        machine = json.loads(self.text("jetson.show"))["machine"]
        self.assertEqual((machine["module"], machine["rails_cover"]),
                         ("Jetson Orin Nano / NX", "the module, without its carrier board"))

    def test_each_reading_is_what_stands_in_the_registers(self):
        self.check_step("jetson", self.CHANNELS[0] + "_w", self.watts(1), self.watts(1, 1), "jetson.current")
        for number, name in enumerate(self.CHANNELS[1:], 2):
            for _, _, watts in self.samples("jetson", name + "_w"):
                self.assertAlmostEqual(watts, self.watts(number), places=9)
        self.assertEqual(len({round(w, 9) for w in (self.watts(1), self.watts(1, 1), self.watts(2), self.watts(3))}), 4)

    def test_the_step_of_a_rail_is_that_of_its_shunt(self):
        for number, name in enumerate(self.CHANNELS, 1):
            volts = (self.registers()[2 * number][0] >> 3) * 8e-3
            self.assertAlmostEqual(self.channels("jetson", "hwmon")[name]["step"], volts * 40e-6 / self.SHUNT_OHMS, places=9)

    def test_joules_contain_what_was_drawn_and_the_parts_are_not_added_to_the_whole(self):
        begin, end = map(int, self.text("jetson.current").split())
        first, last = self.window("jetson")
        drawn = [(self.watts(1) * (at - first) + self.watts(1, 1) * (last - at)) * 1e-9 for at in (begin, end)]
        row = self.energy("jetson", self.CHANNELS[0])
        self.assertLessEqual(row["low_j"], max(drawn))
        self.assertGreaterEqual(row["high_j"], min(drawn))
        self.assertLess(row["high_j"] - row["low_j"], 0.2 * row["gross_j"])
        self.assertEqual(json.loads(self.text("jetson.show"))["headline"]["gross_j"], row["gross_j"])
        for number, name in enumerate(self.CHANNELS[1:], 2):
            row, truth = self.energy("jetson", name), self.watts(number) * (last - first) * 1e-9
            self.assertTrue(row["low_j"] <= truth <= row["high_j"], row)
            self.assertFalse(row["headline"])

    def test_a_mean_of_16_conversions_is_told_as_long_as_16_conversions_take(self):
        # The driver goes on showing what one takes, against its document: taken for all of it, the doubt is 16 times too small.
        plain, mean = self.channels("jetson", "hwmon")[self.CHANNELS[0]], self.channels("averaged", "hwmon")[self.CHANNELS[0]]
        self.assertEqual(plain["update_period_ns"], 7_000_000)
        self.assertNotIn("averaging_window_ns", plain)
        self.assertEqual(self.file("averaged.files", "/samples"), "16")
        shown_ms = int(self.file("averaged.files", "/update_interval"))
        conversions_ns = 16 * 3 * 2 * 1_100_000  # 16 × inputs × (bus + shunt), register 0x7127 of the data sheet
        self.assertIn(shown_ms, (7, round(conversions_ns * 1e-6)))
        for told in (mean["update_period_ns"], mean["averaging_window_ns"]):
            self.assertAlmostEqual(told, conversions_ns, delta=0.1 * conversions_ns)

    def test_without_the_input_that_is_the_whole_nobody_claims_to_know_it(self):
        channels = {n: c for n, c in self.channels("partial", "hwmon").items() if ".ina3221." in n}
        self.assertEqual(tuple(channels), self.CHANNELS[1:])
        for channel in channels.values():
            self.assertFalse(channel["coverage_known"])
            self.assertNotIn("part_of", channel)
        self.assertIn("of a Jetson Orin Nano / NX it is VDD_IN", str(self.sensor("partial", "hwmon")["unavailable"]))


class RaspberryPi5(Guest):
    """The firmware's texts of guest/pi5.sh, through the control call of a real kernel."""

    machine = "pi5"

    def rails(self, when):
        """{rail: watts} of the text that the firmware gave, paired by name here too, but by other code."""
        found = re.findall(r"(\S+)_([AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]", self.text(when))
        sides = {side: {name: float(number) for name, s, number in found if s == side} for side in "AV"}
        self.assertEqual((len(sides["A"]), len(sides["V"])), (12, 14))
        return {name: amperes * sides["V"][name] for name, amperes in sides["A"].items()}

    def column(self, rail):
        return f"raspberry.{rail}.power_w"

    def values(self, rail):
        rows = self.samples("pi5", self.column(rail))
        return rows[0][2], rows[-1][2]

    def test_twelve_rails_are_paired_by_name(self):
        before, after = self.rails("pi5.before"), self.rails("pi5.after")
        for name in before:
            first, last = self.values(name.lower().replace("_", "-").replace("vdd-core", "core"))
            self.assertAlmostEqual(first, before[name], places=5, msg=name)
            self.assertAlmostEqual(last, after[name], places=5, msg=name)
        self.assertEqual(len({round(w, 5) for w in before.values()}), 12)  # no two alike: none can stand for another

    def test_the_sum_is_that_of_all_twelve_and_memory_that_of_its_two(self):
        for when, place in (("pi5.before", 0), ("pi5.after", 1)):
            rails = self.rails(when)
            self.assertAlmostEqual(self.values("rails")[place], sum(rails.values()), places=4)
            self.assertAlmostEqual(self.values("dram")[place], rails["DDR_VDD2"] + rails["DDR_VDDQ"], places=5)
        channels = self.channels("pi5", "raspberry")
        self.assertEqual(channels["raspberry.core.power"]["part_of"], "raspberry.rails.power")
        self.assertEqual(channels["raspberry.ddr-vdd2.power"]["part_of"], "raspberry.dram.power")
        self.assertEqual(channels["raspberry.dram.power"]["part_of"], "raspberry.rails.power")
        self.assertNotIn("raspberry.ext5v.power", channels)  # a voltage without a current
        self.assertIn("raspberry.ext5v.voltage", channels)

    def test_joules_of_all_rails_contain_what_the_texts_drew_and_are_the_headline(self):
        # The step is known to the hundredth of a second that the guest's clock is written with.
        begin, end = map(int, self.text("pi5.step").split())
        first, last = self.window("pi5")
        watts = [sum(self.rails(when).values()) for when in ("pi5.before", "pi5.after")]
        drawn = [(watts[0] * (at - first) + watts[1] * (last - at)) * 1e-9 for at in (begin, end + 10_000_000)]
        row = self.energy("pi5", "raspberry.rails.power")
        self.assertLessEqual(row["low_j"], max(drawn))
        self.assertGreaterEqual(row["high_j"], min(drawn))
        self.assertEqual(json.loads(self.text("pi5.show"))["headline"]["gross_j"], row["gross_j"])

    def test_what_holds_it_back_now_and_what_did_since_it_began_are_told_apart(self):
        reasons = [v for _, _, v in self.samples("pi5", "raspberry.throttled.reasons_count")]
        self.assertEqual((reasons[0], reasons[-1]), (0, 1))  # 0x80000: a limit of before, not of now; 0x90001: under-voltage
        show = json.loads(self.text("pi5.show"))
        self.assertEqual(show["machine"]["held_back_since_boot"], "soft temperature limit")
        texts = [e["text"] for e in show["events"] if e["subject"] == "raspberry.throttled"]
        self.assertEqual(len(texts), 1, texts)
        self.assertIn("none → under-voltage", texts[0])

    def test_the_board_is_known_by_its_revision_and_tells_temperature_and_clock(self):
        machine = json.loads(self.text("pi5.show"))["machine"]
        self.assertIn("Raspberry Pi 5 Model B, revision 1.0, 8 GiB", machine["board_revision"])
        for column, before, after in (("soc.temperature_celsius", 55.5, 61.3), ("arm.frequency_hz", 1.5e9, 2.4e9)):
            values = [round(v, 6) for _, _, v in self.samples("pi5", "raspberry." + column)]
            self.assertEqual((values[0], values[-1], set(values)), (before, after, {before, after}), column)
