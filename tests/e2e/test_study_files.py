"""What a study file says, held against what `prony llm` takes, and files of another tool as studies."""

import json
import os
import re
import time

import harness
from test_study import COUNTED, StudyCase


class StudyFiles(StudyCase):
    def test_a_dry_run_counts_the_cache_of_every_request_that_is_answered_together(self):
        self.assertEqual(self.prony("synth", "llama", "--params", "160k", "-o", self.path("m.gguf")).returncode, 0)
        text = '[base]\nmodel = "m.gguf"\nctx = 1024\n[sweep]\nbatching = ["static:1", "static:4", "dynamic:2048"]\n'
        lines = [line for line in self.study(self.file(text), "--dry-run").out.splitlines() if "memory:" in line]
        said = [re.search(r"of weights \+ (?:(\d+) × )?([\d.]+) ([KM]iB) of cache at 1 024 tokens = ([\d.]+) ([KM]iB)", line)
                for line in lines]
        self.assertTrue(all(said), lines)
        self.assertEqual([one[1] for one in said], [None, "4", "16"])
        self.assertEqual(len({one[2] for one in said}), 1)  # of one request
        size = {"KiB": 1, "MiB": 1024}
        one, four = (float(m[4]) * size[m[5]] for m in said[:2])
        self.assertAlmostEqual(four - one, 3 * float(said[0][2]) * size[said[0][3]], delta=0.02 * four)

    def test_options_that_prony_would_not_take_are_refused_with_their_line_before_anything_runs(self):
        for text, said in (
                ('[base]\nmodel = "m"\nthreads = "many"\n', r"threads.*many.*s\.toml:3"),
                ('[base]\nmodel = "m"\n[sweep]\ntop-p = [0.5, 7]\n', r"top-p.*7.*s\.toml:4"),
                ('[base]\nmodel = "m"\nengine = "lama"\n', r"no engine is called 'lama': .*s\.toml:3\n +Did you mean 'llama'"),
                ('[base]\nthreads = 1\n', r"a run without a model"),
                ('', r"there is nothing in it")):
            done = self.study(self.file(text), "--out", "out", code=125)
            self.assertRegex(done.err, said)
            self.assertFalse(os.path.exists(self.path("out")))

    def test_the_file_that_the_help_shows_is_one_that_prony_takes(self):
        shown = self.prony("help", "study").out
        lines = []
        for line in shown[shown.index("  [study]"):shown.index("  Of any program")].splitlines():
            line = re.sub(r"\s+#.*| +\((or|a|one)?[ a-z,-]*:?[^()]*\)", "", line)
            if not re.match(r"\s+[(\[a-z]", line) or line.strip().startswith("("):
                continue
            lines += re.split(r" {2,}(?=[a-z-]+ = )", line.strip())
        self.file("[base]\nmax-tokens = 64\n", "other.toml")
        done = self.study(self.file("\n".join(lines) + "\n"), "--dry-run")
        self.assertIn("chat", done.out)
        self.assertGreater(len(lines), 30)

    def test_keys_of_the_engine_transformers_are_its_own_as_those_of_the_others(self):
        text = ('[base]\nmodel = "m"\n[sweep]\nengine = ["llama", "transformers"]\ntransformers.dtype = ["float32", "float16"]\n')
        self.assertIn("3 variants", self.study(self.file(text), "--dry-run").out)

    def test_a_configuration_of_llenergymeasure_becomes_a_study_that_can_be_run(self):
        text = ("study_name: sizes\ntask: {model: ./m, max_output_tokens: 8}\nengine: transformers\n"
                "sweep:\n  transformers.batch_size: [1, 8]\n  transformers.dtype: [float32, bfloat16]\n"
                "study_execution: {n_cycles: 3, experiment_order: latin_square}\nlora: {path: x}\n")
        done = self.study("--take-over", self.file(text, "c.yaml"))
        self.assertIn("lora.path (line 8): its own program reads it and never uses it", done.out)
        self.assertIn("remarks on keys", done.err)
        dry = self.study(self.file(done.out, "t.toml"), "--dry-run")
        self.assertIn("sizes · llm · 4 variants × 3 cycles = 12 runs · counterbalanced", dry.out)
        self.assertIn("batching static:8 · dtype bfloat16", dry.out)
        self.assertIn("no configuration of LLenergyMeasure", self.study("--take-over", self.file("a: 1\n", "n.yaml"), code=125).err)

    def test_a_studys_folder_is_compared_as_its_variants_or_by_the_name_of_one(self):
        self.study(self.file(COUNTED.replace("echo {n} >> ran", "sleep 0.{n}")), "--out", "out", "--cycles", "3")

        def sides(*words):
            done = self.prony("compare", *words, "--json")
            self.assertEqual(done.returncode, 0, done.err)
            all_of_them = json.loads(done.out)
            return [(one["before"], one["after"], next(m for m in one["metrics"] if m["metric"] == "wall_s")["paired"])
                    for one in (all_of_them if isinstance(all_of_them, list) else [all_of_them])]

        self.assertEqual(sides("out"), [("1", "2", True), ("1", "3", True)])
        self.assertEqual(sides("out:3", "out:1"), [("out:3", "out:1", True)])
        self.assertIn("no variant '4'", self.prony("compare", "out:4", "out:1").err)
        self.assertIn("two variants at least", self.prony("compare", "out:1").err)
        with open(self.path("out/manifest.json"), "w", encoding="utf-8") as file:
            file.write('{"runs": 3, "variants": [null]}')
        self.assertIn("no study's manifest", self.prony("compare", "out").err)

    def prepared(self, command):
        return self.file('[study]\nkind = "run"\n[base]\ncommand = ["cat", "made"]\nsensors = "cpu-model"\n'
                         f'[[prepare]]\ncommand = ["sh", "-c", "{command}"]\nmakes = "made"\n')

    def test_what_was_left_half_made_by_a_kill_or_a_failure_is_made_anew_and_a_whole_one_never(self):
        file = self.prepared("echo made >> count; echo half > made; while ! test -e go; do sleep 0.1; done; test -e good || exit 3; echo whole > made")
        study = self.start(file, "--out", "out")
        self.assertTrue(self.comes(lambda: os.path.exists(self.path("made"))))
        study.kill()
        study.wait()
        self.write("go", "")
        self.assertIn("what makes it failed", self.study("--resume", "out", code=125).err)
        self.write("good", "")
        self.study("--resume", "out")
        self.assertEqual(self.read("made"), "whole\n")
        self.study(file, "--out", "again")
        self.assertEqual(self.read("count"), "made\n" * 3)
        self.assertEqual([name for name in os.listdir(self.folder) if "unfinished" in name or "half" in name], [])

    def test_of_two_studies_that_need_a_file_one_makes_it(self):
        file = self.prepared("echo made >> count; sleep 0.3; echo whole > made")
        studies = [self.start(file, "--out", name) for name in ("one", "two")]
        self.assertEqual([study.wait() for study in studies], [0, 0])
        self.assertEqual(self.read("count"), "made\n")

    @staticmethod
    def comes(holds):
        for _ in range(600):
            if holds():
                return True
            time.sleep(0.1)
        return False

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    harness.main()
