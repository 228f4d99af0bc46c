"""--max-temp and --budget: what is done to a recording while it runs, and how it is told."""

import json
import os
import sys
import textwrap

import harness
from harness import Case

WORKER = textwrap.dedent('''
    import json, sys, time
    thermometer, marker = sys.argv[1], sys.argv[2]
    def say(**message):
        print(json.dumps(message), flush=True)
    say(type="hello", protocol=1, worker="w", version="1", engine="fake", engine_version="1", capabilities=["prompt", "phase"])
    for line in sys.stdin:
        m = json.loads(line)
        if m["type"] == "load":
            say(type="loaded", facts={"model.name": "none"})
        elif m["type"] == "prompt":
            if m["id"] == "p2":
                open(thermometer, "w").write("95500")
                time.sleep(4)  # the slow lane looks once a second
            open(marker, "a").write(m["id"] + " answered\\n")
            say(type="result", id=m["id"], prompt_tokens=1, output_tokens=2, finish="length", ttft_ns=1, decode_ns=1, text="")
        elif m["type"] == "cancel":
            open(marker, "a").write("cancelled\\n")
        elif m["type"] == "stop":
            break
    say(type="bye")
    ''')


class Heated(Case):
    def setUp(self):
        super().setUp()
        zone = self.path("sys/class/thermal/thermal_zone0")
        os.makedirs(zone)
        self.thermometer = os.path.join(zone, "temp")
        self.write(self.thermometer, "41000")
        self.write(os.path.join(zone, "type"), "cpu-thermal")

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class MaxTemp(Heated):
    def run_hot(self, *options, command="sleep 4; echo done", code=0):
        script = f"echo 95500 > {self.thermometer}; {command}"
        done = self.prony("run", "--sysfs", self.path("sys"), "--out", self.path("x.prony"), "--json", self.path("x.json"),
                          *options, "--", "sh", "-c", script)
        self.assertEqual(done.returncode, code, done.err)
        return done, self.load("x.json")

    def events(self, summary, kind):
        return [e for e in summary["events"] if e["kind"] == kind]

    def test_a_command_is_only_told_of_unless_asked(self):
        done, summary = self.run_hot("--max-temp", "90C")
        self.assertIn("done", done.out)
        self.assertEqual([e["subject"] for e in self.events(summary, "temperature-high")], ["thermal.cpu-thermal.temperature"])
        self.assertFalse(self.events(summary, "temperature-stop"))
        self.assertIn("is at 95.5 °C, over 90 °C", done.err)
        self.assertIn("temperature-high", done.err, "in the summary too")

    def test_max_temp_stop_ends_the_command_whose_exit_code_stays_its_own(self):
        done, summary = self.run_hot("--max-temp", "194F", "--max-temp-stop", command="trap 'exit 7' TERM; while :; do sleep 0.1; done", code=7)
        self.assertEqual(len(self.events(summary, "temperature-stop")), 1)
        self.assertIn("SIGTERM", done.err)

    def test_a_cool_command_is_left_alone(self):
        done = self.prony("run", "--sysfs", self.path("sys"), "--max-temp", "363K", "--max-temp-stop", "--out", self.path("x.prony"),
                          "--json", self.path("x.json"), "--", "sleep", "1.5")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertFalse([e for e in self.load("x.json")["events"] if e["kind"].startswith("temperature")])

    def test_the_configuration_file_knows_it_and_a_bad_value_is_told(self):
        config = self.write(self.path("c.toml"), 'max-temp = "90"\n')
        done = self.prony("run", "--config", config, "--sysfs", self.path("sys"), "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("'90' is not a temperature", done.err)
        self.assertEqual(self.prony("run", "--max-temp-stop", "--", "true").returncode, 125)
        self.assertEqual(self.prony("run", "--budget", "0.5", "--", "true").returncode, 125)
        self.assertFalse(os.path.exists(self.path("runs")), "refused before anything was made")

    def test_without_a_thermometer_it_is_refused_and_nothing_runs(self):
        os.makedirs(self.path("empty"))
        marker = self.path("ran")
        done = self.prony("run", "--sysfs", self.path("empty"), "--max-temp", "90C", "--", "touch", marker)
        self.assertEqual(done.returncode, 125)
        self.assertIn("no temperature can be read here", done.err)
        self.assertFalse(os.path.exists(marker))
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_llm_ends_the_request_in_hand_and_begins_no_other(self):
        worker = self.write(self.path("worker.py"), WORKER)
        prompts = self.write(self.path("p.jsonl"), "".join(json.dumps({"prompt": "x", "id": f"p{n}"}) + "\n" for n in range(1, 5)))
        marker = self.path("marker")
        done = self.prony("llm", "--sysfs", self.path("sys"), "--max-temp", "90C", "--prompts", prompts, "--model", "none", "--out",
                          self.path("x.prony"), "--json", self.path("x.json"), "--", sys.executable, worker, self.thermometer, marker)
        self.assertEqual(done.returncode, 1, done.err)
        with open(marker, encoding="utf-8") as file:
            self.assertEqual(file.read().split("\n")[:-1], ["p1 answered", "p2 answered"])
        self.assertIn("2 request(s) not run: p3,p4", done.err)
        self.assertIn("no further request is begun", done.err)
        self.assertEqual(len(self.events(self.load("x.json"), "temperature-stop")), 1)


class Budget(Case):
    def test_a_budget_that_is_too_small_slows_the_lanes_and_the_summary_says_so(self):
        summary = self.record(["sleep", "2"], "--budget", "0.01%", "--interval", "1ms")
        changes = [e for e in summary["events"] if e["kind"] == "interval-changed"]
        self.assertTrue(changes)
        self.assertIn("budget: lane fast slowed to", " ".join(self.summary_text.split()))
        self.assertNotIn("WARNING interval-changed", " ".join(self.summary_text.split()))

    def test_a_generous_budget_changes_nothing(self):
        summary = self.record(["sleep", "1.5"], "--budget", "100%")
        self.assertFalse([e for e in summary["events"] if e["kind"] in ("interval-changed", "budget-exceeded")])


SLOW_WORKER = textwrap.dedent('''
    import json, sys, time
    def say(**message):
        print(json.dumps(message), flush=True)
    say(type="hello", protocol=1, worker="w", version="1", engine="fake", engine_version="1", capabilities=["prompt", "phase"])
    for line in sys.stdin:
        m = json.loads(line)
        if m["type"] == "load":
            say(type="loaded", facts={})
        elif m["type"] == "prompt":
            time.sleep(0.1 if m.get("warm_up") else 0)
            say(type="result", id=m["id"], prompt_tokens=1, output_tokens=2, finish="length", ttft_ns=1, decode_ns=1, text="")
        elif m["type"] == "stop":
            break
    say(type="bye")
    ''')


class WarmUp(Heated):
    """A warm-up that ends when the temperature stands still."""

    def warm(self, sysfs, rule, code=0):
        worker, prompts = self.write(self.path("slow.py"), SLOW_WORKER), self.write(self.path("p.txt"), "One\n")
        done = self.prony("llm", "--sysfs", sysfs, "--prompts", prompts, "--model", "none", "--warmup-until", rule,
                          "--out", self.path("w.prony"), "--json", self.path("w.json"), "--", sys.executable, worker)
        self.assertEqual(done.returncode, code, done.err)
        return done

    def test_it_ends_when_the_temperature_stands_still_and_says_how_many_prompts_it_took(self):
        self.warm(self.path("sys"), "temp=1C/min,over=3s,most=2000,limit=8m")
        warm_up = self.load("w.json")["warm_up"]
        self.assertEqual(warm_up["steady"], "yes")
        self.assertLess(abs(float(warm_up["celsius_per_min"])), 0.001)
        self.assertGreater(int(warm_up["prompts"]), 1)

    def test_where_no_temperature_can_be_read_nothing_is_begun(self):
        os.mkdir(self.path("empty"))
        done = self.warm(self.path("empty"), "temp=1", code=125)
        self.assertIn("no temperature can be read", done.err)
        self.assertFalse(os.path.exists(self.path("w.prony")))


if __name__ == "__main__":
    harness.main()
