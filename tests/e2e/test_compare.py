"""`prony compare`: what changed, what a script is told by the exit code, and what is refused.

Kills: a mean that decides where the interval does not, modelled joules beside measured ones, a Run compared with itself, a
condition that was not understood and passes.
"""

import json
import math
import os
import time

import fake_llm
import harness
from harness import Case
from test_http_engines import HttpCase


class Compare(Case):
    def simulated(self, name, seconds, machine="laptop", *options):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        self.record(["sleep", seconds], "--simulate", machine, *options, name=name)
        return self.path(name + ".prony")

    def compare(self, *words, code=0):
        done = self.prony("compare", *words)
        self.assertEqual(done.returncode, code, done.out + done.err)
        return done

    def metric(self, done, name):
        return next(row for row in json.loads(done.out)["metrics"] if row["metric"] == name)

    def test_a_script_learns_from_the_exit_code_whether_a_condition_holds_or_cannot_be_told(self):
        short, long = self.simulated("short", "0.2"), self.simulated("long", "3")
        self.compare(short, long, "--fail-if", "gross_j > +50%", code=1)
        self.compare(short, long, "--fail-if", "gross_j > +100000%")
        self.compare(short, long, "--fail-if", "gross_j < -5%", "--fail-if", "energy_j > 1mJ", code=1)
        # Times of one Run each have nothing that scatters.
        undecided = self.compare(short, long, "--fail-if", "wall_s > +5%", code=2)
        self.assertIn("cannot tell", undecided.out)
        self.compare(short, long, "--fail-if", "wall_s > +5%", "--cannot-tell", "pass")
        self.compare(short, long, "--fail-if", "wall_s > +5%", "--cannot-tell", "fail", code=1)
        # What surely holds comes before what cannot be told.
        self.compare(short, long, "--fail-if", "wall_s > +5%", "--fail-if", "gross_j > +50%", code=1)
        done = self.compare(short, long, "--json")
        row = self.metric(done, "gross_j")
        self.assertEqual(row["basis"], "sensors")
        self.assertLess(row["relative_change"]["low"], row["relative_change"]["value"])
        self.assertIn("simulated: no joule here is real", json.loads(done.out)["guards"])

    def test_a_variant_without_a_run_that_counts_does_not_keep_the_others_from_being_compared(self):
        self.simulated("study/short", "0.2")
        self.simulated("study/long", "3")
        runs = [{"variant": name, "attempts": [{"run": f"{name}.prony", "status": status}]}
                for name, status in (("short", "done"), ("broken", "failed"), ("long", "done"))]

        def study(*names):
            with open(self.path("study/manifest.json"), "w", encoding="utf-8") as file:
                json.dump({"variants": [{"name": name} for name in names], "runs": runs}, file)
            return self.path("study")

        folder = study("short", "broken", "long")
        done = self.compare(folder, "--json")
        self.assertEqual(json.loads(done.out)["after"], "long")
        self.assertIn("no run of the variant 'broken' counts: it is left out", done.err)
        # Of what was left out no condition can be told.
        words = ("--fail-if", "gross_j > +100000%")
        self.compare(folder, *words, code=2)
        self.compare(folder, *words, "--cannot-tell", "pass")
        self.compare(folder, *words, "--fail-if", "gross_j > +50%", code=1)
        self.assertIn("no run of the variant 'broken' counts", self.compare(folder + ":broken", folder + ":long", code=125).err)
        # Nothing takes the place of the one that the others are compared to.
        done = self.compare(study("broken", "short", "long"), code=125)
        self.assertIn(f"prony compare {folder}:short {folder}:long", done.err)
        self.assertIn("FOLDER:NAME", self.compare(study("short", "broken"), code=125).err)

    def test_folders_are_cycles_and_cycles_of_one_name_are_pairs(self):
        for cycle in ("1", "2", "3"):
            self.simulated(f"a/{cycle}", "0.2", "laptop", "--tag", f"cycle={cycle}")
            self.simulated(f"b/{cycle}", "0.3", "laptop", "--tag", f"cycle={cycle}")
        row = self.metric(self.compare(self.path("a"), self.path("b"), "--json"), "gross_j")
        self.assertEqual((row["basis"], row["paired"], row["after"]["values"]), ("runs", True, 3))
        self.assertIn("mean_interval_95", row["after"])
        self.assertIn("hedges_g", row)
        row = self.metric(self.compare(self.path("a"), self.path("b"), "--unpaired", "--json"), "gross_j")
        self.assertFalse(row["paired"])
        text = self.compare(self.path("a"), self.path("b")).out
        self.assertIn("3 Runs", text)

    def test_modelled_joules_are_compared_with_measured_ones_only_where_that_is_asked_for(self):
        measured, modelled = self.simulated("measured", "0.3"), self.simulated("modelled", "0.3", "board")
        done = self.compare(measured, modelled, "--fail-if", "gross_j > +100000%", code=2)
        self.assertIn("different origin", done.out)
        self.assertNotIn("\n gross_j", done.out)
        self.assertNotIn("relative_change", self.metric(self.compare(measured, modelled, "--json"), "gross_j"))
        asked = self.compare(measured, modelled, "--any-origin", "--json")
        self.assertIn("relative_change", self.metric(asked, "gross_j"))

    def test_what_differs_between_the_machines_is_listed(self):
        first, second = self.simulated("first", "0.2"), self.simulated("second", "0.2", "epyc-2s")
        differs = json.loads(self.compare(first, second, "--json").out)["differs"]
        self.assertTrue(any(one["key"].startswith("machine.") for one in differs), differs)

    def test_what_cannot_be_compared_is_refused_in_words(self):
        run = self.simulated("x", "0.2")
        other = self.simulated("y", "0.2")
        os.mkdir(self.path("empty"))
        for words, said in (([run], "two variants"), ([run, run], "same Run is named twice"),
                            ([run, self.path("none.prony")], "none.prony"), ([run, self.path("empty")], "no Run"),
                            ([run, other, "--fail-if", "j_per_output_tokn > +5%"], "Did you mean 'j_per_output_token'"),
                            ([run, other, "--fail-if", "gross_j > 5%"], "is it +5% or -5%"),
                            ([run, other, "--paired", "--unpaired"], "contradict")):
            done = self.compare(*words, code=125)
            self.assertIn(said, done.err, words)


class Paced(fake_llm.OpenAi):
    """Its pieces come one after another and not together: answers have a rate."""

    @staticmethod
    def event(out, value, fault):
        time.sleep(0.02)
        fake_llm.OpenAi.event(out, value, fault)


class Merit(HttpCase):
    def test_figures_of_merit_stand_beside_their_parts_and_tell_what_is_missing(self):
        server = self.fake(Paced)
        for name, prompts in (("a", ["plain"]), ("b", ["plain", "crlf"])):
            self.llm("openai", "--url", server.url, "--prompts", self.prompts(*prompts), "--simulate", "laptop", "--keep-output",
                     "--repeat", "3", name=name)
        pair = (self.path("a.prony"), self.path("b.prony"))
        done = self.prony("compare", *pair, "--merit", "--json")
        self.assertEqual(done.returncode, 0, done.err)
        merit = json.loads(done.out)["merit"]
        parts = {part["name"]: part for part in merit["parts"]}
        self.assertEqual(list(parts), ["throughput", "bandwidth", "CPU", "energy"])
        for name in ("throughput", "energy"):
            self.assertAlmostEqual(parts[name]["ratio"], parts[name]["after"] / parts[name]["before"], places=9)
        self.assertAlmostEqual(merit["reduced"], math.sqrt(parts["throughput"]["ratio"] * parts["energy"]["ratio"]), places=9)
        self.assertIn("--peak-bandwidth", parts["bandwidth"]["absent"])
        self.assertNotIn("full", merit)
        self.assertIn("bandwidth", merit["full_absent"])
        for side in ("before", "after"):  # words of the answers that were kept, tokens as the server told them
            self.assertGreater(merit[side]["tokens_per_word"], 0)
            self.assertEqual(merit[side]["usable"], merit[side]["words_per_s"] >= 3)
        text = self.prony("compare", *pair, "--merit", "--merit-weights", "1,0,0,1").out
        self.assertRegex(text, r"all by weight: [0-9.]+ ×")
        self.assertIn("usable", text)
        self.assertNotIn("usable", self.prony("compare", *pair).out)
        for words in (("--merit-weights", "1,1"), ("--merit-weights", "0,0,0,0"), ("--words-per-s", "0")):
            refused = self.prony("compare", *pair, "--merit", *words)
            self.assertNotEqual(refused.returncode, 0, words)
            self.assertIn(words[0], refused.err)

    def test_a_run_tells_nominal_core_seconds_and_whether_they_are_modelled(self):
        server = self.fake(fake_llm.OpenAi)
        summary = self.llm("openai", "--url", server.url, "--prompts", self.prompts("plain"), "--repeat", "3", "--gap", "1500ms",
                           "--simulate", "pi5")
        work = summary["nominal_work"]
        machine = next(row for row in work["rows"] if row["of"] == "machine")
        self.assertGreater(work["nominal_clock_hz"], 1e8)
        self.assertEqual(machine["origin"], "modelled")  # no cycles were counted: the mean clock stands for all
        self.assertAlmostEqual(machine["core_s_per_output_token"] * sum(r["output_tokens"] for r in summary["requests"]),
                               machine["core_s"], places=9)
        self.assertIn("nominal core-s", self.err)
        self.assertIn("modelled", self.err)


if __name__ == "__main__":
    harness.main()
