"""What `prony llm` asks: forms of prompt files, made prompts of a length, order, conversations, requests called off,
several models, batching inside llama.cpp, modes of sampling. On a small synthetic model, and on scripted servers."""

import json
import os

import fake_llm
import harness
import test_llm
from harness import Case, program


class WithFiles(test_llm.WithModel):
    def file(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)

    def phases(self, kind, name="x"):
        return [span for span in self.table(name + ".prony", "spans") if span["kind"] == "phase" and span["name"] == kind]


class Prompts(WithFiles):
    def test_forms_of_prompt_files_are_told_by_their_content(self):
        sharegpt = self.file("s.json", [{"id": "a", "conversations": [
            {"from": "human", "value": "One?"}, {"from": "gpt", "value": "one two three"}]}])
        summary = self.llm("--prompts", sharegpt)
        self.assertEqual([r["id"] for r in summary["requests"]], ["a"])
        self.assertLessEqual(summary["requests"][0]["output_tokens"], 4)  # three words
        ifeval = self.file("i.jsonl", '{"key":1000,"prompt":"Write.","instruction_id_list":["a:b"],"kwargs":[{}]}\n')
        self.assertEqual(self.llm("--prompts", ifeval, "--max-tokens", "2", name="i")["requests"][0]["id"], "1000")
        done = self.prony("llm", "--model", self.model, "--prompts", self.file("c.csv", "prompt,max_tokens\nHi,x\n"))
        self.assertEqual(done.returncode, 125)
        self.assertRegex(done.err, r"max_tokens.*c\.csv:2")

    def test_made_prompts_come_out_as_long_as_was_asked(self):
        summary = self.llm("--synthetic", "6 in:uniform(60,300) out:5", "--ignore-eos", "--shared-prefix", "40:2")
        self.assertTrue(summary["lengths_kept"])
        self.assertEqual(len(summary["requests"]), 6)
        for row in summary["requests"]:
            self.assertEqual(row["output_tokens"], 5)
            self.assertTrue(row["prompt_length_kept"], row)
            self.assertLessEqual(abs(row["prompt_tokens"] - row["asked_prompt_tokens"]),
                                 max(4, 0.05 * row["asked_prompt_tokens"] + 1))
        self.assertEqual({row["group"] for row in summary["requests"]}, {"prefix 1", "prefix 2"})
        self.assertEqual(len(self.phases("warm-up")), 2, "the calibration is no request")
        self.assertIn("asked", self.summary_text)

    def test_an_order_and_a_range_by_the_engines_own_tokeniser(self):
        prompts = self.prompts("b " * 40, "a", "c " * 10, "d " * 200)
        summary = self.llm("--prompts", prompts, "--order", "sorted", "--prompt-tokens", "..150", "--max-tokens", "1")
        self.assertEqual([r["id"] for r in summary["requests"]], ["p2", "p3", "p1"])
        counts = [r["prompt_tokens"] for r in summary["requests"]]
        self.assertEqual(counts, sorted(counts))
        orders = {tuple(r["id"] for r in self.llm("--prompts", prompts, "--order", "shuffled", "--seed", str(seed),
                                                  "--max-tokens", "1", name=f"o{seed}")["requests"]) for seed in range(1, 5)}
        self.assertGreater(len(orders), 1)

    def test_a_longer_prompt_is_cut_and_an_answer_kept_going_as_asked(self):
        summary = self.llm("--prompts", self.prompts("word " * 300), "--truncate-prompt", "32", "--min-tokens", "3",
                           "--max-tokens", "6")
        row = summary["requests"][0]
        self.assertEqual(row["prompt_tokens"], 32)
        self.assertGreater(row["truncated_tokens"], 100)
        self.assertTrue(row["output_length_kept"])

    def test_a_conversation_goes_on_with_its_answers_and_takes_its_beginning_from_the_cache(self):
        conversation = [{"from": who, "value": f"{who} says {n}"} for n in range(3) for who in ("human", "gpt")]
        summary = self.llm("--prompts", self.file("s.json", [{"id": "a", "conversations": conversation}]), "--turns", "all",
                           "--turn-think", "1ms", "--max-tokens", "8")
        rows = summary["requests"]
        self.assertEqual([r["id"] for r in rows], ["a.1", "a.2", "a.3"])
        self.assertEqual(rows[0]["cached_tokens"], 0)
        for earlier, later in zip(rows, rows[1:]):
            self.assertGreater(later["prompt_tokens"], earlier["prompt_tokens"])
            self.assertGreater(later["cached_tokens"], 0)
        self.assertEqual(len(self.phases("think")), 2)
        self.assertIn("came from the cache", self.summary_text)

    def test_several_models_are_a_section_each_of_one_run(self):
        other = os.path.join(harness.BUILD, "e2e-160k.gguf")
        if not os.path.exists(other):
            self.assertEqual(self.prony("synth", "llama", "--params", "160k", "-o", other).returncode, 0)
        summary = self.llm("--model", other, "--model-gap", "1ms", "--prompts", self.prompts("One", "Two"), "--max-tokens", "4")
        self.assertEqual([m["requests_ok"] for m in summary["models"]], [2, 2])
        self.assertEqual([r["id"] for r in summary["requests"]],
                         ["e2e-15M.gguf/p1", "e2e-15M.gguf/p2", "e2e-160k.gguf/p1", "e2e-160k.gguf/p2"])
        self.assertEqual(len(self.phases("load")), 2)
        self.assertIn("e2e-160k.gguf", self.summary_text)

    def test_a_test_of_intrusion_compares_rounds_with_and_without_the_sampler(self):
        summary = self.llm("--prompts", self.prompts("One", "Two", "Three"), "--max-tokens", "8", "--ignore-eos",
                           "--intrusion-test")
        self.assertEqual(len(summary["requests"]), 12)
        found = summary["intrusion"]
        self.assertEqual(found["pairs"], 3)
        self.assertAlmostEqual(found["difference_s_per_output_token"],
                               found["on_s_per_output_token"] - found["off_s_per_output_token"], places=9)
        self.assertLessEqual(found["difference_low_s"], found["difference_s_per_output_token"])
        self.assertGreaterEqual(found["difference_high_s"], found["difference_s_per_output_token"])
        self.assertIn("prony_cpu_share_on", found)
        self.assertIn("intrusion", self.summary_text)

    def test_modes_of_sampling_tick_when_they_say(self):
        ticks = {}
        for mode in ("continuous", "while-requests", "after-each"):
            summary = self.llm("--prompts", self.prompts("One", "Two"), "--max-tokens", "4", "--gap", "400ms", "--sampling",
                               mode, name=mode)
            self.assertEqual(len(summary["requests"]), 2)
            ticks[mode] = max(lane["ticks"] for lane in summary["sampler"]["lanes"])
        self.assertGreater(ticks["continuous"], ticks["while-requests"])
        self.assertLess(ticks["after-each"], ticks["continuous"])
        self.assertGreaterEqual(ticks["after-each"], 2)
        done = self.prony("llm", "--model", self.model, "--sampling", "never")
        self.assertEqual(done.returncode, 125)
        self.assertIn("while-requests", done.err)


class Batching(WithFiles):
    TEXTS = ("Why is the sky blue?", "One", "Tell me a long story about the sea and the people who live by it.", "Two plus two",
             "Write a poem", "Name ten towns of the north", "A b c", "What is the time?", "x", "The end of the matter is")

    def answers(self, *options, name):
        summary = self.llm("--prompts", self.prompts(*self.TEXTS), "--max-tokens", "12", "--keep-output", "--ignore-eos",
                           *options, name=name)
        return summary, {row["id"]: row["answer"] for row in summary["requests"]}

    def steps(self, name):
        return [s for s in self.table(name + ".prony", "spans") if s["kind"] == "phase" and s["name"] == "step"]

    def test_an_answer_is_the_same_alone_and_beside_others_whatever_the_batching(self):
        _, alone = self.answers(name="alone")
        self.assertEqual(len(alone), len(self.TEXTS))
        for kind in ("static:4", "dynamic:256", "sorted:3", "continuous:4"):
            name = kind.replace(":", "-")
            summary, together = self.answers("--batching", kind, name=name)
            self.assertEqual(together, alone, kind)
            steps, requests = self.steps(name), summary["requests"]
            # Every token was computed in exactly one step; the first output token comes with the end of the prompt.
            self.assertEqual(sum(s.get("prefill_tokens", 0) for s in steps), sum(r["prompt_tokens"] for r in requests), kind)
            self.assertEqual(sum(s.get("decode_tokens", 0) for s in steps), sum(r["output_tokens"] - 1 for r in requests), kind)
            for earlier, later in zip(steps, steps[1:]):
                self.assertLessEqual(earlier["end_ns"], later["begin_ns"])
            most = max(s["sequences"] for s in steps)
            self.assertGreater(most, 1, kind)
            if not kind.startswith("dynamic"):
                self.assertLessEqual(most, int(kind.split(":")[1]))
            self.assertNotIn("step", {p["name"] for p in summary["phases"]})

    def test_only_continuous_batching_begins_a_prompt_beside_running_answers(self):
        mixed = {}
        lengths = self.file("l.jsonl", "".join(json.dumps({"prompt": text, "max_tokens": 4 + 3 * number}) + "\n"
                                               for number, text in enumerate(self.TEXTS)))
        for kind in ("static:4", "continuous:4"):
            name = kind.replace(":", "-")
            self.llm("--prompts", lengths, "--ignore-eos", "--batching", kind, name=name)
            mixed[kind] = [s for s in self.steps(name) if s.get("prefill_tokens", 0) > 0 and s.get("decode_tokens", 0) > 0]
        self.assertEqual(mixed["static:4"], [])
        self.assertNotEqual(mixed["continuous:4"], [])

    def test_a_prompt_that_fits_no_budget_fails_alone(self):
        summary = self.llm("--prompts", self.prompts("short", "word " * 43, "brief"), "--max-tokens", "4", "--batching",
                           "dynamic:128", code=1)
        self.assertEqual([r["status"] for r in summary["requests"]], ["ok", "failed", "ok"])
        self.assertIn("budget", self.summary_text)

    def test_requests_called_off_are_waste_and_no_failure(self):
        for extra, name in (((), "one"), (("--batching", "continuous:4"), "many")):
            summary = self.llm("--prompts", self.prompts(*self.TEXTS), "--max-tokens", "40", "--ignore-eos",
                               "--cancel-rate", "0.4", "--cancel-after", "0ms", "--seed", "3", *extra, name=name)
            off = [r for r in summary["requests"] if r.get("cancelled")]
            self.assertEqual(len(off), summary["requests_cancelled"])
            self.assertTrue(0 < len(off) < len(self.TEXTS))
            for row in off:
                self.assertEqual((row["status"], row["finish"]), ("ok", "cancelled"))
                self.assertLess(row["output_tokens"], 40)
            self.assertIn("called off by the client", self.summary_text)

    def test_a_batching_that_does_not_exist_is_refused(self):
        done = self.prony("llm", "--model", self.model, "--batching", "static:0", "--out", self.path("y.prony"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("continuous:N", done.err)


class Servers(Case):
    def setUp(self):
        super().setUp()
        if program("prony-engine-http") is None:
            self.skipTest("prony-engine-http was not built")

    def llm(self, kind, engine, *options, code=0, content=None):
        server = kind()
        self.addCleanup(server.close)
        with open(self.path("p.json"), "w", encoding="utf-8") as file:
            json.dump(content, file)
        done = self.prony("llm", "--engine", engine, "--url", server.url, "--model", "tiny", "--prompts", self.path("p.json"),
                          "--out", self.path("x.prony"), "--json", self.path("x.json"), *options)
        self.assertEqual(done.returncode, code, done.err)
        self.err = done.err
        return server, self.load("x.json") if os.path.exists(self.path("x.json")) else None

    TALK = [{"id": "a", "conversations": [{"from": "system", "value": "Be short."}, {"from": "human", "value": "[plain] 1"},
                                          {"from": "gpt", "value": "no"}, {"from": "human", "value": "[plain] 2"}]}]

    def test_chat_dialects_get_the_conversation_as_messages_with_their_own_answers(self):
        said = "".join(fake_llm.WORDS)
        for kind, engine in ((fake_llm.OpenAi, "openai"), (fake_llm.Ollama, "ollama")):
            with self.subTest(engine=engine):
                server, summary = self.llm(kind, engine, "--turns", "all", content=self.TALK)
                messages = [m["messages"] for _, path, m, _ in server.seen if path.endswith(("/chat", "/chat/completions"))]
                self.assertEqual(messages[-1], [{"role": "system", "content": "Be short."},
                                                {"role": "user", "content": "[plain] 1"},
                                                {"role": "assistant", "content": said},
                                                {"role": "user", "content": "[plain] 2"}])
                self.assertEqual([r["id"] for r in summary["requests"]], ["a.1", "a.2"])
                self.assertEqual([r["session"] for r in summary["requests"]], ["a", "a"])
                for suffix in ("prony", "json"):
                    os.remove(self.path("x." + suffix))

    def test_a_length_that_the_server_does_not_keep_is_a_warning_and_a_flag(self):
        # The fake always answers with six tokens.
        _, summary = self.llm(fake_llm.OpenAi, "openai", "--ignore-eos", "--max-tokens", "9",
                              content=[{"id": "a", "prompt": "[plain] x"}])
        row = summary["requests"][0]
        self.assertEqual((row["asked_output_tokens"], row["output_tokens"]), (9, 6))
        self.assertIs(row["output_length_kept"], False)
        self.assertIs(summary["lengths_kept"], False)
        self.assertRegex(self.err, r"WARNING[^\n]*did not keep to the length")

    def test_an_answer_that_ends_in_a_loop_is_noticed(self):
        words = fake_llm.WORDS
        self.addCleanup(setattr, fake_llm, "WORDS", words)
        fake_llm.WORDS = ["One", " day"] + [" and", " so", " on"] * 20
        _, summary = self.llm(fake_llm.OpenAi, "openai", content=[{"id": "a", "prompt": "[plain] x"}])
        text = "".join(fake_llm.WORDS)
        # All but the beginning repeats; a blank more of it fits the piece.
        self.assertAlmostEqual(summary["requests"][0]["loop_share"], 1 - len("One day") / len(text), delta=2 / len(text))
        self.assertEqual(summary["answers_ending_in_a_loop"], 1)
        self.assertIn("in a loop", self.err)

    def test_a_client_that_goes_is_counted_apart(self):
        _, summary = self.llm(fake_llm.OpenAi, "openai", "--cancel-rate", "1", "--cancel-after", "0ms",
                              content=[{"id": "a", "prompt": "[hang] x"}, {"id": "b", "prompt": "[hang] y"}])
        self.assertEqual(summary["requests_cancelled"], 2)
        self.assertEqual([r["status"] for r in summary["requests"]], ["ok", "ok"])
        self.assertEqual([r["finish"] for r in summary["requests"]], ["cancelled", "cancelled"])


if __name__ == "__main__":
    harness.main()
