"""Spans: nesting within threads and tasks, decorators of all kinds of functions, failure, values."""

import asyncio
import threading

import prony
from support import Case


class Spans(Case):
    def recorded(self, work):
        """What `work` marks, as {name: span}, and the order of names."""
        with self.meter() as meter:
            work()
        run = meter.run()
        self.addCleanup(run.close)
        self.spans = run.spans
        return {s.name: s for s in self.spans if s.name}

    def test_spans_nest_by_themselves_and_what_follows_is_not_inside(self):
        def work():
            with prony.span("outer") as outer:
                self.assertEqual(prony.current_span(), outer.id)
                with prony.span("inner"):
                    pass
                with prony.span("second"):
                    pass
            with prony.span("after"):
                pass

        found = self.recorded(work)
        self.assertEqual(found["inner"].parent, found["outer"].id)
        self.assertEqual(found["second"].parent, found["outer"].id)
        self.assertNotEqual(found["after"].parent, found["outer"].id)
        self.assertLessEqual(found["outer"].begin_ns, found["inner"].begin_ns)
        self.assertGreaterEqual(found["outer"].end_ns, found["second"].end_ns)
        self.assertEqual(prony.current_span(), 0)

    def test_whole_numbers_are_counts_and_everything_else_is_text(self):
        def work():
            with prony.span("prompt", kind="request", id=3, ok=True, share=0.5, who="böb", large=2**70) as span:
                span.set(output_tokens=128)

        span = self.recorded(work)["prompt"]
        self.assertEqual(span.kind, "request")
        self.assertEqual([span.get(key) for key in ("id", "ok", "share", "who", "large", "output_tokens", "none")],
                         [3, 1, "0.5", "böb", str(2**70), 128, None])

    def test_a_span_left_by_an_exception_is_failed_and_the_exception_goes_on(self):
        def work():
            with self.assertRaises(KeyError), prony.span("bad"):
                raise KeyError("x")
            with prony.span("good"):
                pass

        found = self.recorded(work)
        self.assertEqual((found["bad"].status, found["good"].status), ("failed", "ok"))

    def test_each_call_of_a_decorated_function_has_a_span_and_recursion_nests(self):
        @prony.span("down", level=1)
        def down(n):
            """Doc."""
            return n if n == 0 else down(n - 1)

        self.recorded(lambda: self.assertEqual(down(2), 0))
        spans = [s for s in self.spans if s.name == "down"]
        self.assertEqual(len(spans), 3)
        self.assertEqual([s.parent for s in spans[1:]], [s.id for s in spans[:2]])
        self.assertEqual((down.__name__, down.__doc__, spans[2].get("level")), ("down", "Doc.", 1))

    def test_tasks_that_take_turns_each_nest_in_their_own(self):
        async def one(number, turn):
            async with prony.span(f"outer {number}"):
                await asyncio.sleep(0)
                await turn.wait()
                await inner(number)

        async def inner(number):
            with prony.span(f"inner {number}"):
                await asyncio.sleep(0)

        async def all_of_them():
            turn = asyncio.Event()
            tasks = [asyncio.ensure_future(one(n, turn)) for n in range(4)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            turn.set()
            await asyncio.gather(*tasks)

        found = self.recorded(lambda: asyncio.run(all_of_them()))
        for n in range(4):
            self.assertEqual(found[f"inner {n}"].parent, found[f"outer {n}"].id)

    def test_threads_begin_outside_and_nest_where_they_are_told_to(self):
        def work():
            with prony.span("main") as main:
                def of_itself():
                    with prony.span("own"):
                        pass

                def told():
                    with prony.span("told", parent=main.id), prony.span("deeper"):
                        pass

                threads = [threading.Thread(target=t) for t in (of_itself, told)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        found = self.recorded(work)
        self.assertEqual(found["told"].parent, found["main"].id)
        self.assertEqual(found["deeper"].parent, found["told"].id)
        self.assertNotEqual(found["own"].thread, found["main"].thread)

    def test_a_generators_spans_are_inside_its_own_and_its_readers_are_not(self):
        @prony.span("generator")
        def numbers():
            with prony.span("kept open"):
                got = yield 1
                with prony.span("deep"):
                    yield got
            return "end"

        def work():
            reading = numbers()
            next(reading)
            with prony.span("reader"):
                self.assertEqual(reading.send(7), 7)
            with self.assertRaises(StopIteration) as end:
                next(reading)
            self.assertEqual(end.exception.value, "end")

        found = self.recorded(work)
        self.assertEqual(found["kept open"].parent, found["generator"].id)
        self.assertEqual(found["deep"].parent, found["kept open"].id)
        self.assertNotIn(found["reader"].parent, (found["generator"].id, found["kept open"].id))
        self.assertEqual(found["generator"].status, "ok")

    def test_an_asynchronous_generator_that_is_thrown_into_sees_it_and_one_that_fails_is_failed(self):
        @prony.span("patient")
        async def patient():
            try:
                yield 1
            except KeyError:
                yield "caught"

        @prony.span("broken")
        async def broken():
            yield 1
            raise OSError("x")

        async def run():
            reading = patient()
            await reading.__anext__()
            self.assertEqual(await reading.athrow(KeyError("k")), "caught")
            await reading.aclose()
            with self.assertRaises(OSError):
                async for _ in broken():
                    pass

        found = self.recorded(lambda: asyncio.run(run()))
        self.assertEqual((found["patient"].status, found["broken"].status), ("ok", "failed"))

    def test_a_span_whose_times_are_known_is_recorded_with_them(self):
        def work():
            begin = prony.now_ns()
            self.times = (begin, begin + 1000)
            prony.complete_span("kernel", *self.times, kind="layer", flop=12)

        span = self.recorded(work)["kernel"]
        self.assertEqual((span.begin_ns, span.end_ns), self.times)
        self.assertEqual((span.kind, span.get("flop")), ("layer", 12))

    def test_what_makes_no_sense_is_refused_in_words(self):
        with self.assertRaisesRegex(ValueError, "no span kind 'prompt'.*request"):
            prony.span("x", kind="prompt")
        with self.assertRaisesRegex(RuntimeError, "not open"):
            prony.span("x").set(a=1)
        open_span = prony.span("x")
        with open_span, self.assertRaisesRegex(RuntimeError, "open already"):
            open_span.__enter__()

    def test_where_nobody_records_everything_works_and_nothing_is_written(self):
        text = self.python("import prony\nassert not prony.recording()\n"
                           "with prony.span('x', a=1) as s:\n  s.set(b='c')\n  assert s.id == 0\n"
                           "assert prony.complete_span('y', 1, 2) == 0\n", PRONY_SPANS="")
        self.assertEqual(text, "")
