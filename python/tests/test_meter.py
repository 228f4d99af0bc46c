"""The meter and its Run: joules with low and high, columns, errors in the library's words, fork and the interpreter's end."""

import gc
import os
import signal
import subprocess
import threading
import time
import unittest

import prony
from support import Case


def burn(seconds=0.3):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


class Meters(Case):
    def test_a_block_is_measured_and_its_joules_have_low_and_high(self):
        with self.meter() as meter:
            burn()
        summary = meter.summary()
        head = summary.headline
        self.assertEqual(head.origin, "measured")
        self.assertTrue(0 < head.low_j <= head.value_j <= head.high_j, head)
        self.assertIn(f"{head.value_j:.4g} J", str(head))
        self.assertFalse(summary.provisional)
        gross = summary.of("gross", channel="rapl.psys.energy")
        self.assertEqual([row.value_j for row in gross], [head.value_j])
        self.assertAlmostEqual(summary.data["headline"]["gross_j"], head.value_j)
        self.assertAlmostEqual(summary.wall_s, summary.data["wall_s"], places=6)

    def test_what_is_not_there_says_why_and_has_no_number(self):
        with self.meter() as meter:
            burn(0.1)
        idle = meter.summary().of("idle")
        self.assertTrue(idle)
        for row in idle:
            self.assertEqual((row.value_j, row.low_j, row.high_j), (None, None, None))
            self.assertIn("baseline", row.absent)
            self.assertIn("baseline", str(row))

    def test_right_after_the_start_nothing_is_on_record_and_no_number_is_told(self):
        # Not started with a block: what is asked here is what the first instant has, or a later one that has all.
        with self.meter() as meter:
            early = meter.summary()
            for row in [*early.of("recorded"), *early.of("unattributed")]:
                if row.absent is not None:
                    self.assertIsNone(row.value_j, row)
                elif row.party == "recorded":
                    self.assertGreater(row.high_j, 0, row)
            if early.wall_s is None:
                self.assertEqual((early.begin_ns, early.end_ns, early.headline.value_j), (None, None, None))
                self.assertIn("nothing on record yet", early._repr_html_())
            burn()
        self.assertGreater(meter.summary().wall_s, 0)

    def test_both_modes_make_a_run_of_this_program(self):
        for mode in ("thread", "process"):
            with self.subTest(mode):
                with self.meter(f"{mode}.prony", mode=mode, simulate=None, name="me") as meter:
                    burn()
                    with prony.span("marked", id=7):
                        burn(0.1)
                with meter.run() as run:
                    self.assertEqual(run.state, "complete")
                    cpu = [c.name for c in run.channels if c.measure == "cpu_time" and ".me." in c.name]
                    self.assertEqual(len(cpu), 1)
                    used = [v for v in run.readings(cpu[0]).read()["value"] if v is not None]
                    self.assertGreater(used[-1] - used[0], 0.02)
                    self.assertEqual([s.get("id") for s in run.spans if s.name == "marked"], [7])

    def test_stats_are_columns_with_the_stamps_of_each_tick(self):
        with self.meter() as meter:
            before = prony.now_ns()
            burn()
        table = meter.stats()
        self.assertTrue({"begin_ns", "end_ns"} <= set(table))
        self.assertEqual({len(values) for values in table.values()}, {table.num_rows})
        begins = table["begin_ns"]
        self.assertGreater(table.num_rows, 5)
        self.assertTrue(all(b <= e for b, e in zip(begins, table["end_ns"])))
        self.assertLess(abs(begins[0] - before), 60e9)  # of the same clock as spans
        energy = next(name for name in table if name.startswith("rapl.psys"))
        self.assertIn(None, table[energy])  # slow sensors' ticks have no reading of it
        self.assertGreater(len([v for v in table[energy] if v is not None]), 5)

    def test_errors_carry_what_the_library_said(self):
        with self.assertRaises(prony.AbsentError) as raised:
            prony.open_run(self.path("none.prony"))
        self.assertIn("none.prony", str(raised.exception))
        with open(self.path("text.prony"), "w", encoding="utf-8") as file:
            file.write("no Run " * 100)
        with self.assertRaises(prony.MalformedError):
            prony.open_run(self.path("text.prony"))
        with self.assertRaisesRegex(prony.PronyError, "laptop"):
            prony.Meter(self.path(), simulate="laptpo")
        with self.meter() as meter:
            burn(0.1)
        with self.assertRaisesRegex(prony.StateError, "Open another one"):
            meter.start()
        with meter.run() as run:
            with self.assertRaisesRegex(prony.PronyError, "rapl.psys.energy"):
                run.readings("rapl.psys.enrgy").read()
        with self.assertRaisesRegex(prony.StateError, "closed"):
            run.table("samples")
        with self.assertRaises(prony.PronyError):
            self.meter()  # its file is there already
            self.meter().start()

    def test_arguments_of_the_wrong_kind_are_named(self):
        for wrong, named in ((dict(mode="proces"), "proces"), (dict(interval_s=-1), "interval_s"),
                             (dict(baseline_s=float("nan")), "baseline_s")):
            with self.assertRaisesRegex(ValueError, named):
                self.meter(**wrong)
        with self.assertRaisesRegex(TypeError, "interval_s"):
            self.meter(interval_s="1")
        with self.assertRaisesRegex(ValueError, "NUL"):
            self.meter(name="a\0b")
        with self.assertRaises(prony.UsageError):
            self.meter(pid=1)  # in threads: this program only

    def test_stop_twice_is_once_and_close_stops(self):
        meter = self.meter().start()
        meter.stop()
        meter.stop()
        self.assertEqual(meter.state, "stopped")
        other = self.meter("y.prony").start()
        path = other.path
        other.close()
        other.close()
        with prony.open_run(path) as run:
            self.assertEqual(run.state, "complete")
        with self.assertRaisesRegex(prony.StateError, "closed"):
            other.summary()

    def test_a_meter_that_nobody_holds_any_more_has_a_complete_run(self):
        path = self.path()
        self.meter().start()
        gc.collect()
        with prony.open_run(path) as run:
            self.assertEqual(run.state, "complete")

    def test_threads_may_ask_one_meter_at_the_same_time(self):
        with self.meter() as meter:
            wrong = []

            def ask():
                try:
                    for _ in range(3):
                        meter.stats()
                        meter.summary()
                except Exception as error:  # noqa: BLE001 shown below
                    wrong.append(error)

            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def test_a_run_that_is_closed_while_its_readings_are_read_stays_until_they_end(self):
        with self.meter() as meter:
            burn(0.1)
        run = meter.run()
        readings = iter(run.readings("rapl.psys.energy"))
        run.close()
        self.assertGreater(sum(batch.num_rows for batch in readings), 3)

    def test_readings_of_a_window_lie_in_it(self):
        with self.meter() as meter:
            burn()
        with meter.run() as run:
            every = run.readings("rapl.psys.energy").read()
            middle = every["begin_ns"][len(every["begin_ns"]) // 2]
            first = run.readings("rapl.psys.energy", to_ns=middle).read()["begin_ns"]
            last = run.readings("rapl.psys.energy", from_ns=middle).read()["begin_ns"]
        self.assertTrue(first and last)
        self.assertEqual(first + last, every["begin_ns"])
        self.assertTrue(max(first) < middle <= min(last))

    def test_a_notebook_sees_the_joules_and_a_plot_and_no_markup_of_others(self):
        with self.meter(name="me") as meter:
            burn()
        html = meter.summary()._repr_html_()
        self.assertIn(f"{meter.summary().headline.value_j:.4g} J", html)
        self.assertRegex(html, r"<svg.*<polyline[^>]* points='[\d., ]+'")
        self.assertIn("no baseline", html)
        summary = meter.summary()
        os.unlink(meter.path)
        self.assertNotIn("<svg", summary._repr_html_())  # the Run is gone: the table stays


class Ends(Case):
    """What becomes of a meter at a fork and at the end of its program."""

    PROGRAM = "import prony, os, sys\nmeter = prony.Meter(sys.argv[1], simulate='laptop', mode=sys.argv[2]).start()\n"

    def state(self):
        with prony.open_run(self.path()) as run:
            return run.state

    def test_a_program_that_forgets_to_stop_has_a_complete_run_and_prints_nothing(self):
        for mode in ("thread", "process"):
            with self.subTest(mode):
                text = self.python(self.PROGRAM, self.path(), mode)
                self.assertNotIn("Traceback", text)
                self.assertEqual(text, "")
                self.assertEqual(self.state(), "complete")
                os.unlink(self.path())

    def test_an_exception_of_the_program_is_told_and_the_run_is_complete(self):
        text = self.python(self.PROGRAM + "raise KeyError('mine')\n", self.path(), "thread", code=1)
        self.assertIn("KeyError: 'mine'", text)
        self.assertEqual(self.state(), "complete")

    def test_a_forked_child_leaves_the_measuring_alone_and_says_so_when_asked(self):
        for mode in ("thread", "process"):
            with self.subTest(mode):
                text = self.python(self.PROGRAM + """
child = os.fork()
if child == 0:
    with prony.span("of the child"):
        pass
    try:
        meter.summary()
    except prony.StateError as error:
        print("child:", str(error).splitlines()[0])
    sys.exit(0)  # runs what is to be done at the end, in the child
assert os.waitpid(child, 0)[1] == 0
meter.stop()
with meter.run() as run:
    print(run.state, [s.name for s in run.spans if s.pid == child])
""", self.path(), mode)
                self.assertIn("child: this meter belongs to the process that forked this one", text)
                self.assertIn("complete ['of the child']", text)
                os.unlink(self.path())

    def test_a_pool_of_processes_runs_beside_a_meter(self):
        text = self.python("""
import multiprocessing, prony, sys
def work(n):
    with prony.span("work", n=n):
        return n * n
if __name__ == "__main__":
    with prony.Meter(sys.argv[1], simulate="laptop") as meter:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, range(4)))
    with meter.run() as run:
        print(sorted(s.get("n") for s in run.spans if s.name == "work"))
""", self.path())
        self.assertIn("[0, 1, 4, 9]", text)
        self.assertIn("[0, 1, 2, 3]", text)

    def test_a_meter_in_a_process_of_its_own_outlives_a_crash_and_tells_the_signal(self):
        text = self.python(self.PROGRAM + "os.abort()\n", self.path(), "process", code=-signal.SIGABRT)
        del text
        deadline = time.monotonic() + 60
        while self.state() == "recording" and time.monotonic() < deadline:
            time.sleep(0.1)
        with prony.open_run(self.path()) as run:
            self.assertEqual(run.state, "complete")
            self.assertEqual(run.summary().exit_signal, signal.SIGABRT)

    def test_the_program_of_the_package_runs_by_its_module(self):
        from prony import _library

        if _library.program() is None:
            self.skipTest("this package holds no program")
        done = subprocess.run([os.sys.executable, "-m", "prony", "--version"], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(prony.__file__))})
        self.assertIn(prony.__version__, done.stdout)


if __name__ == "__main__":
    unittest.main()
