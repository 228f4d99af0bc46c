"""What a study file says, held against what `prony llm` takes, and files of another tool as studies."""

import json
import math
import os
import re
import time
import xml.dom.minidom

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

    def test_options_that_do_not_go_together_are_refused_with_their_line_by_a_dry_run(self):
        """Each was a failed run for every variant before."""
        llm = '[base]\nmodel = "m"\n'
        for text, said in (
                (llm + '[sweep]\ndtype = ["auto", "float16"]\n', r"only the engine transformers knows this: --dtype: .*s\.toml:4"),
                (llm + 'batching = "static:4"\nstreams = 2\n', r"one message.*--batching: .*s\.toml:3"),
                (llm + 'batching = "statc:4"\n', r"'statc:4' is no way to put prompts together: --batching: .*s\.toml:3"),
                (llm + 'arrivals = "poisson:2"\n', r"no rate.*--arrivals: .*s\.toml:3"),
                (llm + 'rate = 2\n', r"one request after another.*s\.toml:3"),
                (llm + 'synthetic = "4 in:20 oot:16"\n', r"'oot:16' makes no sense here.*s\.toml:3"),
                (llm + 'prompts = "nope.jsonl"\n', r"No such file.*nope\.jsonl: .*s\.toml:3\n$"),
                (llm + 'prompts = "-"\n', r"no standard input: .*s\.toml:3"),
                (llm + 'baseline = "3x"\n', r"'3x' is not a duration: --baseline: .*s\.toml:3"),
                (llm + '[sweep]\nsimulate = ["laptop", "laptob"]\n', r"no simulated machine called 'laptob'.*s\.toml:4"),
                (llm + 'warmup-until = "cv=x"\n', r"warmup-until.*s\.toml:3"),
                ('[base]\nengine = "ollama"\nmodel = "m"\nbatching = "static:2"\n', r"cannot be told how.*s\.toml:4"),
                ('[base]\nengine = "transformers"\nmodel = "m"\ndtype = "fp4"\n', r"'fp4' is none of.*s\.toml:4"),
                ('[study]\nkind = "run"\n[base]\ncommand = ["true"]\nmax-temp = "90X"\n', r"'90X' is not a temp.*s\.toml:5"),
                ('[study]\nkind = "run"\n[base]\ncommand = ["true"]\nuntil-exit = true\n', r"--pid.*--until-exit: .*s\.toml:5")):
            with self.subTest(text):
                done = self.study(self.file(text), "--dry-run", code=125)
                self.assertRegex(done.err, said)
                self.assertEqual(done.out, "")

    def test_what_one_variant_asks_for_is_not_held_against_the_next(self):
        text = ('[study]\nmode = "one-factor"\n[base]\nmodel = "m"\n[[experiments]]\nbatching = "static:4"\nrequest-share = "time"\n'
                '[[experiments]]\nstreams = 1\nloaded-baseline = "1s"\n[[experiments]]\nengine = "transformers"\ndtype = "float16"\n'
                '[[experiments]]\nengine = "ollama"\nrate = 2\narrivals = "constant"\n')
        self.assertIn("4 variants", self.study(self.file(text), "--dry-run").out)

    def test_files_that_a_preparation_makes_may_be_missing_in_a_dry_run(self):
        text = ('[base]\nmodel = "m"\nprompts = "made.jsonl"\n[[prepare]]\ncommand = ["./make"]\nmakes = "made.jsonl"\n')
        self.assertIn("1 variant", self.study(self.file(text), "--dry-run").out)

    def test_settings_that_change_nothing_beside_the_others_run_once(self):
        text = '[base]\nmodel = "m"\n[sweep]\ntop-k = [1, 20]\ntemperature = [0, 0.7]\n'
        done = self.study(self.file(text), "--dry-run")
        self.assertIn("3 variants", done.out)
        self.assertRegex(" ".join(done.out.split()),
                         r"equal top-k=20 temperature=0 means the same as top-k=1 temperature=0 \(at temperature 0 top-k and top-p")
        self.assertIn("4 variants", self.study(self.file(text), "--dry-run", "--no-dedup").out)
        own = text.replace('"m"\n', '"m"\nworker = ["./w"]\n')  # what it makes of them is not known
        self.assertIn("4 variants", self.study(self.file(own), "--dry-run").out)

    def test_names_that_are_cut_to_the_same_are_numbers_in_the_order(self):
        text = ('[study]\nkind = "run"\n[base]\ncommand = ["true", "{a}", "{b}"]\n'
                '[sweep]\nvars.a = ["%s1", "%s2"]\nvars.b = [1, 2]\n' % ("long" * 8, "long" * 8))
        done = self.study(self.file(text), "--dry-run")
        self.assertIn("#1, #2, #3, #4", done.out)
        self.assertRegex(done.out, r"\n   #3 .*long2")

    def test_memory_is_told_of_a_folder_and_of_a_server_as_far_as_it_is_known(self):
        def memory(text):
            return [line.split("memory: ")[1] for line in self.study(self.file(text), "--dry-run").out.splitlines()
                    if "memory:" in line]

        config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64,
                  "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000,
                  "max_position_embeddings": 8192, "tie_word_embeddings": True}
        hf = self.path("hf")
        os.mkdir(hf)
        with open(os.path.join(hf, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        text = '[base]\nengine = "transformers"\nmodel = "hf"\n[sweep]\ndtype = ["auto", "float32"]\n'
        self.assertEqual(memory(text), ["its folder has a config.json and no weights whose size could be read"] * 2)
        elements = self.write_safetensors(os.path.join(hf, "model.safetensors"), config)
        cache = 2 * 2 * 2 * 16 * 4096  # key and value, layers, key heads, their length, the worker's own context
        auto, wide = memory(text)
        for words, each in ((auto, 2), (wide, 4)):
            self.assertEqual(words, f"{self.bytes_words(each * elements)} of weights + {self.bytes_words(each * cache)} of cache "
                                    f"at 4 096 tokens = {self.bytes_words(each * (elements + cache))}")
        self.assertEqual(memory('[base]\nengine = "openai"\nurl = "http://127.0.0.1:1"\n'), ["the server's own affair"])
        self.assertEqual(self.prony("synth", "llama", "--params", "160k", "-o", self.path("m.gguf")).returncode, 0)
        [beyond] = memory('[base]\nmodel = "m.gguf"\nctx = 100000\n')
        self.assertRegex(beyond, r"100 000 tokens = .*; the model was trained for [\d ]+ tokens of context$")

    @staticmethod
    def bytes_words(count):
        for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if count >= size:
                figure = count / size
                return f"{figure:.{max(0, 2 - len(str(int(figure))) + 1)}f} {unit}"
        return f"{count} B"

    @staticmethod
    def write_safetensors(path, config):
        """bfloat16 tensors of a small llama, all zeros; → how many elements."""
        wide, hidden, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
        kv = wide * config["num_key_value_heads"] // config["num_attention_heads"]
        shapes = {"model.embed_tokens.weight": [vocabulary, wide], "model.norm.weight": [wide]}
        for layer in range(config["num_hidden_layers"]):
            for name, shape in (("input_layernorm", [wide]), ("post_attention_layernorm", [wide]), ("self_attn.q_proj", [wide, wide]),
                                ("self_attn.k_proj", [kv, wide]), ("self_attn.v_proj", [kv, wide]), ("self_attn.o_proj", [wide, wide]),
                                ("mlp.gate_proj", [hidden, wide]), ("mlp.up_proj", [hidden, wide]), ("mlp.down_proj", [wide, hidden])):
                shapes[f"model.layers.{layer}.{name}.weight"] = shape
        head, at = {}, 0
        for name, shape in shapes.items():
            size = 2 * math.prod(shape)
            head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(head).encode()
        with open(path, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + bytes(at))
        return at // 2

    def test_a_study_is_a_page_of_html_that_stands_for_itself(self):
        """Of a command whose runs differ in two settings, simulated so that there is power to show; also from the folder, later."""
        text = ('[study]\nname = "a <b> & c"\nkind = "run"\n[base]\ncommand = ["sh", "-c", "sleep {n}; test {m} != 9"]\n'
                'simulate = "laptop"\n[sweep]\nvars.n = [0.3, 1.8]\nvars.m = [1, 2, 9]\n')
        self.study(self.file(text), "--out", "out", code=1)
        with open(self.path("out/results.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertNotRegex(page, r"<script|https?:|src=|@import|url\(")
        self.assertIn("<h1>a &lt;b&gt; &amp; c</h1>", page)
        self.assertIn("no joule on this page is real", page)
        self.assertIn("its command ended with code 1", page)  # what was left out, and why
        for picture in re.findall(r"<svg.*?</svg>", page, re.S):
            xml.dom.minidom.parseString(picture)
        titles = re.findall(r"<svg[^>]*>\n<title>(.*?)</title>", page)
        for title in ("J of a run of each variant", "J of a run over vars.n", "J of a run over vars.n, relative",
                      "J of a run by vars.m and vars.n", "J of a run against W in the mean of a run",
                      "settings and figures of each variant", "power over time"):
            self.assertIn(title, titles)
        again = self.study("--show", "out", "--html", "again.html")
        self.assertEqual(again.out, "")
        with open(self.path("again.html"), encoding="utf-8") as file:
            self.assertEqual(file.read(), page)
        self.assertEqual(self.study("--show", "out", "--html", "-").out, page)
        best = self.study("--show", "out", "--best", "gross_j", "--under", "run_s > 1")
        self.assertRegex(best.out, r"best +vars\.[mn]=.* with run_s > 1")
        self.assertIn("none with run_s < 0.1", self.study("--show", "out", "--best", "gross_j", "--under", "run_s < 0.1", code=1).out)
        self.assertIn("'gross_j'", self.study("--show", "out", "--best", "gros_j", code=125).err)
        self.assertIn("--best", self.study("--show", "out", "--under", "run_s < 1", code=125).err)
        self.assertIn("--show", self.study("--html", "x.html", code=125).err)
        self.assertIn("x/y.html", self.study("--show", "out", "--html", "x/y.html", code=125).err)

    def test_a_unit_names_its_folder_as_systemd_reads_it(self):
        folder = self.path('50%h "$x" \\y')
        done = self.study("--print-unit", "--resume", folder)
        escaped = folder.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
        self.assertIn(f'study --resume "{escaped}"\n', done.out)
        self.assertIn(f"Description=Prony study in {folder.replace('%', '%%')}\n", done.out)
        self.assertIn("control character", self.study("--print-unit", "--resume", self.path("a\nb"), code=125).err)

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
