"""The TensorRT profiler, against a stand-in for TensorRT: durations come after the work, in order of execution."""

import importlib
import sys
import time
import types

import prony
import prony.tensorrt
from prony.tensorrt import place
from support import Case


class Context:
    """Executes layers in their true order and time, and tells their durations afterwards, as TensorRT does."""

    profiler = None

    def __init__(self, layers, idle_s=0.004):
        self.layers, self.idle_s, self.truth = layers, idle_s, []

    def execute_v2(self, bindings):
        time.sleep(self.idle_s)
        told, self.truth = [], []
        for name, seconds in self.layers:
            begin = time.monotonic_ns()
            while time.monotonic_ns() - begin < seconds * 1e9:
                pass
            end = time.monotonic_ns()
            self.truth.append((name, begin, end))
            told.append((name, (end - begin) / 1e6))
        for name, ms in told:
            self.profiler.report_layer_time(name, ms)
        return True


class Places(Case):
    def test_layers_lie_one_after_the_other_and_their_doubt_reaches_both_ends(self):
        places, offset, doubt = place([100, 300], 1000, 1500)
        self.assertEqual(places, [(0, 100), (100, 400)])
        self.assertEqual((offset, doubt), (1050, 50))  # the earliest is 1000, the latest 1100

    def test_an_odd_rest_is_covered_and_no_rest_is_no_doubt(self):
        _, offset, doubt = place([1], 10, 14)
        self.assertTrue(offset - doubt <= 10 and offset + doubt >= 13)
        self.assertEqual(place([4], 10, 14)[1:], (10, 0))

    def test_what_does_not_fit_is_not_placed(self):
        self.assertIsNone(place([3, 2], 10, 14))


class Profile(Case):
    layers = [("conv1", 0.003), ("pool", 0.001), ("fc", 0.002), ("conv1 reformat", 0.0005)]

    def recorded(self, work):
        with self.meter() as meter:
            work()
        run = meter.run()
        self.addCleanup(run.close)
        return run.spans

    def test_each_layer_has_a_span_where_it_ran_within_its_doubt_and_not_where_it_was_told(self):
        context = Context(self.layers)
        profiler = prony.tensorrt.Profiler(context)

        def work():
            with profiler.inference("image", id=3):
                context.execute_v2([])

        spans = self.recorded(work)
        outer = next(s for s in spans if s.kind == "batch")
        found = [s for s in spans if s.kind == "layer"]
        self.assertEqual([s.name for s in found], [name for name, _ in self.layers])
        for s, (_, begin, end) in zip(found, context.truth):
            self.assertEqual((s.parent, s.get("clock"), s.get("clock_name")), (outer.id, "device", "tensorrt"))
            self.assertLessEqual(abs(s.begin_ns - begin), s.get("clock_doubt_ns"))
            self.assertLessEqual(abs(s.end_ns - s.begin_ns - (end - begin)), 1)
            self.assertLess(s.begin_ns, context.truth[-1][2])  # all were told after that
        for one, following in zip(found, found[1:]):
            self.assertEqual(one.end_ns, following.begin_ns)
        explained = sum(s.end_ns - s.begin_ns for s in found)
        self.assertEqual((outer.get("layers"), outer.get("id")), (4, 3))
        self.assertLessEqual(explained + outer.get("unattributed_ns"), outer.end_ns - outer.begin_ns)
        self.assertGreaterEqual(outer.get("unattributed_ns"), 4_000_000)
        self.assertEqual(profiler.unplaced, 0)

    def test_a_layer_that_is_told_twice_in_an_inference_has_two_spans_and_durations_are_kept_by_layer(self):
        context = Context([("a", 0.001), ("b", 0.001)], idle_s=0)
        profiler = prony.tensorrt.Profiler(context)

        def work():
            for _ in range(2):
                with profiler.inference():
                    context.execute_v2([])
                    context.execute_v2([])

        spans = [s for s in self.recorded(work) if s.kind == "layer"]
        self.assertEqual([s.name for s in spans], ["a", "b"] * 4)
        self.assertEqual([len(profiler.durations_ms[name]) for name in ("a", "b")], [4, 4])
        self.assertGreaterEqual(min(profiler.durations_ms["a"]), 1.0)

    def test_layers_that_overlap_or_that_are_told_outside_are_counted_and_not_placed(self):
        context = Context(self.layers)
        profiler = prony.tensorrt.Profiler(context)
        context.execute_v2([])
        self.assertEqual(profiler.unplaced, 4)

        def work():
            with profiler.inference("beside one another"):
                profiler.report_layer_time("x", 5000.0)
            with profiler.inference("nothing told"):
                pass
            with self.assertRaises(KeyError), profiler.inference("fails"):
                profiler.report_layer_time("x", 0.0)
                raise KeyError("x")

        spans = self.recorded(work)
        self.assertEqual([s for s in spans if s.kind == "layer"], [])
        by_name = {s.name: s for s in spans if s.kind == "batch"}
        self.assertIn("5000000000 ns", by_name["beside one another"].get("absent"))
        self.assertIn("enqueue_emits_profile", by_name["nothing told"].get("absent"))
        self.assertEqual(by_name["fails"].status, "failed")
        self.assertEqual(profiler.unplaced, 5)
        with profiler.inference(), self.assertRaisesRegex(RuntimeError, "one at a time"):
            with profiler.inference():
                pass

    def test_where_tensorrt_is_installed_the_profiler_is_one_of_its_own(self):
        class IProfiler:
            def __init__(self):
                self.made = True

        before = sys.modules.get("tensorrt")
        sys.modules["tensorrt"] = types.SimpleNamespace(IProfiler=IProfiler)
        try:
            again = importlib.reload(prony.tensorrt)
            profiler = again.Profiler(Context([]))
            self.assertIsInstance(profiler, IProfiler)
            self.assertTrue(profiler.made)  # its C++ half must be
        finally:
            if before is None:
                del sys.modules["tensorrt"]
            else:
                sys.modules["tensorrt"] = before
            importlib.reload(prony.tensorrt)
