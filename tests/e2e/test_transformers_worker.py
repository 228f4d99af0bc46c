"""The worker of engines/transformers as far as it needs no PyTorch: messages, how prompts are put together, what of a batch is
padding, which rank has which prompts, when an answer ends; and what `prony llm` says where PyTorch is missing."""

import io
import json
import os
import subprocess
import sys
import unittest

import harness
from harness import Case

sys.path.insert(0, os.path.join(harness.ROOT, "engines/transformers"))
sys.dont_write_bytecode = True
from prony_transformers import batching, memory, precision, protocol, ranks, rows, spans, windows  # noqa: E402
from prony_transformers.lines import Lines  # noqa: E402


def prompt(**members):
    return protocol.prompt({"id": "x", "text": "t", **members}, 7)


class Messages(unittest.TestCase):
    def test_what_is_left_out_has_the_defaults_of_the_protocol(self):
        asked = prompt()
        self.assertEqual((asked.max_tokens, asked.temperature, asked.top_k, asked.top_p, asked.seed, asked.ignore_eos),
                         (128, 0.0, 0, 1.0, 7, False))

    def test_greedy_is_temperature_zero_or_one_choice_whatever_else_is_set(self):
        self.assertTrue(prompt(temperature=0, top_k=50, top_p=0.9).greedy)
        self.assertTrue(prompt(temperature=1.7, top_k=1).greedy)
        self.assertFalse(prompt(temperature=0.1).greedy)

    def test_an_end_is_allowed_after_the_least_tokens_and_never_where_ends_are_ignored(self):
        asked = prompt(min_tokens=3)
        self.assertEqual([asked.may_end(made) for made in range(5)], [False, False, False, True, True])
        self.assertFalse(prompt(ignore_eos=True).may_end(100))

    def test_a_member_of_the_wrong_type_or_beyond_its_bounds_is_named(self):
        for members, name in (({"max_tokens": 0}, "max_tokens"), ({"max_tokens": True}, "max_tokens"),
                              ({"max_tokens": 2.5}, "max_tokens"), ({"top_p": "high"}, "top_p"), ({"id": 4}, "id"),
                              ({"temperature": float("nan")}, "temperature"), ({"seed": -1}, "seed"),
                              ({"ignore_eos": 1}, "ignore_eos"), ({"counts": []}, None), ({"counts": [1]}, "counts")):
            if name is None:
                prompt(**members)  # an empty list is nothing
                continue
            with self.assertRaises(protocol.BadMessage) as caught:
                prompt(**members)
            self.assertEqual(caught.exception.code, "protocol")
            self.assertIn(name, caught.exception.message)

    def test_any_bytes_are_a_message_or_an_error_in_words(self):
        for line in (b"", b"{", b"[1]", b"null", b"\xff\xfe", b"7", b"{" * 100_000, b'{"a":' + b"[" * 100_000,
                     b" " * (protocol.MOST_LINE + 1)):
            with self.assertRaises(protocol.BadMessage):
                protocol.parse(line)
        self.assertEqual(protocol.text(protocol.parse(b'{"type":"\\ud800"}'), "type"), "?")

    def test_a_long_prompt_keeps_its_begin_token_and_its_last_tokens(self):
        self.assertEqual(protocol.truncated([0, 1, 2, 3, 4], 3, 0), [0, 3, 4])
        self.assertEqual(protocol.truncated([9, 1, 2, 3, 4], 3, 0), [2, 3, 4])
        self.assertEqual(protocol.truncated([0, 1], 3, 0), [0, 1])
        self.assertEqual(protocol.truncated([0, 1, 2], None, 0), [0, 1, 2])


class LineQueue(unittest.TestCase):
    def read(self, data):
        lines = Lines(io.BytesIO(data))
        lines.read_all()
        found = []
        while (line := lines.next()) is not None:
            found.append(line.strip())
        return lines, found

    def test_a_cancel_overtakes_what_waits_and_is_no_line(self):
        lines, found = self.read(b'{"type":"prompt"}\n{"type":"cancel"}\n{"type":"stop"}\n')
        self.assertEqual(found, [b'{"type":"prompt"}', b'{"type":"stop"}'])
        self.assertTrue(lines.cancelled.is_set())

    def test_the_end_of_input_is_a_cancel_but_not_after_a_stop(self):
        self.assertTrue(self.read(b'{"type":"prompt"}\n')[0].cancelled.is_set())
        self.assertFalse(self.read(b'{"type":"prompt"}\n{"type":"stop"}\n')[0].cancelled.is_set())

    def test_a_line_that_is_too_long_is_one_error_and_the_next_is_read(self):
        _, found = self.read(b"x" * (protocol.MOST_LINE + 5000) + b'\n{"type":"stop"}\n')
        self.assertEqual(len(found), 2)
        with self.assertRaises(protocol.BadMessage):
            protocol.parse(found[0])
        self.assertEqual(found[1], b'{"type":"stop"}')

    def test_a_text_that_speaks_of_a_cancel_is_a_line(self):
        lines, found = self.read(b'{"type":"prompt","text":"\\"cancel\\""}\n{"type":"stop"}\n')
        self.assertEqual(len(found), 2)
        self.assertFalse(lines.cancelled.is_set())


class Batches(unittest.TestCase):
    LENGTHS = [(3, 4), (12, 8), (2, 2), (7, 8), (30, 4)]

    def plan(self, words):
        return batching.plan(batching.batching_from(words), self.LENGTHS)

    def test_static_keeps_the_order_and_sorted_has_the_longest_first(self):
        self.assertEqual(self.plan("static:2"), [[0, 1], [2, 3], [4]])
        self.assertEqual(self.plan("sorted:2"), [[4, 1], [3, 0], [2]])
        self.assertEqual(self.plan(""), [[0], [1], [2], [3], [4]])

    def test_a_budget_holds_rows_times_the_longest_prompt_and_answer(self):
        # (3+4) = 7; with (12, 8): 2 × 20 = 40; with (2, 2): 3 × 20 = 60 > 40: a new one; (2, 2) with (7, 8): 2 × 15 = 30
        self.assertEqual(self.plan("dynamic:40"), [[0, 1], [2, 3], [4]])
        self.assertEqual(self.plan("dynamic:5"), [[0], [1], [2], [3], [4]])
        many = batching.plan(batching.batching_from("dynamic:100000"), [(1, 1)] * 40)
        self.assertEqual([len(batch) for batch in many], [16, 16, 8])

    def test_every_prompt_is_in_one_batch_whatever_the_batching(self):
        for words in ("", "static:3", "sorted:4", "dynamic:25", "dynamic:60"):
            self.assertEqual(sorted(sum(self.plan(words), [])), [0, 1, 2, 3, 4], words)

    def test_what_is_no_batching_is_refused_and_continuous_is_not_supported(self):
        for words in ("static", "static:0", "static:-1", "static:1e3", "greedy:3", "static:9999999999"):
            with self.assertRaises(protocol.BadMessage) as caught:
                batching.batching_from(words)
            self.assertEqual(caught.exception.code, "protocol")
        with self.assertRaises(protocol.BadMessage) as caught:
            batching.batching_from("continuous:8")
        self.assertEqual(caught.exception.code, "unsupported")

    def test_padding_and_filler_of_a_batch_counted_by_hand(self):
        # Three rows: prompts of 3, 12 and 2 tokens, answers of 4, 8 and 2.
        self.assertEqual(batching.left_padding([3, 12, 2]), [9, 0, 10])
        self.assertEqual(batching.fillers([4, 8, 2]), [4, 0, 6])
        # 3 rows × (12 + 8) = 60 positions, of which 17 + 14 = 31 were asked for.
        self.assertAlmostEqual(batching.waste([3, 12, 2], [4, 8, 2]), 29 / 60)
        self.assertEqual(batching.fillers([]), [])


class Ranks(unittest.TestCase):
    def test_torchrun_slurm_and_open_mpi_each_tell_the_rank(self):
        self.assertEqual(ranks.place_from({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}), ranks.Place(1, 4, 1))
        self.assertEqual(ranks.place_from({"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}), ranks.Place(3, 4, 3))
        self.assertEqual(ranks.place_from({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}), ranks.Place(0, 2, 0))
        self.assertEqual(ranks.place_from({}), ranks.Place(0, 1, 0))
        self.assertEqual(ranks.place_from({"SLURM_NTASKS": "4"}), ranks.Place(0, 1, 0))

    def test_ranks_that_contradict_themselves_are_an_error_that_names_the_variable(self):
        for environment, name in (({"RANK": "4", "WORLD_SIZE": "4"}, "RANK"), ({"RANK": "x", "WORLD_SIZE": "4"}, "RANK"),
                                  ({"RANK": "0"}, "WORLD_SIZE"), ({"WORLD_SIZE": "2"}, "RANK"),
                                  ({"RANK": "0", "WORLD_SIZE": "0"}, "WORLD_SIZE")):
            with self.assertRaises(ranks.BadRanks) as caught:
                ranks.place_from(environment)
            self.assertIn(name, str(caught.exception))

    def test_shares_have_nothing_in_common_and_together_have_everything(self):
        for size in range(1, 6):
            for count in (0, 1, 4, 7, 10):
                things = list(range(count))
                shares = [ranks.own_share(things, ranks.Place(rank, size)) for rank in range(size)]
                self.assertEqual(sorted(sum(shares, [])), things)
                self.assertEqual(ranks.put_together(shares, count), things)
                lengths = [len(share) for share in shares]
                self.assertLessEqual(max(lengths) - min(lengths), 1)

    def test_every_rank_with_all_prompts_is_no_split_and_is_refused(self):
        with self.assertRaises(ValueError):  # the mistake of replicas that each answer everything
            ranks.put_together([[1, 2, 3, 4]] * 4, 4)


class Rows(unittest.TestCase):
    def row(self, tokens=3, context=100, **members):
        return rows.Row(prompt(**members), list(range(tokens)), context, frozenset({1}), 0)

    def test_an_answer_ends_by_its_end_token_its_length_or_its_context(self):
        row = self.row(max_tokens=3)
        row.take(5), row.take(1)
        self.assertEqual((row.finish, row.made, row.text_tokens()), ("eos", [5, 1], [5]))
        row = self.row(max_tokens=2, ignore_eos=True)
        row.take(1), row.take(1)
        self.assertEqual((row.finish, row.context_full), ("length", False))
        row = self.row(tokens=4, context=5, max_tokens=9)
        row.take(7), row.take(7)  # of 5 positions the prompt has 4; the second token is not fed any more
        self.assertEqual((row.finish, row.context_full, len(row.made)), ("length", True, 2))

    def test_what_comes_after_the_end_is_filler_and_no_output(self):
        row = self.row(max_tokens=9)
        row.padding, row.rows_together = 4, 2
        for token in (5, 1, 2, 2, 2):
            row.take(token)
        self.assertEqual({k: v for k, v in row.counts().items() if k.endswith("tokens") and v},
                         {"prompt_tokens": 3, "output_tokens": 2, "padding_tokens": 4, "filler_tokens": 3})

    def test_a_client_that_goes_ends_its_row_and_no_other(self):
        row = self.row(cancel_after_ns=100)
        self.assertFalse(row.call_off(99))
        self.assertTrue(row.call_off(100))
        self.assertEqual(row.counts()["cancelled"], 1)
        self.assertFalse(self.row().call_off(10**12))

    def test_a_loop_is_told_with_its_length_and_the_shortest_period(self):
        self.assertEqual(rows.repeated_tail([9, 9] + [1, 2, 3] * 9), (27, 3))
        self.assertEqual(rows.repeated_tail([1, 2, 3] * 7), (0, 0))  # 21 tokens are no loop yet
        self.assertEqual(rows.repeated_tail(list(range(100))), (0, 0))


class Precision(unittest.TestCase):
    def test_what_is_absent_has_its_reason(self):
        none = precision.quantisations({"bitsandbytes": None, "accelerate": None}, True)
        self.assertEqual(set(none), {"8bit", "4bit", "nf4"})
        self.assertTrue(all("bitsandbytes is not installed" in why for why in none.values()))
        old = precision.quantisations({"bitsandbytes": "0.38.1", "accelerate": "1.0"}, True)
        self.assertIsNone(old["8bit"])
        self.assertIn("0.38.1 is older than 0.39", old["nf4"])
        self.assertIn("no accelerator", precision.quantisations({"bitsandbytes": "0.43", "accelerate": "1"}, False)["4bit"])
        self.assertIsNone(precision.quantisations({"bitsandbytes": "0.49.1", "accelerate": "1"}, False)["4bit"])
        self.assertIn("accelerate is not", precision.why_not("8bit", {"bitsandbytes": "0.45", "accelerate": None}, True))

    def test_what_was_asked_for_and_is_otherwise_is_told(self):
        self.assertEqual(precision.not_honoured({"ctx": 4096, "dtype": "auto", "attention": "sdpa", "threads": None},
                                                {"ctx": 512, "dtype": "float32", "attention": "sdpa", "threads": 2}),
                         {"ctx": "asked 4096, got 512"})

    def test_versions_are_compared_as_numbers(self):
        self.assertLess(precision.version_tuple("0.9.1"), precision.version_tuple("0.39"))
        self.assertEqual(precision.version_tuple("0.45.0.dev0"), (0, 45, 0))
        self.assertEqual(precision.version_tuple("1.13.0a0"), (1, 13, 0))


class Memory(unittest.TestCase):
    def test_resident_memory_and_its_peak_are_read_in_bytes(self):
        status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nVmLck:\n"
        self.assertEqual(memory.status_bytes(status, "VmHWM"), 2 * 1024 * 1024)
        self.assertIsNone(memory.status_bytes(status, "VmLck"))
        self.assertIsNone(memory.status_bytes(status, "VmSwap"))

    def test_the_peak_is_above_what_is_held_after_memory_was_given_back_and_begins_anew(self):
        watch = memory.Watch(memory.ProcessMemory())
        watch.begin()
        if not watch.reset_works:
            self.skipTest("the high-water mark cannot be reset here")
        large = bytearray(64 << 20)
        large[::4096] = b"x" * len(large[::4096])
        del large
        first = watch.end()
        self.assertGreater(first["memory_peak_bytes"], first["memory_current_bytes"] + (32 << 20))
        watch.begin()
        second = watch.end()
        self.assertLess(second["memory_peak_bytes"], first["memory_peak_bytes"] - (32 << 20))
        self.assertEqual(watch.most["peak"], first["memory_peak_bytes"])

    def test_a_machine_that_tells_nothing_has_no_number(self):
        watch = memory.Watch(memory.ProcessMemory("/nonexistent"))
        watch.begin()
        self.assertEqual((watch.end(), watch.reset_works), ({}, False))


class Windows(unittest.TestCase):
    def scored(self, *asked):
        found = []
        for window in windows.windows(*asked):
            self.assertLessEqual(window.end - window.begin, asked[1] - (1 if asked[3] else 0))
            found += range(window.scored, window.end)
        return found

    def test_each_token_is_scored_once_and_with_a_begin_token_each_is(self):
        for tokens in (1, 5, 15, 16, 17, 64, 100):
            for stride in (1, 7, 8, 15, 16):
                self.assertEqual(self.scored(tokens, 16, stride, True), list(range(tokens)))
                without = self.scored(tokens, 16, stride, False)
                self.assertEqual(len(set(without)), len(without))
                if stride < 16:
                    self.assertEqual(without, list(range(1, tokens)))

    def test_chunks_without_a_begin_token_leave_out_the_first_of_each(self):
        self.assertEqual(self.scored(8, 4, 4, False), [1, 2, 3, 5, 6, 7])

    def test_a_window_without_room_is_refused(self):
        for asked in ((10, 1, 1, True), (10, 1, 1, False), (10, 4, 0, True)):
            with self.assertRaises(ValueError):
                windows.windows(*asked)


class Spans(unittest.TestCase):
    def test_the_library_is_looked_for_where_it_was_named_then_beside_the_program(self):
        places = spans.library_places({"LIBPRONY": "/a/libprony.so"}, "/opt/bin/prony-engine-transformers")
        self.assertEqual(places[:3], ["/a/libprony.so", "/opt/bin/libprony.so.1", "/opt/lib/libprony.so.1"])
        self.assertEqual(places[-1], "libprony.so.1")

    def test_where_nobody_records_nothing_is_loaded_and_every_call_does_nothing(self):
        self.assertIsNone(spans.open_library({}, "x"))
        none = spans.Spans(None)
        span = none.begin(spans.REQUEST, "a")
        none.tell(span, {"n": 1}, {"k": "v"})
        none.complete(spans.TOKEN, span, 1, 2)
        none.end(span)
        self.assertEqual(span, 0)


class CommandLine(Case):
    """What a user sees who has no PyTorch; a Python that lacks it is made for the purpose."""

    def folder_model(self):
        subprocess.run([sys.executable, os.path.join(harness.ROOT, "tools/make_transformers_model.py"), self.path("m"),
                        "--hidden", "16", "--heads", "2"], check=True)
        return self.path("m")

    def bare_python(self):
        with open(self.path("bare"), "w", encoding="utf-8") as file:  # -S: no site-packages, whatever is installed
            file.write(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
        os.chmod(self.path("bare"), 0o755)
        return self.path("bare")

    def llm(self, *words, **more):
        return self.prony("llm", "--engine", "transformers", "--out", self.path("x.prony"), *words, **more)

    def test_a_python_without_torch_is_named_with_what_to_install_and_nothing_is_recorded(self):
        done = self.llm("--model", self.folder_model(), "--python", self.bare_python())
        self.assertEqual(done.returncode, 125, done.err)
        self.assertIn("lacks torch", done.err)
        self.assertIn("pip install", done.err)
        self.assertFalse(os.path.exists(self.path("x.prony")))
        done = self.llm("--model", self.path("m"), env={"PRONY_PYTHON": self.path("bare")})
        self.assertIn("lacks torch", done.err)

    def test_a_python_that_is_none_is_an_error_in_words(self):
        self.folder_model()
        for python, words in (("/nonexistent/python", "/nonexistent/python"), ("no-such-python-3", "no-such-python-3"),
                              ("/bin/true", "/bin/true")):
            done = self.llm("--model", self.path("m"), "--python", python)
            self.assertEqual(done.returncode, 125, done.err)
            self.assertIn(words, done.err)

    def test_a_format_that_is_none_and_an_option_of_another_engine_are_refused_by_name(self):
        done = self.llm("--model", self.folder_model(), "--dtype", "float8")
        self.assertEqual(done.returncode, 125)
        self.assertIn("float8", done.err)
        self.assertIn("bfloat16", done.err)
        done = self.prony("llm", "--engine", "llama", "--model", self.path("m"), "--dtype", "float16")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--dtype", done.err)

    def test_a_worker_without_torch_says_so_by_the_protocol_and_ends(self):
        worker = os.path.join(harness.BUILD, "prony-engine-transformers")
        done = subprocess.run([self.bare_python(), worker], input=b"", capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        error = json.loads(done.stdout)
        self.assertEqual(error["type"], "error")
        self.assertIn("has no torch", error["error"]["message"])


if __name__ == "__main__":
    harness.main()
