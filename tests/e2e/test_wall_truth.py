"""Meters at the wall over windows that are long enough for them: joules against truth, through TLS, and as pages of the
manual say that they are read.

Kills: kilowatt-hours taken for watt-hours, a counter that is read once, a value that is seconds old taken for one of now,
a plug's certificate that nobody looks at, hundredths of a watt taken for watts.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time

import harness
from harness import energy
from test_meter import MeterCase

sys.path.insert(0, os.path.join(harness.HERE, "../rigs"))
from fake_plug import FakePlug, Power  # noqa: E402
from fake_redfish import FakeRedfish, make_certificate  # noqa: E402


class LongWindows(MeterCase):
    def test_a_bmc_whose_values_are_seconds_old_tells_the_joules_of_a_long_window_and_its_counter_agrees(self):
        # 30 kW: in a minute a counter of 0.001 kWh moves as one of a real server does in hours.
        with FakeRedfish(power=Power(30_000, 6_000, 17), renews_s=4) as bmc:
            summary = self.record(["sleep", "72"], "--meter", "bmc=" + bmc.url, "--force")
        truth_j = bmc.joules(*self.window_s())
        power, counter = energy(summary, "redfish.bmc.power"), energy(summary, "redfish.bmc.energy")
        for row in (power, counter):
            self.assertTrue(row["resolvable"], row)
            self.assert_truth_inside(row, truth_j)
            self.assertLess(row["high_j"] - row["low_j"], truth_j, row)  # a range, and no shrug
        self.assertLess(abs(counter["gross_j"] - truth_j), 0.2 * truth_j)
        self.assertTrue(power["headline"])
        self.assertFalse(counter["headline"])  # the same joules again
        readings = self.rows("SELECT raw * scale FROM sample JOIN channel ON channel_id = id WHERE name = "
                             "'redfish.bmc.energy' AND quality = 'ok' ORDER BY begin_ns")
        values = [value for (value,) in readings]
        self.assertEqual(values, sorted(values))
        self.assertGreaterEqual(len(set(values)), 10)  # it was renewed a dozen times
        self.assertAlmostEqual(counter["ledger"]["recorded_j"], values[-1] - values[0], delta=4)
        self.assertEqual((counter["wraps"], counter["resets"]), (0, 0))


class Certificates(MeterCase):
    def test_plugs_over_tls_tell_their_joules_where_the_certificate_holds_and_nothing_where_it_does_not(self):
        tls = make_certificate(self.folder)
        if tls is None:
            self.skipTest("openssl cannot make a certificate here")
        for kind in ("shelly1", "shelly2", "tasmota"):
            with self.subTest(kind), FakePlug(kind, power=Power(100, 20, 7), tls=tls) as plug:
                self.assertIn("+https://", plug.url)
                said = " ".join(self.prony("sensors", "--meter", plug.url).out.split())
                self.assertIn("certificate does not hold", said)
                self.assertIn("#ca=FILE", said)
                self.assertEqual(plug.paths, [])  # nothing was asked, so no password was sent
                summary = self.record(["sleep", "5"], "--meter", f"{plug.url}#ca={tls[0]}", "--force")
                row = energy(summary, "plug.wall.power")
                self.assert_truth_inside(row, plug.joules(*self.window_s()))
                listed = json.loads(self.prony("sensors", "--meter", plug.url + "#insecure", "--json").out)
                self.assertEqual(next(s for s in listed["sensors"] if s["name"] == "plug")["state"], "ready")


class Chip:
    """An MCP39F511N at the other end of a pty: frames and registers as the data sheet has them, constructed, not recorded.
    Now and then its answer's sum is wrong, and bytes of nobody stand before it."""

    def __init__(self, watts):
        self.watts, self.questions, self.refused = watts, 0, 0
        self.ours, self.theirs = os.openpty()
        self.device = os.ttyname(self.theirs)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        heard = b""
        while True:
            try:
                heard += os.read(self.ours, 64)
            except OSError:
                return
            while len(heard) >= 2 and len(heard) >= heard[1] >= 3:
                question, heard = heard[:heard[1]], heard[heard[1]:]
                try:
                    os.write(self.ours, self.answer(question))
                except OSError:
                    return

    def answer(self, question):
        self.questions += 1
        if question[0] != 0xA5 or sum(question[:-1]) & 0xFF != question[-1]:
            self.refused += 1
            return b"\x51"
        if question[:-1] != bytes.fromhex("a5084100164e08"):  # set the address 0x0016, read 8 bytes
            self.refused += 1
            return b"\x15"
        watts = self.watts(time.monotonic())
        left, right = round(watts * 25), round(watts * 75)  # hundredths of a watt of a quarter and of the rest
        data = b"\x06\x0b" + left.to_bytes(4, "little") + right.to_bytes(4, "little")
        total = sum(data) & 0xFF
        return data + bytes([total ^ 1 if self.questions % 7 == 0 else total])

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


class Mcp39f511n(MeterCase):
    def test_the_example_of_the_page_tells_the_joules_of_a_chip_that_answers_as_its_data_sheet_says(self):
        with open(os.path.join(harness.ROOT, "docs/sensors/line-meter.md"), encoding="utf-8") as file:
            example, = re.findall(r"--meter '(exec:python3 examples/mcp39f511n\.py \S+?#\S+)'", file.read())
        power = Power(100, 20, 5)
        chip = Chip(power.watts)
        self.addCleanup(chip.close)
        meter = example.replace("examples/", harness.ROOT + "/examples/").replace("python3", sys.executable)
        meter = re.sub(r"/dev/tty\w+", chip.device + " 0.03", meter)
        summary = self.record(["sleep", "5"], "--meter", meter, "--force")
        row = energy(summary, "line-meter.wall.power")
        truth_j = power.joules(*self.window_s())
        self.assert_truth_inside(row, truth_j)
        self.assertLess(abs(row["gross_j"] - truth_j), 0.05 * truth_j)
        self.assertGreater(chip.questions, 20)
        self.assertEqual(chip.refused, 0)

    def test_a_port_that_is_no_such_chip_is_told(self):
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        threading.Thread(target=lambda: [os.write(ours, b"hello\r\n") or time.sleep(0.05) for _ in range(200)],
                         daemon=True).start()
        program = os.path.join(harness.ROOT, "examples/mcp39f511n.py")
        done = subprocess.run([sys.executable, program, os.ttyname(theirs), "0"], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("nothing that an MCP39F511N answers", done.stderr)


if __name__ == "__main__":
    harness.main()
