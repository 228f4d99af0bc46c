"""The machine's part in a study: its settings in force in each run and as before at the end, and how hot it may be to begin."""

import os
import signal
import time

import harness
from test_study import StudyCase


class Machine(StudyCase):
    TEXT = """
[study]
stop-after = 1
[base]
command = ["sh", "-c", "cat knob >> seen; {do}"]
vars.do = "true"
sensors = "cpu-model"
[sweep]
machine.cap = [150, 250]
[machine.cap]
get = "cat knob"
set = "echo {value} > knob"
"""

    def setUp(self):
        super().setUp()
        self.file("400\n", "knob")

    def knob(self):
        with open(self.path("knob"), encoding="utf-8") as file:
            return file.read().strip()

    def test_a_command_for_the_machine_that_hangs_ends_with_the_study(self):
        """By a signal, and what it had begun to set is as before."""
        text = self.TEXT.replace('set = "echo {value} > knob"', 'set = "echo {value} > knob; touch begun; sleep 55"\nrestore = "echo {before} > knob"')
        child = self.start(self.file(text), "--out", "out")
        for _ in range(300):
            if os.path.exists(self.path("begun")):
                break
            time.sleep(0.1)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(40), 128 + signal.SIGINT)
        self.assertLess(time.monotonic() - began, 30)  # not the minute that such a command may take
        self.assertEqual(self.knob(), "400")
        run = self.manifest()["runs"][0]
        self.assertEqual([a["status"] for a in run["attempts"]], ["interrupted"])
        self.assertIn("was ended by signal 2", run["attempts"][0]["reason"])
        self.assert_nobody_runs("sleep\0" + "55")

    def test_settings_are_in_force_in_each_run_and_put_back_at_the_end(self):
        self.study(self.file(self.TEXT), "--out", "out")
        with open(self.path("seen"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["150", "250"])
        self.assertEqual(self.knob(), "400")
        self.assertEqual(self.manifest()["machine_before"], {})

    def test_what_the_machine_does_not_take_fails_the_run_and_is_never_measured(self):
        self.study(self.file(self.TEXT.replace("echo {value} > knob", "true {value}")), "--out", "out", code=1)
        self.assertIn("in force is 400", self.manifest()["runs"][0]["attempts"][0]["reason"])
        self.assertFalse(os.path.exists(self.path("seen")))

    def test_after_kill_9_restore_puts_the_machine_back(self):
        child = self.start(self.file(self.TEXT.replace('"true"', '"sleep 60"')), "--out", "out")
        for _ in range(600):
            if os.path.exists(self.path("seen")):
                break
            time.sleep(0.05)
        child.kill()
        child.wait()
        self.assertEqual(self.knob(), "150")
        self.assertEqual(self.manifest()["machine_before"], {"cap": "400"})
        self.assertIn("1 setting is as before", self.study("--restore", "out").out)
        self.assertEqual(self.knob(), "400")
        self.assertIn("nothing to put back", self.study("--restore", "out").out)

    def test_the_machine_is_put_back_also_where_the_studys_runs_are_not_possible_any_more(self):
        """A file that they read is gone: that is an error of going on, and none of putting back."""
        text = ('[base]\nmodel = "m"\nprompts = "p.jsonl"\n[sweep]\nmachine.cap = [150, 250]\n[machine.cap]\nget = "cat knob"\n'
                'set = "echo {value} > knob; touch begun; exec sleep 50"\nrestore = "echo {before} > knob"\n')
        self.file('{"id": "a", "prompt": "b"}\n', "p.jsonl")
        child = self.start(self.file(text), "--out", "out")
        for _ in range(600):
            if os.path.exists(self.path("begun")):
                break
            time.sleep(0.05)
        child.kill()
        child.wait()
        self.assertEqual(self.knob(), "150")
        os.remove(self.path("p.jsonl"))
        self.assertIn("p.jsonl", self.study("--resume", "out", code=125).err)
        self.assertIn("1 setting is as before", self.study("--restore", "out").out)
        self.assertEqual(self.knob(), "400")

    def test_a_set_that_names_its_value_twice_puts_back_what_was_before_in_both_places(self):
        self.study(self.file(self.TEXT.replace("echo {value} > knob", "echo {value} > other; echo {value} > knob")), "--out", "out")
        self.assertEqual(self.knob(), "400")
        with open(self.path("other"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "400\n")

    def test_a_setting_that_is_not_as_before_stays_on_the_list_and_the_study_fails_while_others_are_put_back(self):
        more = 'restore = "true"\n[machine.fan]\nget = "cat fan"\nset = "echo {value} > fan"\n'
        self.file("10\n", "fan")
        text = self.TEXT.replace("machine.cap = [150, 250]", "machine.cap = [250]\nmachine.fan = [20]") + more
        done = self.study(self.file(text), "--out", "out", code=125)
        self.assertIn("before the study it was 400, in force is 250", done.err)
        self.assertEqual(self.manifest()["machine_before"], {"cap": "400"})
        with open(self.path("fan"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "10\n")
        self.assertIn("in force is 250", self.study("--restore", "out", code=125).err)
        self.file("400\n", "knob")
        self.assertIn("1 setting is as before", self.study("--restore", "out").out)

    def test_a_setting_of_which_nothing_tells_what_it_was_is_not_set(self):
        self.study(self.file(self.TEXT.replace("cat knob\"", "true\"")), "--out", "out", code=1)
        self.assertIn("its get prints nothing", self.manifest()["runs"][0]["attempts"][0]["reason"])
        self.assertEqual(self.knob(), "400")

    def test_a_number_that_is_told_with_its_unit_is_put_back_without_it(self):
        text = self.TEXT.replace('get = "cat knob"', 'get = "echo $(cat knob).00 W"').replace("echo {value} > knob", "printf %.0f {value} > knob")
        self.study(self.file(text), "--out", "out")
        self.assertEqual(self.knob(), "400")

    def test_an_interrupt_puts_the_machine_back_before_the_study_ends(self):
        child = self.start(self.file(self.TEXT.replace('"true"', '"sleep 60"')), "--out", "out")
        for _ in range(600):
            if os.path.exists(self.path("seen")):
                break
            time.sleep(0.05)
        self.assertEqual(self.knob(), "150")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(), 128 + signal.SIGINT)
        self.assertEqual(self.knob(), "400")
        self.assertEqual(self.manifest()["machine_before"], {})
        self.assertEqual(self.manifest()["status"], "interrupted")


class Gate(StudyCase):
    TEXT = """
[study]
cycles = 1
[gate]
max-temp = 50
limit = "{limit}"
[base]
command = ["true"]
sysfs = "sys"
sensors = "thermal"
"""

    def setUp(self):
        super().setUp()
        zone = self.path("sys/class/thermal/thermal_zone0")
        os.makedirs(zone)
        self.file("cpu-thermal\n", os.path.join(zone, "type"))
        self.thermometer = os.path.join(zone, "temp")

    def test_a_run_waits_until_the_machine_is_cool_and_says_how_long(self):
        self.file("71500\n", self.thermometer)
        child = self.start(self.file(self.TEXT.format(limit="5m")), "--out", "out")
        self.addCleanup(child.kill)
        for _ in range(600):
            if os.path.exists(self.path("out/manifest.json")) and self.manifest()["runs"][0]["attempts"]:
                break
            time.sleep(0.05)
        time.sleep(0.5)
        self.assertEqual(self.manifest()["runs"][0]["attempts"][0]["status"], "running")
        self.assertFalse([name for name in os.listdir(self.path("out/runs")) if name.endswith(".prony")])  # nothing is measured yet
        with open(self.thermometer, "r+", encoding="utf-8") as file:  # in its place, as a thermometer does
            file.write("48000\n")
        self.assertEqual(child.wait(), 0)
        figures = self.manifest()["runs"][0]["attempts"][0]["figures"]
        self.assertEqual(figures["begin_celsius"], 48)
        self.assertGreater(figures["gate_wait_s"], 0)

    def test_a_machine_that_does_not_cool_down_is_a_failed_run_with_that_reason_and_none_is_no_gate(self):
        self.file("71500\n", self.thermometer)
        self.study(self.file(self.TEXT.format(limit="100ms")), "--out", "out", code=1)
        attempt = self.manifest()["runs"][0]["attempts"][0]
        self.assertEqual(attempt["status"], "failed")
        self.assertIn("still 71.5 °C", attempt["reason"])
        os.remove(self.thermometer)
        self.study(self.file(self.TEXT.format(limit="5m")), "--out", "second", code=1)
        self.assertIn("no temperature can be read", self.manifest("second")["runs"][0]["attempts"][0]["reason"])


if __name__ == "__main__":
    harness.main()
