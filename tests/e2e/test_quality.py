"""`prony quality`: kept answers held to what they were told, and a corpus foretold by a real llama.cpp, whose perplexity is
computed here once more in plain Python from the model file."""

import json
import math
import os
import struct
import subprocess
import unittest

import harness
from harness import Case, program


class Gguf:
    """A GGUF file of F32 tensors, and the Llama in it, position by position. Source: the GGUF specification; Llama's paper."""

    SIMPLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 4
        _, tensors, keys = self.take("<I"), self.take("<Q"), self.take("<Q")
        self.keys = {}
        for _ in range(keys):
            name = self.text()
            self.keys[name] = self.value(self.take("<I"))
        places = []
        for _ in range(tensors):
            name = self.text()
            shape = [self.take("<Q") for _ in range(self.take("<I"))]
            assert self.take("<I") == 0, "not F32"
            places.append((name, shape, self.take("<Q")))
        align = self.keys.get("general.alignment", 32)
        base = (self.at + align - 1) // align * align
        self.tensors = {}
        for name, shape, offset in places:
            count = math.prod(shape)
            flat = struct.unpack_from(f"<{count}f", self.data, base + offset)
            rows = [flat[i:i + shape[0]] for i in range(0, count, shape[0])]
            self.tensors[name] = rows if len(shape) > 1 else rows[0]

    def take(self, kind):
        value = struct.unpack_from(kind, self.data, self.at)[0]
        self.at += struct.calcsize(kind)
        return value

    def text(self):
        size = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.take("<I"), self.take("<Q")
            return [self.value(inner) for _ in range(count)]
        return self.take(self.SIMPLE[kind])

    def losses(self, tokens):
        """−ln p of each token but the first, given those before it."""
        key = {k.split(".", 1)[1]: v for k, v in self.keys.items() if k.startswith("llama.")}
        heads, eps = key["attention.head_count"], key["attention.layer_norm_rms_epsilon"]
        kv_heads, width = key.get("attention.head_count_kv", heads), key["embedding_length"]
        size, base = width // heads, key.get("rope.freq_base", 10000.0)
        t = self.tensors
        caches = [([], []) for _ in range(key["block_count"])]
        found = []
        for position, token in enumerate(tokens[:-1]):
            x = list(t["token_embd.weight"][token])
            for layer, (past_k, past_v) in enumerate(caches):
                w = {n: t[f"blk.{layer}.{n}.weight"] for n in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output",
                                                               "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")}
                h = norm(x, w["attn_norm"], eps)
                q, k, v = (apply(w[n], h) for n in ("attn_q", "attn_k", "attn_v"))
                past_k.append(turn(k, size, position, base))
                past_v.append(v)
                q = turn(q, size, position, base)
                mixed = []
                for head in range(heads):
                    of, at = head * size, head // (heads // kv_heads) * size
                    scores = [sum(q[of + i] * one[at + i] for i in range(size)) / math.sqrt(size) for one in past_k]
                    chances = softmax(scores)
                    mixed += [sum(c * one[at + i] for c, one in zip(chances, past_v)) for i in range(size)]
                x = [a + b for a, b in zip(x, apply(w["attn_output"], mixed))]
                h = norm(x, w["ffn_norm"], eps)
                gate, up = apply(w["ffn_gate"], h), apply(w["ffn_up"], h)
                x = [a + b for a, b in zip(x, apply(w["ffn_down"], [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)]))]
            logits = apply(t.get("output.weight", t["token_embd.weight"]), norm(x, t["output_norm.weight"], eps))
            found.append(-math.log(softmax(logits)[tokens[position + 1]]))
        return found


def apply(rows, x):
    return [sum(a * b for a, b in zip(row, x)) for row in rows]


def norm(x, weight, eps):
    scale = 1 / math.sqrt(sum(v * v for v in x) / len(x) + eps)
    return [v * scale * w for v, w in zip(x, weight)]


def softmax(values):
    most = max(values)
    powers = [math.exp(v - most) for v in values]
    return [p / sum(powers) for p in powers]


def turn(x, size, position, base):
    """Rotary positions, neighbouring values as pairs."""
    out = list(x)
    for begin in range(0, len(x), size):
        for i in range(0, size, 2):
            angle = position * base ** (-i / size)
            a, b = x[begin + i], x[begin + i + 1]
            out[begin + i] = a * math.cos(angle) - b * math.sin(angle)
            out[begin + i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return out


class PerplexityOfAModel(Case):
    def setUp(self):
        super().setUp()
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (tools/setup-llama.sh)")
        self.model = self.path("m.gguf")
        done = self.prony("synth", "llama", "--params", "160k", "--quant", "f32", "--seed", "3", "-o", self.model)
        self.assertEqual(done.returncode, 0, done.err)

    def talk(self, *messages):
        text = "".join(json.dumps(m) + "\n" for m in ({"type": "load", "model": self.model, "threads": 1}, *messages,
                                                      {"type": "stop"}))
        worker = subprocess.Popen([program("prony-engine-llama")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, env=self.environment())
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        worker.stdin.write(text.encode())
        worker.stdin.flush()
        replies = [json.loads(worker.stdout.readline()) for _ in range(len(messages) + 2)]
        worker.stdin.close()
        worker.stdout.close()
        return replies[2:]

    def corpus(self):
        """Bytes that no piece of the vocabulary holds, so that each is a token of its own, and their ids."""
        gguf = Gguf(self.model)
        vocabulary = gguf.keys["tokenizer.ggml.tokens"]
        text = "".join(chr(1 + (7 * i) % 8) for i in range(20))
        own = [vocabulary.index(f"<0x{ord(c):02X}>") for c in text]
        counts, = self.talk({"type": "tokenise", "texts": [text]})
        before = counts["counts"][0] - len(own) - 1  # beside the begin token, what stands for the blank before a text
        self.assertIn(before, (0, 1, 3))
        blank = {0: [], 1: [vocabulary.index("\u2581") if "\u2581" in vocabulary else -1],
                 3: [vocabulary.index(f"<0x{byte:02X}>") for byte in "\u2581".encode()]}[before]
        return text, gguf, [gguf.keys["tokenizer.ggml.bos_token_id"], *blank, *own]

    def test_perplexity_is_that_of_the_same_model_in_plain_python(self):
        text, gguf, tokens = self.corpus()
        whole, chunks, slid = self.talk({"type": "perplexity", "text": text}, {"type": "perplexity", "text": text, "window": 8},
                                        {"type": "perplexity", "text": text, "window": 8, "stride": 3})
        losses = gguf.losses(tokens)
        self.assertEqual((whole["tokens"], whole["begin_token"]), (len(tokens) - 1, True))
        (count, nll, squares), = whole["windows"]
        self.assertEqual(count, len(losses))
        self.assertAlmostEqual(nll / sum(losses), 1, delta=2e-3)  # llama.cpp keeps keys and values in 16 bits
        self.assertAlmostEqual(squares / sum(v * v for v in losses), 1, delta=4e-3)
        body = tokens[1:]
        for at, (count, nll, _) in zip(range(0, len(body), 7), chunks["windows"]):
            alone = gguf.losses([tokens[0], *body[at:at + 7]])
            self.assertEqual(count, len(alone))
            self.assertAlmostEqual(nll / sum(alone), 1, delta=2e-3)
        self.assertEqual(sum(window[0] for window in slid["windows"]), len(body))
        second = gguf.losses([tokens[0], *body[3:10]])[-3:]
        self.assertAlmostEqual(slid["windows"][1][1] / sum(second), 1, delta=2e-3)

    def test_the_command_tells_it_with_its_standard_error(self):
        with open(self.path("corpus.txt"), "w", encoding="utf-8") as file:
            file.write("The measured energy is never less than the energy used. " * 40)
        done = self.prony("quality", "--perplexity", self.path("corpus.txt"), "--model", self.model, "--window", "64", "--json")
        self.assertEqual(done.returncode, 0, done.err)
        told = json.loads(done.out)
        self.assertAlmostEqual(math.log(told["perplexity"]), told["mean_nll_nats"], places=6)
        self.assertGreater(told["standard_error"], 0)
        self.assertGreater(told["standard_error_by_window"], 0)
        self.assertEqual(told["scored_tokens"], told["corpus_tokens"])
        done = self.prony("quality", "--perplexity", self.path("corpus.txt"), "--model", self.model, "--window", "64")
        self.assertRegex(done.out, r"perplexity +[0-9.]+ ± [0-9.]+ \(standard error")

    def test_what_is_not_there_is_said(self):
        for words, said in ((["--model", self.path("absent.gguf")], "absent.gguf"), ([], "no model"),
                            (["--model", self.model, "--engine", "ollama"], "--engine")):
            with open(self.path("c.txt"), "w", encoding="utf-8") as file:
                file.write("text")
            done = self.prony("quality", "--perplexity", self.path("c.txt"), *words)
            self.assertEqual(done.returncode, 125, done.err)
            self.assertIn(said, done.err)


class Instructions(Case):
    PROMPTS = [{"key": 1, "prompt": "Write without a comma.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
               {"key": 2, "prompt": "Quote it, in two words at least.", "kwargs": [{}, {"num_words": 2, "relation": "at least"}],
                "instruction_id_list": ["startend:quotation", "length_constraints:number_words"]}]

    def write(self, name, rows):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return self.path(name)

    def test_stored_answers_are_judged_strictly_and_loosely(self):
        answers = self.write("a.jsonl", [{"prompt": self.PROMPTS[0]["prompt"], "response": "Here, as told:\nno comma"},
                                         {"id": "2", "answer": "\"two words\""}])
        done = self.prony("quality", "--answers", answers, "--prompts", self.write("p.jsonl", self.PROMPTS), "--json")
        self.assertEqual(done.returncode, 0, done.err)
        told, = json.loads(done.out)
        self.assertEqual([(told[k]["followed"], told[k]["of"]) for k in ("prompt_strict", "prompt_loose", "instruction_strict",
                                                                        "instruction_loose")], [(1, 2), (2, 2), (2, 3), (3, 3)])
        done = self.prony("quality", "--answers", answers, "--prompts", self.path("p.jsonl"))
        self.assertIn("punctuation:no_comma", done.out)

    def test_a_prompt_without_an_answer_and_an_answer_to_nothing_are_no_success(self):
        prompts = self.write("p.jsonl", [dict(self.PROMPTS[0], key=key, prompt=f"Write {key} lines without a comma.")
                                         for key in (1, 2, 3, 4)])
        rows = [{"id": str(key), "response": "none"} for key in (1, 2, 3, 4)]

        def judged(kept, code):
            words = ["quality", "--answers", self.write("a.jsonl", kept), "--prompts", prompts]
            done, as_json = self.prony(*words), self.prony(*words, "--json")
            self.assertEqual((done.returncode, as_json.returncode), (code, code), done.err)
            return done.out, json.loads(as_json.out)[0]

        judged(rows, 0)
        text, told = judged(rows[:2], 1)
        self.assertRegex(text, "WARNING +2 prompts have no answer and are in no share: 3, 4")
        self.assertEqual((told["answers"], told["unanswered"], told["prompt_strict"]["of"]), (2, 2, 2))
        self.assertEqual([row["id"] for row in told["requests"] if "absent" in row], ["3", "4"])
        text, told = judged([*rows, {"id": "77", "response": "none"}], 1)
        self.assertRegex(text, "WARNING +1 answers are to none of the prompts")
        self.assertEqual((told["answers"], told["unknown"]), (4, 1))
        text, told = judged([*rows[:3], {"id": "4", "response": None}], 1)
        self.assertRegex(text, "WARNING +1 requests have no answer")
        self.assertEqual((told["answers"], told["missing"]), (3, 1))

    def test_an_answer_that_is_there_twice_counts_once_and_two_that_differ_are_refused(self):
        prompts = self.write("p.jsonl", self.PROMPTS)
        rows = [{"key": 1, "response": "none"}, {"key": 2, "response": "\"two words\""}]
        words = ["quality", "--answers", self.path("a.jsonl"), "--prompts", prompts]
        self.write("a.jsonl", [*rows, rows[0], {"prompt": self.PROMPTS[1]["prompt"], "response": rows[1]["response"]}])
        done, as_json = self.prony(*words), self.prony(*words, "--json")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertRegex(done.out, "left out +2 answers that were there already")
        told, = json.loads(as_json.out)
        self.assertEqual((told["answers"], told["doubled"], told["prompt_strict"]["of"]), (2, 2, 2))
        self.write("a.jsonl", [*rows, {"key": 1, "response": "one, with a comma"}])
        done = self.prony(*words)
        self.assertEqual((done.returncode, done.out), (125, ""))
        self.assertIn("a.jsonl:3", done.err)
        self.assertIn("a.jsonl:1", done.err)
        self.write("a.jsonl", [*rows, {"id": "1#2", "response": "one, with a comma"}])
        told, = json.loads(self.prony(*words, "--json").out)
        self.assertEqual((told["answers"], told["prompt_strict"]["of"]), (3, 3))

    def test_answers_of_a_run_are_judged_from_the_run_alone_and_a_failed_request_is_no_success(self):
        if program("prony-engine-llama") is None:
            self.skipTest("prony-engine-llama was not built (tools/setup-llama.sh)")
        self.assertEqual(self.prony("synth", "llama", "--params", "160k", "-o", self.path("m.gguf")).returncode, 0)
        words = ["llm", "--model", self.path("m.gguf"), "--prompts", self.write("p.jsonl", self.PROMPTS), "--max-tokens", "8",
                 "--threads", "1", "--out"]
        done = self.prony(*words, self.path("x.prony"), "--keep-output")
        self.assertEqual(done.returncode, 0, done.err)
        os.remove(self.path("p.jsonl"))
        done = self.prony("quality", self.path("x.prony"), "--json")
        self.assertEqual(done.returncode, 0, done.err)
        told, = json.loads(done.out)
        self.assertEqual((told["answers"], told["missing"], told["instruction_strict"]["of"]), (2, 0, 3))
        self.write("p.jsonl", self.PROMPTS)
        done = self.prony(*words, self.path("y.prony"), "--keep-output", env={"PRONY_ENGINE_FAULT": "error-at:2"})
        done = self.prony("quality", self.path("y.prony"))
        self.assertEqual(done.returncode, 1, done.out)
        self.assertRegex(done.out, "WARNING +1 requests have no answer")
        self.assertEqual(self.prony(*words, self.path("z.prony")).returncode, 0)
        done = self.prony("quality", self.path("z.prony"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("--keep-output", done.err)

    def test_bad_files_are_errors_by_line(self):
        prompts = self.write("p.jsonl", self.PROMPTS)
        for rows, said in (([{"response": "x"}], ":1"), ([{"id": "1", "response": "x"}, {"id": "1"}], ":2"), ([], "no answer"),
                           ([{"id": "9", "response": "x"}], "no answer has an instruction")):
            done = self.prony("quality", "--answers", self.write("a.jsonl", rows), "--prompts", prompts)
            self.assertEqual(done.returncode, 125, rows)
            self.assertIn(said, done.err)
        self.assertEqual(self.prony("quality").returncode, 125)


if __name__ == "__main__":
    harness.main()
