"""The worker of engines/transformers with PyTorch itself, on tiny models of random weights on the processor: alone, by
`prony llm`, and as two ranks.

usage: test_transformers.py BUILD_DIR. PRONY_TORCH_PYTHON names an interpreter with torch and transformers
(tools/setup-torch.sh); without one everything is skipped with the reason.
"""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
import harness  # noqa: E402
import make_transformers_model  # noqa: E402
from harness import Case  # noqa: E402

PYTHON = os.environ.get("PRONY_TORCH_PYTHON", "")
PATIENCE = 240  # of an answer: PyTorch takes its time to load where others compute


def why_not():
    if not PYTHON:
        return "PRONY_TORCH_PYTHON names no Python (tools/setup-torch.sh makes one)"
    done = subprocess.run([PYTHON, "-c", "import torch, transformers"], capture_output=True, check=False)
    return None if done.returncode == 0 else f"{PYTHON} has no torch or no transformers"


REASON = why_not()


class Talk:
    """One conversation with a worker, by the protocol."""

    def __init__(self, test, *words, env=None, limit=None):
        worker = os.path.join(harness.BUILD, "prony-engine-transformers")

        def bounds():
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        self.process = subprocess.Popen([PYTHON, worker, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=test.environment(**(env or {})), preexec_fn=bounds)
        test.addCleanup(self.close)
        self.buffer = b""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def send(self, **message):
        self.process.stdin.write((json.dumps(message) + "\n").encode())
        self.process.stdin.flush()

    def read(self):
        """The next line, or None at the end of its output."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError("the worker does not answer")
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                return None
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, **message):
        self.send(**message)
        return self.read()


@unittest.skipIf(REASON, REASON)
class TransformersCase(Case):
    def model(self, name="m", ends=None, **shape):
        """A folder; `ends`: ids of end tokens in place of the tokeniser's own."""
        folder = self.path(name)
        make_transformers_model.write(folder, **{"hidden": 32, "heads": 2, "layers": 2, "context": 512, **shape})
        if ends is not None:
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
                config = json.load(file)
            config["eos_token_id"] = list(ends)
            with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
                json.dump(config, file)
        return folder

    def loaded(self, *words, load=None, model=None, **more):
        talk = Talk(self, "--random-weights", *words, **more)
        self.assertEqual(talk.read()["type"], "hello")
        reply = talk.ask(type="load", model=model or self.model(), threads=1, **(load or {}))
        self.assertEqual(reply["type"], "loaded", reply)
        talk.facts = reply["facts"]
        return talk


class Answers(TransformersCase):
    def test_padding_and_filler_of_unequal_prompts_with_early_ends_are_counted_by_hand(self):
        # Half of all ids end an answer, so answers end early and at different lengths; a byte is a token, and one begins.
        talk = self.loaded(model=self.model(ends=range(1, 259, 2)), load={"batching": "static:6"})
        words = ["a", "bcd", "efghijklm", "no", "pqrstuvwxyz0123", "4567"]
        prompts = [{"id": str(n), "text": w, "max_tokens": 24, "temperature": 1.0, "seed": n} for n, w in enumerate(words)]
        results = talk.ask(type="batch", id="b", prompts=prompts)["results"]
        lengths = [len(w) + 1 for w in words]
        self.assertEqual([r["prompt_tokens"] for r in results], lengths)
        self.assertEqual([r["padding_tokens"] for r in results], [16 - n for n in lengths])
        made = [r["output_tokens"] for r in results]
        self.assertGreater(len(set(made)), 1)
        self.assertEqual([r["filler_tokens"] for r in results], [max(made) - n for n in made])
        self.assertIn("eos", [r["finish"] for r in results])
        bye = talk.ask(type="stop")
        self.assertEqual(bye["facts"]["engine.padding_tokens"], sum(16 - n for n in lengths))
        self.assertEqual(bye["facts"]["engine.filler_tokens"], sum(max(made) - n for n in made))
        # Where ends are ignored, or forbidden for so long, lengths are as asked.
        talk = self.loaded(model=self.path("m"), load={"batching": "static:6"})
        for member, least in (("ignore_eos", [24] * 6), ("min_tokens", [10] * 6)):
            more = {member: True if member == "ignore_eos" else 10}
            results = talk.ask(type="batch", id="b", prompts=[{**p, **more} for p in prompts])["results"]
            self.assertTrue(all(r["output_tokens"] >= n for r, n in zip(results, least)), member)

    def test_greedy_is_greedy_at_any_temperature_and_a_seed_is_a_text(self):
        talk = self.loaded()

        def answer(**more):
            return talk.ask(type="prompt", id="x", text="Once upon a time", max_tokens=24, ignore_eos=True,
                            return_text=True, **more)["text"]

        greedy = answer()
        self.assertEqual(answer(temperature=1.9, top_k=1, seed=5), greedy)
        self.assertEqual(answer(temperature=0, top_k=40, top_p=0.5, seed=9), greedy)
        self.assertEqual(answer(temperature=1.2, top_k=40, seed=3), answer(temperature=1.2, top_k=40, seed=3))
        self.assertNotEqual(answer(temperature=1.2, seed=3), answer(temperature=1.2, seed=4))
        self.assertEqual(answer(temperature=1.5, top_p=1e-9), greedy)  # one choice is left

    def test_an_answer_is_the_same_alone_and_beside_others(self):
        prompts = [{"id": str(n), "text": w, "max_tokens": 12, "ignore_eos": True, "return_text": True}
                   for n, w in enumerate(["a", "hello there", "xyz", "one two three four"])]
        alone = self.loaded()
        texts = [alone.ask(type="prompt", **p)["text"] for p in prompts]
        for batching in ("static:4", "sorted:2", "dynamic:60"):
            talk = self.loaded(model=self.path("m"), load={"batching": batching})
            together = talk.ask(type="batch", id="b", prompts=prompts)["results"]
            self.assertEqual([r["text"] for r in together], texts, batching)

    def test_the_peak_of_a_window_is_above_what_is_held_after_it(self):
        with_large_logits = self.model(words=40_000)
        talk = self.loaded(model=with_large_logits)
        if talk.facts["engine.memory_of"] != "process, resident":
            self.skipTest("this PyTorch has an accelerator, whose allocator keeps what it has")
        talk.ask(type="prompt", id="x", text="y" * 450, max_tokens=1)
        facts = talk.ask(type="stop")["facts"]
        # 451 rows of 40 000 logits in float32 are 72 MB, which are given back.
        self.assertGreater(facts["engine.memory_peak_bytes"], facts["engine.memory_current_bytes"] + 50_000_000)

    def test_a_cancel_ends_the_answer_and_the_worker_goes_on(self):
        talk = self.loaded(model=self.model(context=100_000))
        talk.send(type="prompt", id="x", text="go", max_tokens=90_000, ignore_eos=True)
        time.sleep(0.5)
        talk.send(type="cancel")
        stopped = talk.read()
        self.assertEqual((stopped["id"], stopped["finish"]), ("x", "stop"))
        self.assertLess(stopped["output_tokens"], 90_000)
        self.assertEqual(talk.ask(type="prompt", id="y", text="go", max_tokens=2, ignore_eos=True)["output_tokens"], 2)

    def test_perplexity_is_that_of_the_models_own_loss(self):
        script = """
import sys, torch, transformers
torch.manual_seed(1)
model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(sys.argv[1])).eval()
ids = torch.tensor([transformers.AutoTokenizer.from_pretrained(sys.argv[1])(sys.argv[2])["input_ids"]])
with torch.no_grad():
    print(float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1))
"""
        corpus = "The quick brown fox jumps over the lazy dog, and then again."
        talk = self.loaded()
        done = subprocess.run([PYTHON, "-c", script, self.path("m"), corpus], capture_output=True, check=True,
                              env=self.environment(HF_HUB_OFFLINE="1"))
        reply = talk.ask(type="perplexity", text=corpus, window=512)
        self.assertEqual((reply["tokens"], len(reply["windows"])), (len(corpus), 1))
        self.assertEqual(reply["windows"][0][0], len(corpus))
        self.assertAlmostEqual(reply["windows"][0][1] / float(done.stdout), 1, places=4)
        chunks = talk.ask(type="perplexity", text=corpus, window=16)
        self.assertEqual(sum(window[0] for window in chunks["windows"]), len(corpus))


class Errors(TransformersCase):
    def refusal(self, model, *words, load=None, **more):
        talk = Talk(self, *words, **more)
        talk.read()
        reply = talk.ask(type="load", model=model, threads=1, **(load or {}))
        return reply["error"] if reply["type"] == "error" else reply

    def test_a_model_that_is_not_there_or_has_no_weights_is_said_in_words(self):
        folder = self.model()
        error = self.refusal(self.path("absent"))
        self.assertEqual(error["code"], "model")
        self.assertIn("absent is no folder", error["message"])
        error = self.refusal(folder)
        self.assertEqual(error["code"], "model")
        self.assertIn("--random-weights", error["message"])
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(self.refusal(folder, "--random-weights")["code"], "model")
        os.remove(os.path.join(folder, "config.json"))
        self.assertIn("no config.json", self.refusal(folder, "--random-weights")["message"])

    def test_what_memory_does_not_hold_is_classified(self):
        large = self.model(words=60_000_000)  # 60 M rows of 32 in float32: 7.7 GB, twice
        error = self.refusal(large, "--random-weights", limit=7 << 30)
        self.assertEqual(error["code"], "memory", error)

    def test_a_format_or_quantisation_that_is_not_to_be_had_is_refused_or_honoured_never_replaced(self):
        folder = self.model()
        for dtype in ("float16", "bfloat16"):
            reply = self.refusal(folder, "--random-weights", "--dtype", dtype, "--device", "cpu")
            if "code" in reply:
                self.assertEqual(reply["code"], "unsupported", reply)
            else:
                self.assertEqual(reply["facts"]["engine.dtype"], dtype)
        reply = self.refusal(folder, "--random-weights", "--quantisation", "nf4")
        self.assertEqual(reply["code"], "unsupported")
        self.assertIn("continuous", "continuous" + self.refusal(folder, "--random-weights")["type"])

    def test_what_was_asked_for_and_not_honoured_is_a_fact(self):
        talk = self.loaded(load={"ctx": 4096})
        self.assertIn("ctx: asked 4096, got 512", talk.facts["engine.not_honoured"])
        self.assertEqual(talk.facts["engine.ctx"], 512)
        self.assertNotIn("engine.not_honoured", self.loaded(model=self.path("m"), load={"ctx": 128}).facts)
        for name in ("8bit", "4bit", "nf4"):
            self.assertRegex(talk.facts["engine.quantisation." + name], "^(present|absent: .+)$")

    def test_a_prompt_that_is_too_long_and_rubbish_fail_alone(self):
        talk = self.loaded(load={"ctx": 16, "batching": "static:2"})
        results = talk.ask(type="batch", id="b", prompts=[{"id": "1", "text": "x" * 40}, {"id": "2", "text": "y", "max_tokens": 2}])
        self.assertEqual(results["results"][0]["error"]["code"], "context")
        self.assertEqual(results["results"][1]["type"], "result")
        talk.process.stdin.write(b"rubbish\n")
        talk.process.stdin.flush()
        self.assertEqual(talk.read()["error"]["code"], "protocol")
        self.assertEqual(talk.ask(type="__init__")["error"]["code"], "protocol")
        full = talk.ask(type="prompt", id="3", text="y", max_tokens=99, ignore_eos=True)
        self.assertEqual((full["context_full"], full["finish"], full["output_tokens"]), (True, "length", 15))


class Measured(TransformersCase):
    def llm(self, *words, code=0, env=None):
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            for number, text in enumerate(["a", "hello there", "xyz", "one two three four", "and five"], 1):
                file.write(json.dumps({"prompt": text, "id": f"p{number}"}) + "\n")
        done = self.prony("llm", "--engine", "transformers", "--model", self.model(), "--python", PYTHON, "--random-weights",
                          "--threads", "1", "--prompts", self.path("p.jsonl"), "--max-tokens", "8", "--ignore-eos",
                          "--out", self.path("x.prony"), "--json", self.path("x.json"), *words, env=env, timeout=PATIENCE)
        self.assertEqual(done.returncode, code, done.err)
        self.assert_charges_close("x.prony")
        return self.load("x.json")

    def test_a_request_has_its_pieces_and_neighbours_share_their_edges(self):
        summary = self.llm()
        spans = self.table("x.prony", "spans")
        requests = [s for s in spans if s["kind"] == "request"]
        self.assertEqual([s["name"] for s in requests], ["p1", "p2", "p3", "p4", "p5"])
        for request in requests:
            inner = [s for s in spans if s.get("parent") == request["id"]]
            for kind in ("tokenise", "prefill", "decode"):
                self.assertEqual([s["kind"] for s in inner].count(kind), 1, kind)
            tokens = sorted((s for s in inner if s["kind"] == "token"), key=lambda s: s["begin_ns"])
            self.assertEqual(len(tokens), 8)
            self.assertEqual(tokens[0]["end_ns"], next(s for s in inner if s["kind"] == "prefill")["end_ns"])
            for earlier, later in zip(tokens, tokens[1:]):
                self.assertEqual(earlier["end_ns"], later["begin_ns"])
        self.assertEqual([r["output_tokens"] for r in summary["requests"]], [8] * 5)
        self.assertTrue(any(s["kind"] == "phase" and s["name"] == "load" for s in spans))
        self.assertIn("random", summary["model"]["weights"])
        self.assertGreater(int(summary["engine"]["memory_peak_bytes"]), 0)

    def test_two_ranks_share_the_prompts_and_everything_is_counted_once(self):
        summary = self.llm("--ranks", "2", "--batching", "static:2")
        self.assertEqual(sorted(r["id"] for r in summary["requests"]), ["p1", "p2", "p3", "p4", "p5"])
        self.assertTrue(all(r["status"] == "ok" for r in summary["requests"]))
        spans = {s["name"]: s for s in self.table("x.prony", "spans") if s["kind"] == "request"}
        self.assertEqual([spans[f"p{n}"]["rank"] for n in range(1, 6)], [0, 1, 0, 1, 0])
        self.assertEqual(summary["engine"]["rank_output_tokens"], "0: 24, 1: 16")
        self.assertEqual(int(summary["engine"]["ranks"]), 2)
        # The two are processes of one measured tree: each channel of the machine is there once.
        channels = [row["channel"] for row in summary["energy"]]
        self.assertEqual(len(channels), len(set(channels)))

    def test_a_worker_that_is_killed_half_way_keeps_what_was_answered(self):
        summary = self.llm(code=1, env={"PRONY_ENGINE_FAULT": "crash-at:3"})
        by_id = {r["id"]: r["status"] for r in summary["requests"]}
        self.assertEqual((by_id["p1"], by_id["p2"]), ("ok", "ok"))
        self.assertIn(by_id["p3"], ("failed", "unfinished"))
        self.assertNotIn("ok", [by_id.get(name, "absent") for name in ("p4", "p5")])


class Ranks(TransformersCase):
    def test_a_rank_that_dies_is_an_error_and_leaves_nobody_behind(self):
        talk = self.loaded("--ranks", "2", load={"batching": "static:2"})
        with open(f"/proc/{talk.process.pid}/task/{talk.process.pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        self.assertEqual(len(children), 1)
        os.kill(children[0], signal.SIGKILL)
        reply = talk.ask(type="batch", id="b", prompts=[{"id": "1", "text": "a"}, {"id": "2", "text": "b"}])
        self.assertEqual(reply["type"], "error")
        self.assertIn("another rank ended", reply["error"]["message"])
        self.assertNotEqual(talk.process.wait(PATIENCE), 0)

    def test_ranks_that_a_launcher_started_meet_by_its_environment(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        second = Talk(self, "--random-weights", env={**env, "RANK": "1", "LOCAL_RANK": "1"})
        first = self.loaded(env={**env, "RANK": "0", "LOCAL_RANK": "0"}, load={"batching": "static:4"})
        prompts = [{"id": str(n), "text": "x" * n, "max_tokens": n, "ignore_eos": True} for n in range(1, 6)]
        results = first.ask(type="batch", id="b", prompts=prompts)["results"]
        self.assertEqual([r["id"] for r in results], ["1", "2", "3", "4", "5"])
        self.assertEqual([r["output_tokens"] for r in results], [1, 2, 3, 4, 5])
        self.assertEqual([r.get("padding_tokens") for r in results], [4, 2, 2, 0, 0])  # of the rank's own batch
        facts = first.ask(type="stop")["facts"]
        self.assertEqual(facts["engine.rank_output_tokens"], "0: 9, 1: 6")
        self.assertEqual((first.process.wait(PATIENCE), second.process.wait(PATIENCE)), (0, 0))
        self.assertIsNone(second.read())  # one rank speaks


if __name__ == "__main__":
    harness.main()
