"""Layers of PyTorch models as spans, with PyTorch itself: on this machine's processors, where nothing is asynchronous."""

import copy
import threading
import warnings

import prony
from support import Case


class Layers(Case):
    def setUp(self):
        super().setUp()
        self.torch = self.library("torch")
        self.torch.manual_seed(0)
        import prony.torch

    def recorded(self, work):
        """The layer spans that `work` left, by begin."""
        with self.meter() as meter:
            work()
        run = meter.run()
        self.addCleanup(run.close)
        self.spans = run.spans
        return [s for s in self.spans if s.kind == "layer"]

    def nested(self):
        nn = self.torch.nn

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 8)

            def forward(self, x):
                with prony.span("inside"):
                    return self.second(self.first(x).relu())

        return nn.Sequential(Block(), nn.Sequential(nn.Linear(8, 4), nn.ReLU()))

    def test_each_call_of_each_module_has_a_span_nested_as_the_modules_are(self):
        model = self.nested()

        def work():
            with prony.torch.layers(model), prony.span("outer") as outer:
                self.outer = outer.id
                model(self.torch.rand(3, 8))

        spans = self.recorded(work)
        self.assertEqual([s.name for s in spans], ["Sequential", "0", "0.first", "0.second", "1", "1.0", "1.1"])
        by_name = {s.name: s for s in spans}
        for name, parent in (("0", "Sequential"), ("0.first", "inside"), ("1", "Sequential"), ("1.1", "1")):
            above = next(s for s in self.spans if s.name == parent)
            self.assertEqual(by_name[name].parent, above.id, name)
            self.assertLessEqual(above.begin_ns, by_name[name].begin_ns)
            self.assertGreaterEqual(above.end_ns, by_name[name].end_ns)
        self.assertEqual(by_name["Sequential"].parent, self.outer)
        self.assertEqual({s.status for s in spans}, {"ok"})
        first = by_name["0.first"]
        self.assertEqual([first.get(k) for k in ("type", "input_shape", "output_shape", "parameters", "clock")],
                         ["Linear", "3x8", "3x16", 8 * 16 + 16, None])

    def test_a_shared_module_is_named_by_where_it_is_called_from(self):
        nn, shared = self.torch.nn, self.torch.nn.Linear(4, 4)
        model = nn.ModuleDict({"a": nn.Sequential(shared), "b": nn.Sequential(nn.ReLU(), shared)})

        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.parts = model

            def forward(self, x):
                return self.parts["b"](self.parts["a"](x))

        twice = Twice()

        def work():
            with prony.torch.layers(twice):
                twice(self.torch.rand(1, 4))

        self.assertEqual([s.name for s in self.recorded(work)],
                         ["Twice", "parts.a", "parts.a.0", "parts.b", "parts.b.0", "parts.b.1"])

    def test_an_exception_goes_on_and_what_it_left_is_failed_and_what_follows_is_not_inside_it(self):
        nn = self.torch.nn

        class Breaks(nn.Module):
            def forward(self, x):
                if x.shape[0] == 1:
                    raise KeyError("one")
                return x

        model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(Breaks(), nn.ReLU()))

        def work():
            with prony.torch.layers(model):
                with self.assertRaises(KeyError):
                    model(self.torch.rand(1, 4))
                try:
                    raise OSError("an exception that was there before")
                except OSError:
                    model(self.torch.rand(2, 4))
                self.assertEqual(prony.current_span(), 0)

        spans = self.recorded(work)
        self.assertEqual([(s.name, s.status) for s in spans],
                         [("Sequential", "failed"), ("0", "ok"), ("1", "failed"), ("1.0", "failed"),
                          ("Sequential", "ok"), ("0", "ok"), ("1", "ok"), ("1.0", "ok"), ("1.1", "ok")])
        self.assertEqual(spans[4].parent, 0)

    def test_an_interrupt_that_no_hook_hears_of_leaves_no_span_open(self):
        nn = self.torch.nn

        class Interrupted(nn.Module):
            def forward(self, x):
                raise KeyboardInterrupt

        model = nn.Sequential(Interrupted())

        def work():
            with self.assertRaises(KeyboardInterrupt), prony.torch.layers(model):
                model(self.torch.rand(1, 4))
            self.assertEqual(prony.current_span(), 0)

        spans = self.recorded(work)
        self.assertEqual([(s.name, s.status, s.get("end")) for s in spans],
                         [("Sequential", "failed", "when it was noticed"), ("0", "failed", "when it was noticed")])

    def test_after_detach_no_hook_is_left_and_the_results_were_the_same_all_the_time(self):
        model, given = self.nested(), self.torch.rand(3, 8)
        plain = model(given)
        layers = prony.torch.layers(model).attach()
        layers.attach()
        hooked = model(given)
        layers.detach()
        layers.detach()
        for module in model.modules():
            for kind in ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs",
                         "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called"):
                self.assertFalse(getattr(module, kind, None), kind)
        self.assertTrue(self.torch.equal(plain, hooked))
        self.assertEqual(self.recorded(lambda: model(given)), [])

    def test_only_what_is_asked_for_gets_spans_and_the_outermost_always(self):
        model = self.nested()

        def work():
            with prony.torch.layers(model, only=lambda name, module: isinstance(module, self.torch.nn.ReLU), shapes=False):
                model(self.torch.rand(3, 8))

        spans = self.recorded(work)
        self.assertEqual([s.name for s in spans], ["Sequential", "1.1"])
        self.assertIsNone(spans[0].get("input_shape"))

    def test_threads_nest_in_their_own_calls(self):
        model, both = self.nested(), threading.Barrier(2)

        def call():
            both.wait()
            for _ in range(20):
                model(self.torch.rand(2, 8))

        def work():
            with prony.torch.layers(model):
                threads = [threading.Thread(target=call) for _ in range(2)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        spans = self.recorded(work)
        self.assertEqual(len(spans), 2 * 20 * 7)
        by_id = {s.id: s for s in self.spans}
        for s in spans:
            if s.parent:
                self.assertEqual(by_id[s.parent].thread, s.thread)

    def test_layers_that_are_called_with_names_have_their_shape_too(self):
        nn = self.torch.nn

        class Named(nn.Module):
            def forward(self, *, states):
                return (states, None)

        model = Named()

        def work():
            with prony.torch.layers(model):
                model(states=self.torch.rand(2, 5))

        spans = self.recorded(work)
        self.assertEqual(spans[0].get("output_shape"), "2x5")
        if hasattr(nn.Module(), "_forward_pre_hooks_with_kwargs"):  # PyTorch 2.0
            self.assertEqual(spans[0].get("input_shape"), "2x5")

    def test_a_copy_of_a_hooked_model_works_and_has_no_spans(self):
        model = self.nested()

        def work():
            with prony.torch.layers(model):
                copied = copy.deepcopy(model)
                copied(self.torch.rand(3, 8))

        self.assertEqual(self.recorded(work), [])

    def test_a_traced_model_holds_no_hook_and_a_scripted_part_belongs_to_its_outer_layer(self):
        nn, given = self.torch.nn, self.torch.rand(2, 4)
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def work():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer ones call both outdated
                with prony.torch.layers(model):
                    traced = self.torch.jit.trace(model, given, check_trace=False)  # that would call it
                    traced(given)
                scripted = self.torch.jit.script(nn.Linear(4, 4))
            with self.assertRaisesRegex(ValueError, "takes no hooks"):
                prony.torch.layers(scripted).attach()
            outer = nn.Sequential(nn.ReLU(), scripted)
            with prony.torch.layers(outer):
                outer(given)

        self.assertEqual([s.name for s in self.recorded(work)], ["Sequential", "0"])

    def test_an_unknown_clock_is_refused(self):
        with self.assertRaisesRegex(ValueError, "sundial.*device"):
            prony.torch.layers(self.nested(), clock="sundial")
