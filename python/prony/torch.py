"""A span for each layer of a PyTorch model, by forward hooks.

>>> import prony, prony.torch
>>> with prony.Meter() as meter, prony.torch.layers(model):     # doctest: +SKIP
...     model(image)

How the spans are stamped is said in each of them. On the host's processors a layer is done when its call returns: plain
stamps, no attribute. On CUDA devices (also AMD's) events in the device's stream stamp, and the host waits once at the end
of each outermost call; the attribute ``clock`` is "device". Other accelerators are waited for before and after each layer:
``clock`` is "synchronised". Not seen: what is called as ``module.forward(x)`` or through a function, the inside of
compiled, scripted and captured models, backward passes.
"""

from __future__ import annotations

import inspect
import sys
import threading
from typing import Any, Callable, Dict, List, Optional

from . import _accelerator
from ._accelerator import DeviceStamps, first_tensor, is_host
from ._spans import complete_span, current_span, now_ns, recording, span, stamped_span

__all__ = ["Layers", "layers"]


def module_names(model: Any) -> Dict[int, List[str]]:
    """All the names under which a model has each of its modules; by id(). The model's own is ""."""
    names: Dict[int, List[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    return names


def name_inside(names: List[str], outer: Optional[str]) -> str:
    """Of a shared module's names the one that it is called by now: inside of the module that is open."""
    if outer:
        for name in names:
            if name.startswith(outer + "."):
                return name
    return names[0]


def shape_text(tensor: Any) -> str:
    """"1x3x224x224" """
    return "x".join(str(int(size)) for size in tensor.shape)


class _Call:
    """One call of a module that is under way, or waits to be written."""

    __slots__ = ("module", "name", "values", "live", "device", "begin", "end", "outer", "clock", "error_before")

    def __init__(self, module: Any, name: str, values: Dict[str, Any], outer: "Optional[_Call]") -> None:
        self.module, self.name, self.values, self.outer = module, name, values, outer
        self.live: Optional[span] = None
        self.device: Any = None
        self.begin: Any = None
        self.end: Any = None
        self.clock = ""
        self.error_before = sys.exc_info()[1]


class _Local(threading.local):
    """A thread's open calls, and those of its outermost call that device events have stamped."""

    def __init__(self) -> None:
        self.open: List[_Call] = []
        self.stamped: List[_Call] = []


class Layers:
    """Hooks on a model's modules; ``attach`` and ``detach``, or a ``with`` block. Any thread may call the model.

    A span of kind "layer" for each call of each module, nested as the modules are, named as ``named_modules`` has them
    (the outermost by its class; a module that is shared by the name it is called by). Values: ``type``, ``input_shape``,
    ``output_shape``, ``parameters`` (of its own) and, on accelerators, ``clock``. A module that is left by an exception
    is failed. ``only``: which modules get spans, by name and module; the outermost always. ``clock``: "auto" (see the
    top of this file), "device", "synchronised", or "host" (no wait at all: "host-asynchronous", no joules of the
    accelerator are told for it). Detach before the model is saved whole.
    """

    def __init__(self, model: Any, *, only: Optional[Callable[[str, Any], bool]] = None, clock: str = "auto",
                 shapes: bool = True, backend: Any = None) -> None:
        if clock not in _accelerator.CLOCKS:
            raise ValueError(f"there is no clock {clock!r}; there are {', '.join(_accelerator.CLOCKS)}")
        self._model, self._only, self._clock, self._shapes, self._backend = model, only, clock, shapes, backend
        self._handles: List[Any] = []
        self._names: Dict[int, List[str]] = {}
        self._parameters: Dict[int, int] = {}
        self._local = _Local()

    def attach(self) -> "Layers":
        """Hooks every module; again: nothing."""
        if self._handles:
            return self
        self._names = module_names(self._model)
        for name, module in self._model.named_modules():
            if module is self._model or self._only is None or self._only(name, module):
                self._parameters[id(module)] = sum(int(p.numel()) for p in module.parameters(recurse=False))
                try:
                    self._handles += [_hook(module.register_forward_pre_hook, self._enter, self._enter_named),
                                      _hook(module.register_forward_hook, self._leave, self._leave_named)]
                except RuntimeError as error:  # a scripted module has no hooks; it is part of its outer layer then
                    if module is self._model:
                        raise ValueError(f"{type(module).__name__} takes no hooks: {error}") from error
        return self

    def detach(self) -> None:
        """Takes every hook away; what an exception left open in this thread is ended as failed."""
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.remove()
        self._abandon(0)

    def __enter__(self) -> "Layers":
        return self.attach()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.detach()

    def __deepcopy__(self, memo: Any) -> "Layers":
        return self  # a copy of the model keeps its hooks, and they know no module of it: no spans

    def _enter(self, module: Any, given: Any) -> None:
        self._enter_named(module, given, {})

    def _enter_named(self, module: Any, given: Any, named: Dict[str, Any]) -> None:
        names = self._names.get(id(module))
        if names is None or _traced():
            return
        opened = self._local.open
        if module is self._model and opened:
            self._abandon(0)  # an older PyTorch does not tell of exceptions: seen now that it begins anew
        outer = opened[-1] if opened else None
        tensor = first_tensor(given) if given else None
        tensor = first_tensor(named) if tensor is None and named else tensor
        values: Dict[str, Any] = {"type": type(module).__name__, "parameters": self._parameters[id(module)]}
        if self._shapes and tensor is not None:
            values["input_shape"] = shape_text(tensor)
        call = _Call(module, name_inside(names, outer.name if outer else None), values, outer)
        call.device = tensor.device if tensor is not None else outer.device if outer else _device_of(module)
        opened.append(call)
        if recording():
            self._begin(call)

    def _begin(self, call: _Call) -> None:
        backend = None if is_host(call.device) else self._backend or _accelerator.backend_of(call.device)
        call.clock = _accelerator.choose(self._clock, call.device, backend)
        if call.clock == "device" and _capturing(backend):
            call.clock = ""
            return  # an event in a graph that is captured would stamp nothing
        if call.clock == "device":
            call.begin = DeviceStamps(backend).stamp(call.device)
            self._local.stamped.append(call)
            return
        if self._local.stamped:  # a layer on the host inside of one that a device stamps: written with it
            call.begin = now_ns()
            self._local.stamped.append(call)
            return
        if call.clock:
            call.values["clock"] = call.clock
            if call.clock == "synchronised":
                _accelerator.wait_for(backend, call.device)
        call.live = span(_shown(call), kind="layer", **call.values)
        call.live.__enter__()

    def _leave(self, module: Any, given: Any, result: Any) -> None:
        self._leave_named(module, given, {}, result)

    def _leave_named(self, module: Any, given: Any, named: Any, result: Any) -> None:
        opened = self._local.open
        for place in range(len(opened) - 1, -1, -1):
            if opened[place].module is module:
                break
        else:
            return  # begun before the hooks were there
        self._abandon(place + 1)
        call = opened.pop()
        error = sys.exc_info()[1]
        failed = result is None and error is not None and error is not call.error_before
        if self._shapes and not failed:
            tensor = first_tensor((result,)) if not isinstance(result, dict) else first_tensor(result)
            if tensor is not None:
                call.values["output_shape"] = shape_text(tensor)
        self._end(call, type(error) if failed else None)

    def _end(self, call: _Call, error: Any) -> None:
        if call.live is not None:
            if call.clock == "synchronised" and error is None:
                _accelerator.wait_for(self._backend or _accelerator.backend_of(call.device), call.device)
            if "output_shape" in call.values:
                call.live.set(output_shape=call.values["output_shape"])
            call.live.__exit__(error, None, None)
        elif call.begin is not None:
            if error is not None:
                call.values["error"] = error.__name__
            if call.clock == "device":
                backend = self._backend or _accelerator.backend_of(call.device)
                call.end = DeviceStamps(backend).stamp(call.device)
            else:
                call.end = now_ns()
        if not any(one.begin is not None for one in self._local.open):
            self._write_stamped()

    def _abandon(self, keep: int) -> None:
        """Ends as failed what is open above ``keep``: its end was not told, and is taken for now."""
        while len(self._local.open) > keep:
            call = self._local.open.pop()
            if call.live is not None:
                call.live.set(end="when it was noticed")
            call.values["end"] = "when it was noticed"
            self._end(call, RuntimeError)

    def _write_stamped(self) -> None:
        """Waits for the devices and writes what their events stamped, outer calls first."""
        calls, self._local.stamped = self._local.stamped, []
        marks: Dict[Any, Any] = {}
        ids: Dict[int, int] = {}
        for call in calls:
            outer = call.outer
            while outer is not None and id(outer) not in ids:
                outer = outer.outer
            parent = current_span() if outer is None else ids[id(outer)]
            if call.clock != "device":
                ids[id(call)] = complete_span(_shown(call), call.begin, call.end, kind="layer", parent=parent, **call.values)
                continue
            if call.device not in marks:
                backend = self._backend or _accelerator.backend_of(call.device)
                marks[call.device] = DeviceStamps(backend).anchor(call.device)
            mark, clock = marks[call.device]
            ids[id(call)] = stamped_span(_shown(call), DeviceStamps.before(mark, call.begin),
                                         DeviceStamps.before(mark, call.end), clock, kind="layer", parent=parent,
                                         **call.values)


def layers(model: Any, *, only: Optional[Callable[[str, Any], bool]] = None, clock: str = "auto",
           shapes: bool = True) -> Layers:
    """Spans for a model's layers inside a ``with`` block: ``with prony.torch.layers(model): model(x)``. See Layers."""
    return Layers(model, only=only, clock=clock, shapes=shapes)


def _shown(call: _Call) -> str:
    return call.name or type(call.module).__name__


def _hook(register: Any, plain: Any, with_names: Any) -> Any:
    """Registers the fuller form where this PyTorch has it: named arguments (2.0), and hooks after an exception (2.1)."""
    known = inspect.signature(register).parameters
    options = {name: True for name in ("with_kwargs", "always_call") if name in known}
    return register(with_names if "with_kwargs" in options else plain, **options)


def _device_of(module: Any) -> Any:
    parameter = next(iter(module.parameters()), None)
    return None if parameter is None else parameter.device


def _traced() -> bool:
    """Whether the model is being compiled or traced: a hook would become part of it."""
    torch = sys.modules.get("torch")
    tracing = getattr(getattr(torch, "jit", None), "is_tracing", None)
    if tracing is not None and tracing():
        return True
    compiler = getattr(torch, "compiler", None)
    asked = getattr(compiler, "is_compiling", None)
    return bool(asked()) if asked is not None else False


def _capturing(backend: Any) -> bool:
    asked = getattr(backend, "is_current_stream_capturing", None)
    return bool(asked()) if asked is not None else False
