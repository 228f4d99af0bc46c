"""Plugs of TP-Link whose firmware answers only behind KLAP: their joules against truth, both forms of the handshake, and all
the ways in which it is refused. python-kasa speaks to the same plug, where it can be had: what it understands is what Prony
must understand.

Kills: a handshake of one form taken for the other, a sequence number that does not count on, an answer opened with the key
of an older session, user and password sent or told, a plug of a newer firmware that is "not there".
"""

import json
import os
import subprocess
import sys
import unittest

import harness
from harness import energy, needs_root
from test_meter import MeterCase

sys.path.insert(0, os.path.join(harness.HERE, "../rigs"))
from fake_klap import KINDS, FakeKlap, why_not  # noqa: E402
from fake_plug import Power  # noqa: E402

USER, PASSWORD = "Some.Body+plug@example.org", "hünter2 is no word"


@unittest.skipIf(why_not(), why_not())
class Klap(MeterCase):
    def plug(self, kind="tapo", **options):
        plug = FakeKlap(kind, **options)
        self.addCleanup(plug.close)
        return plug

    def account(self, password=PASSWORD.replace(" ", "")):
        with open(self.path("login"), "w", encoding="utf-8") as file:
            file.write(f"machine 127.0.0.1 login {USER} password {password}\n")
        os.chmod(self.path("login"), 0o600)
        return "#login=" + self.path("login")

    def owned(self, kind="tapo", **options):
        return self.plug(kind, user=USER, password=PASSWORD.replace(" ", ""), **options)

    def listed(self, meter):
        rows = json.loads(self.prony("sensors", "--meter", meter, "--json").out)["sensors"]
        return next(s for s in rows if s["name"] == "plug")

    def test_every_kind_tells_the_joules_that_it_gave(self):
        for kind in KINDS:
            with self.subTest(kind):
                plug = self.owned(kind, power=Power(100, 20, 7))
                summary = self.record(["sleep", "6"], "--meter", plug.url + self.account(), "--force")
                row = energy(summary, "plug.wall.power")
                truth_j = plug.joules(*self.window_s())
                self.assert_truth_inside(row, truth_j)
                self.assertLess(abs(row["gross_j"] - truth_j), 0.08 * truth_j)
                self.assertEqual(plug.handshakes, 1)  # one session for all of it
                channels = [c["channel"] for c in self.table("x.prony", "channels") if c["channel"].startswith("plug.")]
                counts = ["plug.wall.energy"] if kind.startswith("kasa") else []  # of Tapo none that goes on at midnight
                self.assertEqual(channels, ["plug.wall.power", *counts])

    def test_http_finds_out_and_a_plug_without_an_account_wants_no_password(self):
        for kind in ("tapo", "kasa"):
            plug = self.plug(kind)
            row = self.listed(f"http://127.0.0.1:{plug.port}")
            self.assertEqual(row["state"], "ready", row)
            self.assertIn("behind KLAP", row["channels"][0]["device"])

    def test_a_session_that_ends_is_made_anew_and_no_reading_is_lost(self):
        plug = self.owned()
        plug.fault = "once"
        self.record(["sleep", "4"], "--meter", plug.url + self.account(), "--force")
        self.assertGreater(plug.handshakes, 3)
        self.assertEqual(self.rows("SELECT count(*) FROM event WHERE kind = 'sensor-lost'"), [(0,)])

    def test_a_wrong_password_or_none_is_told_with_what_to_write_and_stands_nowhere(self):
        plug = self.owned()
        for meter, words in ((plug.url, "wants a user and a password"),
                             (plug.url + self.account("wrong1"), "user or password is refused")):
            done = self.prony("run", "--force", "--out", self.path("w.prony"), "--meter", meter, "--", "true")
            said = " ".join(done.err.split())
            self.assertEqual(done.returncode, 0, said)
            self.assertIn(words, said)
            self.assertIn("#login=FILE", said)
            self.assertNotIn("wrong1", said)
            with open(self.path("w.prony"), "rb") as file:
                self.assertNotIn(b"wrong1", file.read())
        self.assertEqual(plug.asked, [])

    def test_a_firmware_that_wants_a_newer_protocol_is_told_in_words_with_what_helps(self):
        plug = self.owned()
        plug.fault = "newer"
        for scheme in ("tapo", "http"):
            said = " ".join(self.prony("sensors", "--meter", f"{scheme}://127.0.0.1:{plug.port}").out.split())
            self.assertIn("newer protocol (TPAP)", said)
            self.assertIn("Third-Party Compatibility", said)

    def test_faults_are_told_and_the_run_goes_on(self):
        for fault, words in (("hang", "no answer in time"), ("rubbish", "does not speak KLAP")):
            plug = self.owned()
            plug.fault = fault
            done = self.prony("run", "--force", "--out", self.path("x.prony"), "--meter", plug.url, "--", "sh", "-c", "exit 6")
            self.assertEqual(done.returncode, 6, done.err)
            self.assertIn(words, done.err)

    @needs_root
    def test_a_kasa_whose_old_port_is_shut_is_asked_behind_klap(self):
        try:
            plug = self.plug("kasa", host="127.0.0.2", port=80)
        except OSError as error:
            self.skipTest(f"port 80 of 127.0.0.2 is not to be had: {error}")
        row = self.listed("kasa://127.0.0.2")
        self.assertEqual(row["state"], "ready", row)
        self.assertEqual(plug.asked[0], {"emeter": {"get_realtime": {}}})

    def test_python_kasa_understands_the_same_plug_and_tells_the_same_watts(self):
        python = os.environ.get("PRONY_KASA_PYTHON", sys.executable)
        if subprocess.run([python, "-c", "import kasa"], capture_output=True, check=False).returncode != 0:
            self.skipTest("python-kasa is not installed (pip install python-kasa; PRONY_KASA_PYTHON names a Python that has it)")
        program = ("import asyncio, sys, json\n"
                   "from kasa import Credentials, DeviceConfig, DeviceConnectionParameters as P, DeviceEncryptionType as E,"
                   " DeviceFamily as F\n"
                   "from kasa.protocols import IotProtocol, SmartProtocol\n"
                   "from kasa.transports import KlapTransport, KlapTransportV2\n"
                   "kind, port, user, password = sys.argv[1:]\n"
                   "smart = kind.startswith('tapo')\n"
                   "config = DeviceConfig('127.0.0.1', credentials=Credentials(user, password), connection_type=P(\n"
                   "    F.SmartTapoPlug if smart else F.IotSmartPlugSwitch, E.Klap, http_port=int(port)))\n"
                   "async def main():\n"
                   "    transport = (KlapTransport if kind == 'kasa' else KlapTransportV2)(config=config)\n"
                   "    protocol = (SmartProtocol if smart else IotProtocol)(transport=transport)\n"
                   "    try:\n"
                   "        for _ in range(3):\n"
                   "            told = await protocol.query({'get_energy_usage': None} if smart else"
                   " {'emeter': {'get_realtime': {}}})\n"
                   "        print(json.dumps(told))\n"
                   "    finally:\n"
                   "        await protocol.close()\n"
                   "asyncio.run(main())\n")
        for kind in KINDS:
            with self.subTest(kind):
                plug = self.owned(kind, power=Power(123.456, 0))
                done = subprocess.run([python, "-c", program, kind, str(plug.port), USER, PASSWORD.replace(" ", "")],
                                      capture_output=True, text=True, check=False, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                told = json.loads(done.stdout)
                theirs = (told["get_energy_usage"]["current_power"] if kind.startswith("tapo")
                          else told["emeter"]["get_realtime"]["power_mw"])
                self.assertEqual(theirs, 123456)
                self.record(["sleep", "2"], "--meter", plug.url + self.account(), "--force")
                ours = self.rows("SELECT DISTINCT raw FROM sample JOIN channel ON channel_id = id WHERE name = "
                                 "'plug.wall.power' AND quality = 'ok'")
                self.assertEqual(ours, [(theirs,)])


if __name__ == "__main__":
    harness.main()
