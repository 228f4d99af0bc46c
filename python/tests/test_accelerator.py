"""How layers on an accelerator are stamped, against a stand-in for one: a stream that works when it is due, with a clock of its
own, and modules with hooks as PyTorch's. Only where events are taken and waits are made can be shown so, not that a real
driver's events are right."""

import sys
import time
import types

import prony
import prony.torch
from prony import _accelerator
from support import Case


class Device:
    def __init__(self, kind):
        self.type = kind

    def __str__(self):
        return self.type + ":0"


class Tensor:
    def __init__(self, device, *shape):
        self.device, self.shape = device, shape


class Accelerator:
    """Work takes its time after it was handed over; the host's clock knows nothing of it. Its clock runs from elsewhere."""

    def __init__(self):
        self.free_at_ns = 0
        self.truth, self.waits = [], 0
        accelerator = self

        class Event:
            def __init__(self, enable_timing=False):
                assert enable_timing

            def record(self, stream):
                assert stream == "stream of cuda:0"
                self.at_ns = max(prony.now_ns(), accelerator.free_at_ns)

            def synchronize(self):
                accelerator.wait_until(self.at_ns)

            def elapsed_time(self, later):
                return (later.at_ns - self.at_ns) / 1e6  # ms

        self.Event = Event

    def current_stream(self, device):
        return f"stream of {device}"

    def work(self, name, length_ns):
        begin = max(prony.now_ns(), self.free_at_ns)
        self.free_at_ns = begin + length_ns
        self.truth.append((name, begin, self.free_at_ns))

    def wait_until(self, at_ns):
        while prony.now_ns() < at_ns:
            time.sleep(max(0, at_ns - prony.now_ns()) / 1e9)

    def synchronize(self, device=None):
        self.waits += 1
        self.wait_until(self.free_at_ns)


class Handle:
    def __init__(self, hooks, hook):
        self.hooks, self.hook = hooks, hook

    def remove(self):
        self.hooks.remove(self.hook)


class Module:
    """The hooks of torch.nn.Module, version 1.13."""

    def __init__(self, work=None, **children):
        self.work, self.children, self.before, self.after = work, children, [], []

    def named_modules(self, remove_duplicate=True, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_modules(remove_duplicate, f"{prefix}.{name}" if prefix else name)

    def parameters(self, recurse=True):
        return iter(())

    def register_forward_pre_hook(self, hook):
        self.before.append(hook)
        return Handle(self.before, hook)

    def register_forward_hook(self, hook):
        self.after.append(hook)
        return Handle(self.after, hook)

    def __call__(self, x):
        for hook in self.before:
            hook(self, (x,))
        for child in self.children.values():
            child(x)
        if self.work:
            self.work()
        for hook in self.after:
            hook(self, (x,), x)
        return x


class Stamps(Case):
    def setUp(self):
        super().setUp()
        self.gpu = Accelerator()
        self.model = Module(first=Module(lambda: self.gpu.work("first", 30_000_000)),
                            second=Module(lambda: self.gpu.work("second", 10_000_000)))

    def spans(self, work):
        with self.meter() as meter:
            work()
        with meter.run() as run:
            return [(s, {k: s.get(k) for k in ("clock", "clock_name", "clock_doubt_ns", "input_shape")})
                    for s in run.spans if s.kind == "layer"]

    def called(self, kind, clock="auto"):
        def work():
            with prony.torch.Layers(self.model, clock=clock, backend=self.gpu):
                self.model(Tensor(Device(kind), 1, 4))

        return self.spans(work)

    def test_a_devices_events_stamp_its_layers_and_the_host_waits_once_at_the_end(self):
        found = self.called("cuda")
        self.assertEqual([s.name for s, _ in found], ["Module", "first", "second"])
        self.assertEqual({(v["clock"], v["clock_name"], v["input_shape"]) for _, v in found}, {("device", "cuda:0", "1x4")})
        for (name, begin, end), (s, values) in zip(self.gpu.truth, found[1:]):
            self.assertEqual(s.name, name)
            self.assertEqual(s.parent, found[0][0].id)
            # Handed over in microseconds, worked for 40 ms: stamps of the host would be off by a layer.
            doubt_ns = values["clock_doubt_ns"]
            self.assertLessEqual(abs(s.end_ns - end), doubt_ns + 2_000_000)  # 2 ms: the stand-in's events are not idle's
            self.assertLessEqual(abs(s.end_ns - s.begin_ns - (end - begin)), 2_000_000)
        self.assertEqual(self.gpu.waits, 1)

    def test_an_accelerator_without_known_events_is_waited_for_around_each_layer(self):
        found = self.called("npu")
        self.assertEqual({v["clock"] for _, v in found}, {"synchronised"})
        self.assertEqual(self.gpu.waits, 6)
        for (_, begin, end), (s, _) in zip(self.gpu.truth, found[1:]):
            self.assertLessEqual(s.begin_ns, begin)
            self.assertGreaterEqual(s.end_ns, end)

    def test_without_any_wait_the_spans_say_so(self):
        found = self.called("cuda", clock="host")
        self.assertEqual({v["clock"] for _, v in found}, {"host-asynchronous"})
        self.assertEqual(self.gpu.waits, 0)

    def test_stamps_that_a_device_cannot_give_are_refused_and_the_hooks_are_gone_afterwards(self):
        with self.meter(), self.assertRaisesRegex(ValueError, "npu.*synchronised"):
            with prony.torch.Layers(self.model, clock="device", backend=self.gpu):
                self.model(Tensor(Device("npu"), 1))
        self.assertEqual([m.before + m.after for _, m in self.model.named_modules()], [[], [], []])

    def test_while_a_graph_is_captured_nothing_is_stamped(self):
        self.gpu.is_current_stream_capturing = lambda: True
        self.assertEqual(self.called("cuda"), [])

    def test_while_a_model_is_compiled_the_hooks_do_nothing(self):
        real = sys.modules.get("torch")
        sys.modules["torch"] = types.SimpleNamespace(compiler=types.SimpleNamespace(is_compiling=lambda: True))
        try:
            self.assertEqual(self.called("cuda"), [])
        finally:
            if real is None:
                del sys.modules["torch"]
            else:
                sys.modules["torch"] = real

    def test_an_anchor_takes_the_tightest_of_its_looks_and_its_doubt_is_half_of_it(self):
        looks = iter([0, 9000, 10_000, 11_000, 20_000, 50_000])
        before, _accelerator.now_ns = _accelerator.now_ns, lambda: next(looks)
        try:
            _, clock = _accelerator.DeviceStamps(self.gpu).anchor(Device("cuda"))
        finally:
            _accelerator.now_ns = before
        self.assertEqual((clock.name, clock.offset_ns, clock.doubt_ns), ("cuda:0", 10_500, 1000))

    def test_a_layer_on_the_host_inside_of_one_on_the_device_is_stamped_by_the_host_and_nests_in_it(self):
        inner = Module()
        host = Tensor(Device("cpu"), 2)
        self.model.children["first"].work = lambda: (self.gpu.work("first", 1_000_000), inner(host))
        self.model.children["first"].children["inner"] = inner
        # named_modules knows it, and it is called twice: by its parent with the device's tensor, and with the host's
        found = self.called("cuda")
        self.assertEqual([(s.name, v["clock"]) for s, v in found],
                         [("Module", "device"), ("first", "device"), ("first.inner", "device"), ("first.inner", None),
                          ("second", "device")])
        self.assertEqual(found[3][0].parent, found[1][0].id)

    def test_a_stamped_span_is_on_the_monotonic_clock_and_says_its_clock(self):
        def work():
            prony.stamped_span("kernel", -1000, -400, prony.Clock("gpu:1", 5_000_000, 70), kind="layer", n=3)

        with self.meter() as meter:
            work()
        with meter.run() as run:
            s = next(s for s in run.spans if s.name == "kernel")
            self.assertEqual((s.begin_ns, s.end_ns, s.get("clock"), s.get("clock_name"), s.get("clock_doubt_ns"), s.get("n")),
                             (4_999_000, 4_999_600, "device", "gpu:1", 70, 3))
