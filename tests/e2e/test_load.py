"""`prony llm` under load: arrivals, ends of every request, service levels, and the truth of the client's stamps.

Scripted servers; real ones are in tests/engines. No timing is asserted but what a server's own sleeps make certain.
"""

import json
import os
import re
import resource
import signal
import subprocess
import threading
import time

import fake_llm
import harness
from harness import program
from test_http_engines import HttpCase


class OneAtATime(fake_llm.OpenAi):
    """Serves one request at a time, each for `service_s`: what comes faster queues up."""

    service_s = 0.05

    def __init__(self, **options):
        self.turn = threading.Lock()
        super().__init__(**options)

    def stream(self, out, fault, chat):
        with self.turn:
            time.sleep(self.service_s)
            return super().stream(out, fault, chat)


class TwoModels(fake_llm.OpenAi):
    def answer(self, out, method, path, message):
        if path == "/v1/models":
            return out.document({"object": "list", "data": [{"id": "tiny"}, {"id": "other"}]})
        return super().answer(out, method, path, message)


class LoadCase(HttpCase):
    def load_of(self, server, *options, faults=("plain",), **more):
        return self.llm("openai", "--url", server.url, "--prompts", self.prompts(*faults), *options, **more)


class Arrivals(LoadCase):
    def test_an_open_load_keeps_its_schedule_and_counts_from_it(self):
        server = self.fake(fake_llm.OpenAi)
        summary = self.load_of(server, "--rate", "50", "--arrivals", "constant", "--requests", "20", "--slo", "ttft=60s,tpot=60s")
        load = summary["load"]
        self.assertEqual((load["mode"], load["requests"], load["answered"], load["failed"], load["cancelled"]),
                         ("open", 20, 20, 0, 0))
        self.assertAlmostEqual(load["offered_requests_per_s"], 50, delta=0.001)
        scheduled = sorted(span["scheduled_ns"] for span in self.spans("request"))
        self.assertEqual({b - a for a, b in zip(scheduled, scheduled[1:])}, {20_000_000})
        for request in summary["requests"]:
            self.assertGreaterEqual(request["sent_late_s"], 0)
        late = [r["sent_late_s"] for r in summary["requests"]]
        from_schedule = [r["ttft_s"] + l for r, l in zip(summary["requests"], late)]
        self.assertAlmostEqual(load["ttft"]["mean_s"], sum(from_schedule) / 20, delta=1e-9)
        self.assertAlmostEqual(load["ttft_from_sending"]["mean_s"], sum(r["ttft_s"] for r in summary["requests"]) / 20,
                               delta=1e-9)
        self.assertEqual((load["output_tokens"], load["prompt_tokens"]), (120, 400))
        self.assertAlmostEqual(load["output_tokens_per_s"] * load["duration_s"], 120, delta=1e-6)
        self.assertAlmostEqual(load["total_tokens_per_s"] * load["duration_s"], 520, delta=1e-6)
        # Twenty requests tell a median and no p90: that takes 64.
        self.assertIn("p50_s", load["ttft"])
        self.assertNotIn("p90_s", load["ttft"])
        self.assertEqual((load["within_slo"], load["share_within_slo"]), (20, 1.0))
        self.assertAlmostEqual(load["goodput_requests_per_s"], load["reached_requests_per_s"], delta=1e-9)
        self.assertIn("open: constant, 50/s", self.err)
        self.assertIn("p90 64", self.err)

    def test_a_queue_in_the_client_is_in_the_times_and_not_hidden_by_it(self):
        """One stream alone may be under way; twenty requests come within 0.2 s and take 0.05 s each: the last one waits for
        0.7 s and more before it is sent. Times that begin at the sending would show none of it."""
        server = self.fake(OneAtATime)
        summary = self.load_of(server, "--rate", "100", "--arrivals", "constant", "--requests", "20", "--streams", "1")
        load = summary["load"]
        self.assertEqual(load["most_under_way"], 1)
        self.assertGreater(load["sent_late"]["max_s"], 0.7)
        self.assertGreater(load["ttft"]["max_s"], load["sent_late"]["max_s"])
        self.assertGreater(load["ttft"]["mean_s"], load["ttft_from_sending"]["mean_s"] + 0.3)
        self.assertGreater(load["e2e"]["mean_s"], load["e2e_from_sending"]["mean_s"] + 0.3)

    def test_a_closed_load_has_its_streams_and_its_end(self):
        server = self.fake(OneAtATime)
        summary = self.load_of(server, "--streams", "4", "--requests", "12")
        load = summary["load"]
        self.assertEqual((load["mode"], load["requests"], load["answered"], load["most_under_way"]), ("closed", 12, 12, 4))
        self.assertNotIn("offered_requests_per_s", load)
        self.assertNotIn("sent_late", load)
        self.assertEqual(sorted(int(r["id"].split("#")[1]) for r in summary["requests"]), list(range(1, 13)))
        summary = self.load_of(server, "--streams", "2", "--for", "300ms", name="t")
        self.assertGreaterEqual(summary["load"]["answered"], 2)
        self.assertEqual(summary["load"]["failed"], 0)

    def test_bursts_and_everything_at_once(self):
        server = self.fake(fake_llm.OpenAi)
        self.load_of(server, "--bursts", "3:100ms", "--requests", "7")
        scheduled = sorted(span["scheduled_ns"] for span in self.spans("request"))
        self.assertEqual([t - scheduled[0] for t in scheduled], [0] * 3 + [100_000_000] * 3 + [200_000_000])
        self.load_of(server, "--all-at-once", "--requests", "9", name="o")
        self.assertEqual(len({span["scheduled_ns"] for span in self.spans("request", "o")}), 1)

    def test_one_seed_gives_one_schedule(self):
        server = self.fake(fake_llm.OpenAi)
        gaps = []
        for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
            self.load_of(server, "--rate", "200", "--requests", "30", "--seed", seed, name=name)
            at = sorted(span["scheduled_ns"] for span in self.spans("request", name))
            gaps.append([b - a for a, b in zip(at, at[1:])])
        self.assertEqual(gaps[0], gaps[1])
        self.assertNotEqual(gaps[0], gaps[2])

    def test_a_trace_is_played_with_its_times_lengths_and_common_beginnings(self):
        with open(self.path("t.jsonl"), "w", encoding="utf-8") as file:
            for at, length, out, blocks in ((5000, 600, 3, [7, 8]), (5200, 700, 5, [7, 9]), (5600, 20, 6, [])):
                file.write(json.dumps({"timestamp": at, "input_length": length, "output_length": out, "hash_ids": blocks}) + "\n")
        server = self.fake(fake_llm.OpenAi)
        summary = self.llm("openai", "--url", server.url, "--trace", self.path("t.jsonl"), "--time-scale", "0.5")
        self.assertEqual(summary["load"]["answered"], 3)
        scheduled = sorted(span["scheduled_ns"] for span in self.spans("request"))
        self.assertEqual([t - scheduled[0] for t in scheduled], [0, 100_000_000, 300_000_000])
        asked = [message for _, path, message, _ in server.seen if path.endswith("completions")]
        asked.sort(key=lambda m: m["max_tokens"])
        self.assertEqual([m["max_tokens"] for m in asked], [3, 5, 6])
        texts = [server.text_of(m).split() for m in asked]
        self.assertEqual([len(words) for words in texts], [600, 700, 20])
        self.assertEqual(texts[0][:512], texts[1][:512])
        self.assertNotEqual(texts[0][512:], texts[1][512:600])
        with open(self.path("t.jsonl"), "a", encoding="utf-8") as file:
            file.write("{\n")
        done = self.prony("llm", "--engine", "openai", "--url", server.url, "--model", "tiny", "--trace", self.path("t.jsonl"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("t.jsonl:4", done.err)

    def test_words_that_do_not_go_together_are_refused_by_name_before_anything_runs(self):
        server = self.fake(fake_llm.OpenAi)
        for options, words in ((("--rate", "5", "--all-at-once"), "--all-at-once"),
                               (("--rate", "0"), "--rate"), (("--rate", "nan"), "--rate"),
                               (("--find-knee", "5"), "--slo ttft"), (("--slo", "ttft=5"), "--slo"),
                               (("--think", "1s", "--rate", "5"), "--think"), (("--streams", "2", "--gap", "1s"), "--think"),
                               (("--streams", "5000"), "--streams"), (("--streams", "0"), "from 1 to"), (("--requests", "0"), "from 1 to"),
                               (("--cancel-rate", "1.5"), "--cancel-rate: Value 1.5"),
                               (("--arrivals", "poisson"), "--rate R"),
                               (("--scenario", "server"), "--rate R"), (("--scenario", "x"), "single-stream"),
                               (("--sweep", "1,2"), "--sweep rate:1,2,4,8"), (("--trace", "/no/such"), "/no/such"),
                               (("--streams", "2", "--intrusion-test"), "depends on the others"),
                               (("--streams", "2", "--sampling", "after-each"), "no time between requests"),
                               (("--streams", "2", "--batching", "static:4"), "--batching"),
                               (("--scenario", "offline", "--model", "b"), "once for each"),
                               (("--time-scale", "2"), "--trace FILE"), (("--rate", "1e6", "--for", "1h"), "--for")):
            done = self.prony("llm", "--engine", "openai", "--url", server.url, "--model", "tiny", "--out", self.path("n.prony"),
                              *options)
            self.assertEqual(done.returncode, 125, (options, done.err))
            self.assertIn(words, done.err, options)
        self.assertEqual(server.prompts(), [])

    def test_the_help_page_names_every_option(self):
        text = self.prony("help", "load").out
        for name in ("streams", "think", "rate", "arrivals", "ramp", "bursts", "all-at-once", "trace", "time-scale", "requests",
                     "for", "slo", "sweep", "find-knee", "scenario"):
            self.assertIn(f"--{name}", text)


class Ends(LoadCase):
    def test_what_fails_is_no_success_and_not_in_the_times(self):
        server = self.fake(fake_llm.OpenAi)
        summary = self.load_of(server, "--all-at-once", "--slo", "ttft=60s", code=1,
                               faults=("plain", "too-many", "close-at-once", "crlf", "closes-in-mid-stream", "last"))
        load = summary["load"]
        self.assertEqual((load["requests"], load["answered"], load["failed"]), (6, 3, 3))
        self.assertEqual(load["ttft"]["count"], 3)
        self.assertEqual((load["within_slo"], load["judged_by_slo"]), (3, 6))  # a failure is never within
        self.assertIn("3 failed", self.err)

    def test_what_cannot_be_judged_is_not_called_good(self):
        server = self.fake(fake_llm.OpenAi)
        summary = self.load_of(server, "--all-at-once", "--slo", "tpot=60s", faults=("plain", "no-usage"))
        self.assertEqual((summary["load"]["within_slo"], summary["load"]["judged_by_slo"]), (1, 1))
        self.assertNotIn("total_tokens_per_s", summary["load"])  # one of two answers told its tokens
        self.assertIn("1 not judged", self.err)

    def test_a_client_that_dies_in_mid_load_leaves_each_request_one_end(self):
        for fault in ("crash-at:10", "garbage-at:10"):
            name = fault.split("-", maxsplit=1)[0]
            server = self.fake(OneAtATime)
            summary = self.load_of(server, "--all-at-once", "--requests", "30", "--streams", "8", code=1, name=name,
                                   env={"PRONY_ENGINE_FAULT": fault})
            facts = self.facts(name)
            ends = [int(facts[f"load.{end}"]) for end in ("ok", "failed", "cancelled", "not_begun")]
            self.assertEqual(sum(ends), 30, (fault, ends))
            self.assertGreater(ends[1], 0)
            statuses = [r["status"] for r in summary["requests"]]
            self.assertEqual(len(statuses), len({r["id"] for r in summary["requests"]}))
            self.assertGreaterEqual(len(statuses), 10)
            # What ran when the driver gave the client up has failed by all accounts, whatever the client wrote of its end.
            lost = set(facts["requests.failed"].split(","))
            self.assertEqual({r["id"] for r in summary["requests"] if r["status"] != "ok"},
                             lost & {r["id"] for r in summary["requests"]})
            self.assertEqual((summary["load"]["cancelled"], ends[2]), (0, 0))
            self.assertNotIn("cancelled", [row["why"] for row in summary["request_energy"]["waste"]])
            self.assertEqual(statuses.count("ok"), summary["load"]["answered"])
            self.assertEqual(len(statuses), summary["load"]["answered"] + summary["load"]["cancelled"] + summary["load"]["failed"])
            self.assertLessEqual(summary["load"]["answered"], 30 - ends[1])

    def test_ctrl_c_ends_a_load_and_names_what_was_not_begun(self):
        server = self.fake(OneAtATime)
        command = [program("prony"), "llm", "--engine", "openai", "--url", server.url, "--model", "tiny", "--prompts",
                   self.prompts("plain"), "--rate", "4", "--for", "10m", "--out", self.path("x.prony"), "--json",
                   self.path("x.json")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
                              env=self.environment(), start_new_session=True) as process:
            watch = threading.Timer(60, process.kill)
            watch.start()
            self.addCleanup(watch.cancel)
            while len(server.prompts()) < 3 and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(2)
            self.err = process.communicate()[1]
        facts = self.facts()
        self.assertEqual(sum(int(facts[f"load.{end}"]) for end in ("ok", "failed", "cancelled", "not_begun")) > 100, True)
        self.assertIn("not run", self.err)
        self.assertEqual(self.load("x.json")["load"]["failed"], 0)

    def test_once_the_load_is_over_a_signal_ends_the_program_and_the_run_is_whole(self):
        """Its summary is held up where nobody reads it: of very many requests it takes as long by itself."""
        server = self.fake(fake_llm.OpenAi)
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                name = f"s{int(number)}"
                os.mkfifo(self.path(name + ".json"))
                command = [program("prony"), "llm", "--engine", "openai", "--url", server.url, "--model", "tiny", "--prompts",
                           self.prompts("plain"), "--streams", "2", "--requests", "4", "--out", self.path(name + ".prony"),
                           "--json", self.path(name + ".json")]
                with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                      text=True, env=self.environment(), start_new_session=True) as process:
                    watch = threading.Timer(120, process.kill)
                    watch.start()
                    self.addCleanup(watch.cancel)
                    for line in process.stderr:  # the summary's last line: what comes next is the file
                        if line.startswith(" saved"):
                            break
                    process.send_signal(number)
                    told = process.stderr.read()
                    self.assertEqual(process.wait(), -number, told)
                self.assertIn("the Run is whole", told)
                shown = self.prony("show", self.path(name + ".prony"))
                self.assertEqual(shown.returncode, 0, shown.err)
                self.assertIn("4 answered", shown.out)


class Levels(LoadCase):
    def test_a_sweep_is_one_run_with_a_row_for_each_level(self):
        server = self.fake(OneAtATime)
        summary = self.load_of(server, "--sweep", "streams:1,2,4", "--requests", "8", "--slo", "e2e=60s")
        levels = summary["load"]["levels"]
        self.assertEqual([level["name"] for level in levels], ["1 stream", "2 streams", "4 streams"])
        self.assertEqual([level["most_under_way"] for level in levels], [1, 2, 4])
        self.assertEqual([level["answered"] for level in levels], [8, 8, 8])
        self.assertEqual(len({r["id"] for r in summary["requests"]}), 24)
        self.assertEqual([r["level"] for r in summary["requests"]], [1] * 8 + [2] * 8 + [3] * 8)

    def test_several_models_have_a_row_each_of_one_load(self):
        server = self.fake(TwoModels)
        summary = self.load_of(server, "--model", "other", "--streams", "2", "--requests", "4")
        levels = summary["load"]["levels"]
        self.assertEqual([level["name"] for level in levels], ["tiny: 2 streams", "other: 2 streams"])
        self.assertEqual([level["answered"] for level in levels], [4, 4])
        self.assertEqual([r["model"] for r in summary["requests"]], ["tiny"] * 4 + ["other"] * 4)
        self.assertEqual(self.facts()["load.sent"], "8")

    def test_conversations_go_on_under_a_load_with_the_answers_that_they_got(self):
        talks = [{"id": name, "conversations": [{"from": who, "value": "[plain] " + name + str(n)} for n in range(3)
                                                for who in ("human", "gpt")]} for name in "abc"]
        for options in (("--streams", "2"), ("--rate", "50")):
            with self.subTest(options=options):
                server = self.fake(fake_llm.OpenAi)
                with open(self.path("talks.json"), "w", encoding="utf-8") as file:
                    json.dump(talks, file)
                summary = self.llm("openai", "--url", server.url, "--prompts", self.path("talks.json"), "--turns", "all",
                                   "--turn-think", "1ms", *options, name="t" + options[0][2:])
                self.assertEqual(summary["load"]["answered"], 9)
                ends = {}
                for row in sorted(summary["requests"], key=lambda r: r["begin_s"]):
                    self.assertGreaterEqual(row["begin_s"], ends.get(row["session"], 0))
                    ends[row["session"]] = row["begin_s"] + row["e2e_s"]
                asked = [m["messages"] for _, path, m, _ in server.seen if path.endswith("/chat/completions")]
                self.assertEqual(sorted(len(messages) for messages in asked), [1, 1, 1, 3, 3, 3, 5, 5, 5])
                for messages in asked:  # what was said before is what this server answered
                    self.assertEqual({m["content"] for m in messages if m["role"] == "assistant"},
                                     {"".join(fake_llm.WORDS)} if len(messages) > 1 else set())
        for option in (("--find-knee", "5", "--slo", "ttft=1s"), ("--scenario", "offline")):
            done = self.prony("llm", "--engine", "openai", "--url", server.url, "--model", "tiny", "--out", self.path("n.prony"),
                              "--prompts", self.path("talks.json"), "--turns", "all", *option)
            self.assertEqual(done.returncode, 125, option)
            self.assertIn("--turns", done.err)

    def test_the_search_brackets_what_the_server_bears(self):
        """A server that takes 0.05 s for each, one at a time, cannot bear 40 in a second within 0.5 s for all of 60: the last
        one waits for at least 60 · 0.05 − 60/40 = 1.5 s. What it does bear depends on this machine."""
        server = self.fake(OneAtATime)
        summary = self.load_of(server, "--find-knee", "40", "--requests", "60", "--arrivals", "constant", "--slo", "e2e=500ms")
        load = summary["load"]
        levels = {level["name"]: level for level in load["levels"]}
        self.assertGreaterEqual(len(levels), 2)
        self.assertTrue(levels["constant, 40/s"]["share_within_slo"] < 0.99)
        found = re.search(r"met up to ([\d.]+) requests/s, and no more at ([\d.]+)/s", load["knee"])
        if found:
            self.assertLess(float(found[1]), float(found[2]))
            self.assertLess(float(found[1]), 40)
        else:
            self.assertRegex(load["knee"], r"^the service level is not met even at [\d.]+ requests/s \(")
        self.assertIn("662", load["knee"])

    def test_a_scenario_says_what_its_rules_lack(self):
        server = self.fake(fake_llm.OpenAi)
        summary = self.load_of(server, "--scenario", "single-stream", "--requests", "70", "--for", "1ms")
        scenario = summary["load"]["scenario"]
        self.assertEqual((scenario["name"], scenario["valid"]), ("single-stream", False))
        self.assertEqual(summary["load"]["most_under_way"], 1)
        self.assertGreaterEqual(scenario["early_stopping_estimate_s"], scenario["p90_latency_s"])
        self.assertEqual([r for r in scenario["reasons"] if "600 s" not in r], [])
        summary = self.load_of(server, "--scenario", "multi-stream", "--streams", "4", "--requests", "16", "--for", "1ms", name="m")
        self.assertEqual(summary["load"]["most_under_way"], 4)
        self.assertIn("p99_query_latency_s", summary["load"]["scenario"])
        self.assertEqual(len(summary["load"]["scenario"]["reasons"]), 3)  # time, early stopping, 662 queries
        summary = self.load_of(server, "--scenario", "offline", "--requests", "50", name="o")
        self.assertIn("samples_per_s", summary["load"]["scenario"])
        summary = self.load_of(server, "--scenario", "server", "--rate", "100", "--for", "500ms", "--slo", "mlperf:llama2-70b",
                               name="s")
        self.assertEqual(summary["load"]["requests"], 51)
        self.assertIn("early stopping asks for 459", " ".join(summary["load"]["scenario"]["reasons"]))


class Speed(LoadCase):
    """Against a server that can: every piece holds when it was sent."""

    def server(self, *options):
        process = subprocess.Popen([program("stream_server"), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for clean in (process.wait, process.stdout.close, process.stdin.close, process.kill):
            self.addCleanup(clean)
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}"

    def under_load(self, *options, **more):
        with open(self.path("p.txt"), "w", encoding="utf-8") as file:
            file.write("go on\n")
        return self.llm("openai", "--url", self.url, "--prompts", self.path("p.txt"), *options, **more)

    def test_every_piece_of_many_streams_comes_once_in_order_with_the_kernels_stamp(self):
        self.server("--pieces", "100", "--interval-us", "1000")
        summary = self.under_load("--streams", "40", "--requests", "120", "--keep-output")
        self.assertEqual((summary["load"]["answered"], summary["spans_lost"]), (120, 0))
        spans = {span["name"]: span for span in self.spans("request")}
        ends = {}
        for span in self.spans("token"):
            ends.setdefault(span["parent"], []).append(span["end_ns"])
        for request in summary["requests"]:
            sent = [int(word) for word in request["answer"].split()]
            span = spans[request["id"]]
            self.assertEqual((len(sent), span["chunks"], request["output_tokens"]), (100, 100, 100))
            self.assertEqual(sent, sorted(set(sent)))
            stamps = sorted(ends[span["id"]])
            self.assertEqual(len(stamps), 100)
            for left, came in zip(sent, stamps):
                self.assertLess(left, came)  # nothing arrives before it was sent
        # What is first on each of the 40 connections may be stamped by the read: the kernel begins when it is asked.
        self.assertGreaterEqual(sum(span["stamps"] == "kernel" for span in spans.values()), 80)

    def test_thousands_of_requests_a_second_lose_no_span_and_leave_documents_that_can_be_read(self):
        self.server("--pieces", "3")
        summary = self.under_load("--all-at-once", "--requests", "12000", "--streams", "64")
        load = summary["load"]
        self.assertEqual((load["answered"], load["failed"], load["not_begun"], summary["spans_lost"]), (12_000, 0, 0, 0))
        self.assertEqual((len(summary["requests"]), summary["requests_left_out"]), (10_000, 2000))
        self.assertLess(len(self.err.splitlines()), 150)
        self.assertLess(len(summary["unavailable"]), 200)
        self.assertEqual(len(self.table("x.prony", "requests")), 12_000)

    def test_a_server_that_goes_away_fails_what_is_left_at_once_and_the_words_end_somewhere(self):
        """Requests that are over as they begin must be told at once: the load would wait a minute for each window of them."""
        class Once(fake_llm.OpenAi):
            def answer(self, out, method, path, message):
                if path.endswith("completions"):
                    self.close()
                    return False
                return super().answer(out, method, path, message)
        self.url = self.fake(Once).url
        summary = self.under_load("--all-at-once", "--requests", "3000", "--streams", "16", code=1, name="gone")
        self.assertEqual((summary["load"]["answered"], summary["load"]["failed"]), (0, 3000))
        self.assertLess(summary["load"]["duration_s"], 55)  # windows of 272 that each wait for a minute take ten
        self.assertLess(len(self.err.splitlines()), 200)

    def test_two_thousand_streams_are_open_at_once(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 4096:
            self.skipTest(f"a process may have {hard} open files here")
        self.server("--pieces", "20", "--hold", "2000", "--interval-us", "20000")
        summary = self.under_load("--all-at-once", "--requests", "2000", "--streams", "2000", "--timeout", "60s")
        load = summary["load"]
        self.assertEqual((load["answered"], load["most_under_way"], summary["spans_lost"]), (2000, 2000, 0))
        self.assertEqual(load["output_tokens"], 40_000)
        self.assertEqual({span["chunks"] for span in self.spans("request")}, {20})


if __name__ == "__main__":
    harness.main()
