"""`prony llm` under load while its client, or Prony itself, is killed by SIGKILL: in each phase of a request, and at any instant.

What was measured until then is in the Run, every request has one end, and nothing of it looks like a success.
"""

import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

import fake_llm
import harness
from harness import program
from test_http_engines import HttpCase

ANSWERED = 3  # requests that the server answers before it stops at the place
STREAMS = 4
REQUESTS = 12


class Held(fake_llm.OpenAi):
    """Answers ANSWERED requests, each on a connection of its own, and stops at `place` with all that come then: "waiting" for
    the first byte, "mid-stream", while they are still "sending", or in "connect". `reached` is set once every stream of the
    client's is there: then it has read all that was answered."""

    def __init__(self, place, **options):
        self.place = place
        self.reached = threading.Event()
        self.released = threading.Event()
        self.turn = threading.Lock()
        self.begun = self.held = self.closed = 0
        super().__init__(**options)
        if place == "sending":  # the kernel takes little of what nobody reads
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    def close(self):
        self.released.set()
        super().close()

    def hold(self):
        with self.turn:
            self.held += 1
            if self.held == STREAMS:
                self.reached.set()
        self.released.wait(60)
        return False

    def accept(self):
        """As it is, until connections shall stay without an answer: then nobody takes them, and after the first two the kernel
        lets nobody in."""
        while not (self.place == "connect" and self.begun >= ANSWERED):
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def watch_for_strangers(self):
        """Until every stream of the client's has a connection that is open or waits for an answer of the kernel's (SYN_SENT);
        those of the requests that were answered are closed on this side."""
        opened, waiting = f":{self.port:04X} 01 ", f":{self.port:04X} 02 "
        while not self.released.wait(0.01):
            with open("/proc/net/tcp", encoding="ascii") as file:
                text = file.read()
            if self.closed == ANSWERED and waiting in text and text.count(opened) + text.count(waiting) == STREAMS:
                return self.reached.set()
        return None

    def one(self, out, reader):
        if self.place == "sending" and self.begun >= ANSWERED:
            reader.read(100)
            return self.hold()
        return super().one(out, reader)

    def answer(self, out, method, path, message):
        if not path.endswith("completions"):
            return super().answer(out, method, path, message)
        with self.turn:
            self.begun += 1
            number = self.begun
        if number == ANSWERED and self.place == "connect":
            self.socket.listen(0)
            threading.Thread(target=self.watch_for_strangers, daemon=True).start()
        if number > ANSWERED and self.place != "between":
            if self.place == "mid-stream":
                out.begin("text/event-stream")
                for word in fake_llm.WORDS[:3]:
                    self.event(out, {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}, "")
            return self.hold()
        super().answer(out, method, path, message)
        out.connection.shutdown(socket.SHUT_RDWR)  # each asks on a connection of its own
        with self.turn:
            self.closed += 1
        if self.place == "between" and self.closed == STREAMS:
            self.reached.set()
        return False


class HeldAround(fake_llm.Ollama):
    """Never answers who asks it to load the model, before the first request, or to unload it: the client's last word."""

    def __init__(self, place, **options):
        self.place = place
        self.reached = threading.Event()
        self.released = threading.Event()
        super().__init__(**options)

    def close(self):
        self.released.set()
        super().close()

    def answer(self, out, method, path, message):
        if path == "/api/generate" and not message.get("prompt") and (message.get("keep_alive") == 0) == (self.place == "end"):
            self.reached.set()
            self.released.wait(60)
            return False
        return super().answer(out, method, path, message)


class Killed(HttpCase):
    def start(self, engine, server, *options, name="x"):
        prompt = "[plain] " + ("word " * 1_000_000 if getattr(server, "place", "") == "sending" else "Say something.")
        with open(self.path("p.jsonl"), "w", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": prompt, "id": "p"}) + "\n")
        command = [program("prony"), "llm", "--engine", engine, "--url", server.url, "--model", "tiny", "--prompts",
                   self.path("p.jsonl"), "--out", self.path(name + ".prony"), "--json", self.path(name + ".json"), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   text=True, env=self.environment(), start_new_session=True)
        watch = threading.Timer(120, process.kill)
        watch.start()
        for clean in (process.stderr.close, process.wait, process.kill, watch.cancel):
            self.addCleanup(clean)
        return process

    def client_of(self, process):
        """The client is Prony's child; one that only looks for the server comes before it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            for pid in children(process.pid):
                words = words_of(pid)
                if os.path.basename(words[0]) == "prony-engine-http" and "--find" not in words:
                    return pid
            time.sleep(0.002)
        self.fail("no client was started")
        return None

    def reach(self, server, process):
        deadline = time.monotonic() + 60
        while not server.reached.wait(0.01) and process.poll() is None and time.monotonic() < deadline:
            pass
        self.assertTrue(server.reached.is_set(), "the place was never reached")

    def held(self, place, *options, name):
        """A closed load that is stopped at `place`; → Prony and its client."""
        server = self.fake(Held, place=place)
        process = self.start("openai", server, "--streams", str(STREAMS), "--requests", str(REQUESTS), *options, name=name)
        client = self.client_of(process)
        self.reach(server, process)
        return process, client

    def after_client(self, process, name, planned=REQUESTS):
        """The client was killed: the run failed, in words; every request has one end; what was measured is whole."""
        told = process.communicate(timeout=110)[1]
        self.assertEqual(process.returncode, 1, told)
        self.assertRegex(told, "was ended by signal 9")
        facts, summary = self.facts(name), self.load(name + ".json")
        ends = {end: int(facts[f"load.{end}"]) for end in ("ok", "failed", "cancelled", "not_begun")}
        self.assertEqual(sum(ends.values()), planned, ends)
        rows = summary["requests"]
        self.assertEqual(len(rows), len({row["id"] for row in rows}))
        self.assertEqual((summary["load"]["answered"], summary["load"]["cancelled"]), (ends["ok"], 0))
        self.assertEqual(sum(row["status"] == "ok" for row in rows), ends["ok"])
        for row in rows:
            if row["status"] != "ok":
                self.assertIn(row["status"], ("failed", "unfinished"))
                self.assertNotIn("output_tokens", row)
        self.assertIn("workload-failed", [event["kind"] for event in summary["events"]])
        self.assert_charges_close(name + ".prony")
        return ends

    def after_prony(self, process, client, name):
        """Prony was killed: its client goes as well; the Run opens, and says that it was cut off."""
        process.wait(60)
        deadline = time.monotonic() + 60
        while os.path.exists(f"/proc/{client}") and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertFalse(os.path.exists(f"/proc/{client}"), "the client outlived its driver")
        shown = self.prony("show", self.path(name + ".prony"), "--json")
        self.assertEqual(shown.returncode, 0, shown.err)
        summary = json.loads(shown.out)
        self.assertEqual(summary["state"], "interrupted")
        for row in summary["requests"]:  # what ran was called off by the client, or has no end
            whole = row["status"] == "ok" and not row.get("cancelled")
            self.assertEqual(whole, row.get("finish") == "length", row)
            self.assertEqual(whole, "output_tokens" in row, row)
        self.assert_charges_close(name + ".prony")
        return summary


class InEachPhase(Killed):
    def test_a_client_that_is_killed_anywhere_in_a_request_fails_the_run_and_loses_no_answer(self):
        for place in ("connect", "sending", "waiting", "mid-stream"):
            with self.subTest(place=place):
                process, client = self.held(place, name=place)
                os.kill(client, signal.SIGKILL)
                ends = self.after_client(process, place)
                self.assertEqual(ends["ok"], ANSWERED)
                self.assertGreaterEqual(ends["failed"], STREAMS)

    def test_a_client_that_is_killed_between_requests_fails_the_run(self):
        process, client = self.held("between", "--think", "1h", name="between")
        time.sleep(0.3)  # the client may be a step behind: wherever it is then, what follows must hold
        os.kill(client, signal.SIGKILL)
        self.after_client(process, "between")

    def test_a_client_that_is_killed_at_its_last_word_fails_the_run_with_every_answer_in_it(self):
        server = self.fake(HeldAround, place="end")
        process = self.start("ollama", server, "--streams", "2", "--requests", "4", name="end")
        client = self.client_of(process)
        self.reach(server, process)
        os.kill(client, signal.SIGKILL)
        self.assertEqual(self.after_client(process, "end", planned=4)["ok"], 4)

    def test_whoever_is_killed_while_the_model_is_loaded_leaves_no_request_and_no_success(self):
        for who in ("client", "prony"):
            with self.subTest(who=who):
                server = self.fake(HeldAround, place="load")
                process = self.start("ollama", server, "--streams", "2", "--requests", "4", name=who)
                client = self.client_of(process)
                self.reach(server, process)
                os.kill(client if who == "client" else process.pid, signal.SIGKILL)
                if who == "client":
                    told = process.communicate(timeout=110)[1]
                    self.assertEqual(process.returncode, 125, told)
                    self.assertRegex(told, "the model was not loaded")
                    summary = json.loads(self.prony("show", self.path(who + ".prony"), "--json").out)
                    self.assertIn("workload-failed", [event["kind"] for event in summary["events"]])
                    self.assertNotEqual(summary["process"].get("rss_peak_bytes"), 0)  # not seen is not none
                else:
                    summary = self.after_prony(process, client, who)
                self.assertEqual(summary["requests"], [])

    def test_a_prony_that_is_killed_leaves_a_run_with_every_answer_and_no_client(self):
        for place in ("connect", "sending", "waiting", "mid-stream"):
            with self.subTest(place=place):
                process, client = self.held(place, name="p" + place)
                process.kill()
                summary = self.after_prony(process, client, "p" + place)
                self.assertEqual(summary["load"]["answered"], ANSWERED)
                self.assertLessEqual(summary["load"]["cancelled"] + summary["load"]["failed"], STREAMS)


class AtAnyInstant(Killed):
    """The instants are drawn; which they were stands in the words of a failure."""

    def test_a_client_or_a_prony_that_is_killed_at_any_instant_of_a_load(self):
        draw = random.Random()
        for round_number in range(4):
            server, name, after = self.fake(fake_llm.OpenAi), f"r{round_number}", draw.uniform(0, 0.6)
            with self.subTest(after=after, who="client" if round_number % 2 else "prony"):
                process = self.start("openai", server, "--rate", "60", "--requests", "600", name=name)
                client = self.client_of(process)
                while not server.prompts() and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(after)
                os.kill(client if round_number % 2 else process.pid, signal.SIGKILL)
                if round_number % 2:
                    self.after_client(process, name, planned=600)
                else:
                    self.after_prony(process, client, name)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return [""]


if __name__ == "__main__":
    harness.main()
