"""What a live PyTorch model computes for given inputs: parameters, multiply-adds and activation bytes, layer by layer.

>>> import prony.complexity
>>> print(prony.complexity.of(model, input_size=(1, 3, 224, 224)))     # doctest: +SKIP

The model runs once, without gradients and in evaluation mode (it is put back afterwards), and the operators that it calls
are counted, not its modules: a convolution or a matrix product in a function, and attention, are counted too. One
multiply-add is two FLOP. Counted: matrix products, convolutions and attention (whole: a causal mask saves nothing here).
Not counted: element-wise work, normalisation, pooling; biases are no multiply-adds. Operators that multiply matrices and
that this page of formulas does not know are named in ``uncounted``. On the device "meta" nothing is computed at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .torch import module_names, name_inside, shape_text

__all__ = ["Complexity", "Layer", "of"]


@dataclass
class Layer:
    """One module. ``parameters`` are its own, without those of modules inside; ``multiply_adds`` are of all calls, with
    what is inside; ``output_bytes`` of all calls. ``depth`` 0 is the model; ``leaf``: nothing inside."""

    name: str
    type: str
    depth: int
    leaf: bool
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    calls: int = 0
    multiply_adds: int = 0
    output_bytes: int = 0
    input_shape: str = ""
    output_shape: str = ""


@dataclass
class Complexity:
    """A model's totals and its layers in the order of their first call; those that were never called come last.

    ``parameters``: each once, however often its module is called or shared. ``activation_bytes``: what the innermost
    modules put out, once each (training keeps as much again for gradients). ``uncounted``: operators without a formula.
    """

    model: str
    inputs: Tuple[str, ...]
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    multiply_adds: int
    activation_bytes: int
    input_bytes: int
    layers: List[Layer]
    operators: Dict[str, int] = field(default_factory=dict)
    uncounted: Tuple[str, ...] = ()

    @property
    def flop(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.multiply_adds

    def to_dict(self) -> Dict[str, Any]:
        """Plain numbers and texts, for JSON."""
        from dataclasses import asdict

        return {**asdict(self), "flop": self.flop, "inputs": list(self.inputs), "uncounted": list(self.uncounted)}

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __str__(self) -> str:
        rows = [("layer", "type", "output", "parameters", "multiply-adds")]
        rows += [("  " * layer.depth + (layer.name.rsplit(".", 1)[-1] or self.model), layer.type, layer.output_shape or "–",
                  f"{layer.parameters:,}", f"{layer.multiply_adds:,}") for layer in self.layers]
        wide = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join([*(cell.ljust(wide[c]) for c, cell in enumerate(row[:3])),
                            *(cell.rjust(wide[c + 3]) for c, cell in enumerate(row[3:]))]) for row in rows]
        lines.append(f"{self.parameters:,} parameters ({self.trainable_parameters:,} trainable), {self.parameter_bytes:,} bytes; "
                     f"{self.multiply_adds:,} multiply-adds; {self.activation_bytes:,} bytes of activations")
        if self.uncounted:
            lines.append("not counted, and in no total: " + ", ".join(self.uncounted))
        return "\n".join(lines)


def _matrix_product(left: Any, right: Any) -> int:
    """(…, m, k) times (…, k, n): m·n·k each."""
    return int(math.prod(left.shape)) * int(right.shape[-1] if len(right.shape) > 1 else 1)


def _convolution(given: Sequence[Any], out: Any) -> int:
    """Each output value takes (channels in / groups) · kernel products; each input value of a transposed one does so."""
    weight, transposed = given[1], bool(given[6])
    each = int(math.prod(weight.shape[1:]))
    return int(math.prod((given[0] if transposed else out).shape)) * each


def _attention(query: Any, key: Any, value: Any) -> int:
    """Query times key, and the weights times value, for each head."""
    heads = int(math.prod(query.shape[:-2]))
    return heads * int(query.shape[-2]) * int(key.shape[-2]) * int(query.shape[-1] + value.shape[-1])


def _fused_attention(given: Sequence[Any], out: Any) -> int:
    """Of (batch, length, width) each: three projections into heads, attention, and one projection back."""
    query, key, width = given[0], given[1], int(given[3])
    rows = int(query.shape[0])
    made = int(query.shape[1]) * 2 + int(key.shape[1]) * 2  # of query, of key and value, of what comes out
    return rows * width * (made * width + 2 * int(query.shape[1]) * int(key.shape[1]))


def _encoder_layer(given: Sequence[Any], out: Any) -> int:
    """Attention of a sequence to itself, and the two products of the feed-forward part."""
    source, width = given[0], int(given[1])
    forward = math.prod(source.shape[:-1]) * (int(given[14].numel()) + int(given[16].numel()))
    return _fused_attention((source, source, source, width), out) + int(forward)


def _recurrent(given: Sequence[Any], out: Any) -> int:
    """Each step multiplies its input and its state with all weights of the layer."""
    return int(math.prod(given[0].shape[:-1])) * (int(given[1].numel()) + int(given[2].numel()))


_FORMULAS = {
    "mm": lambda given, out: _matrix_product(given[0], given[1]),
    "bmm": lambda given, out: _matrix_product(given[0], given[1]),
    "mv": lambda given, out: _matrix_product(given[0], given[1]),
    "dot": lambda given, out: _matrix_product(given[0], given[1]),
    "addmm": lambda given, out: _matrix_product(given[1], given[2]),
    "_addmm_activation": lambda given, out: _matrix_product(given[1], given[2]),
    "addmv": lambda given, out: _matrix_product(given[1], given[2]),
    "baddbmm": lambda given, out: _matrix_product(given[1], given[2]),
    "_int_mm": lambda given, out: _matrix_product(given[0], given[1]),
    "_scaled_mm": lambda given, out: _matrix_product(given[0], given[1]),
    "convolution": _convolution,
    "_convolution": _convolution,
    "_native_multi_head_attention": _fused_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _recurrent,
    **{name: lambda given, out: _attention(*given[:3]) for name in (
        "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_attention_math")},
}
_HEAVY = ("mm", "conv", "attention", "linear", "lstm", "gru", "rnn", "einsum", "matmul", "transformer")


class _Count:
    """Counts of a run of a model: the modules' hooks and the operators that are called inside of them."""

    def __init__(self, model: Any) -> None:
        self._names = module_names(model)
        self.layers: Dict[str, Layer] = {}
        self.operators: Dict[str, int] = {}
        self.uncounted: Dict[str, None] = {}
        self._open: List[Layer] = []

    def layer(self, module: Any, name: str) -> Layer:
        if name not in self.layers:
            own = list(module.parameters(recurse=False))
            self.layers[name] = Layer(
                name, type(module).__name__, name.count(".") + 1 if name else 0, next(iter(module.children()), None) is None,
                sum(int(p.numel()) for p in own), sum(int(p.numel()) for p in own if p.requires_grad),
                sum(int(p.numel()) * int(p.element_size()) for p in own))
        return self.layers[name]

    def enter(self, module: Any, given: Any) -> None:
        layer = self.layer(module, name_inside(self._names[id(module)], self._open[-1].name if self._open else None))
        layer.calls += 1
        self._open.append(layer)
        tensors = list(_tensors(given))
        if tensors and not layer.input_shape:
            layer.input_shape = shape_text(tensors[0])

    def leave(self, module: Any, given: Any, result: Any) -> None:
        layer = self._open.pop()
        tensors = list(_tensors(result))
        layer.output_bytes += sum(_bytes(t) for t in tensors)
        if tensors and not layer.output_shape:
            layer.output_shape = shape_text(tensors[0])

    def operator(self, name: str, given: Sequence[Any], out: Any) -> None:
        formula = _FORMULAS.get(name)
        if formula is None:
            if any(word in name for word in _HEAVY) and "backward" not in name:
                self.uncounted[name] = None
            return
        count = int(formula(given, out))  # type: ignore[no-untyped-call]
        self.operators[name] = self.operators.get(name, 0) + count
        for layer in {id(one): one for one in self._open}.values():  # once, also where a module calls itself
            layer.multiply_adds += count


def _tensors(values: Any) -> Iterator[Any]:
    if hasattr(values, "shape") and hasattr(values, "element_size"):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)


def _bytes(tensor: Any) -> int:
    return int(tensor.numel()) * int(tensor.element_size())


def _operators_counted(count: _Count) -> Any:
    """A context in which every operator is told to ``count``."""
    from torch.utils._python_dispatch import TorchDispatchMode

    base: Any = TorchDispatchMode

    class Mode(base):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            count.operator(getattr(function, "_overloadpacket", function).__name__, args, out)
            return out

    return Mode()


def _generator(torch: Any) -> Any:
    return torch.Generator().manual_seed(0)


def _made_inputs(model: Any, input_size: Sequence[Any], dtype: Any) -> Tuple[Any, ...]:
    """Random inputs of the wanted shapes, where and as the model's parameters are. The global generator is left alone."""
    import torch

    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    dtype = dtype or (torch.float32 if parameter is None or not parameter.is_floating_point() else parameter.dtype)
    sizes = [input_size] if all(isinstance(n, int) for n in input_size) else list(input_size)
    made = []
    for size in sizes:
        if device.type == "meta":
            made.append(torch.empty(tuple(size), device=device, dtype=dtype))
        elif dtype.is_floating_point:
            made.append(torch.rand(tuple(size), generator=_generator(torch)).to(device=device, dtype=dtype))
        else:
            made.append(torch.zeros(tuple(size), device=device, dtype=dtype))  # a token that every vocabulary has
    return tuple(made)


def of(model: Any, *inputs: Any, input_size: Optional[Sequence[Any]] = None, dtype: Any = None, **named: Any) -> Complexity:
    """Runs the model once on ``inputs`` and ``named`` ones, or on one made of ``input_size`` (a shape, or several; of the
    parameters' type unless ``dtype`` says another, token numbers say), and counts."""
    import torch

    if input_size is not None:
        if inputs:
            raise ValueError("give inputs or input_size, not both")
        inputs = _made_inputs(model, input_size, dtype)
    elif not inputs and not named:
        raise ValueError("give the model's inputs, or input_size=(1, 3, 224, 224)")
    count = _Count(model)
    training = {module: module.training for module in model.modules()}
    handles = []
    try:
        for module in training:
            handles += [module.register_forward_pre_hook(count.enter), module.register_forward_hook(count.leave)]
        model.eval()
        with torch.no_grad(), _operators_counted(count):
            model(*inputs, **named)
    finally:
        for handle in handles:
            handle.remove()
        for module, before in training.items():
            module.training = before
    for name, module in model.named_modules():
        count.layer(module, name)
    return _complexity(model, count, inputs, named)


def _complexity(model: Any, count: _Count, inputs: Any, named: Any) -> Complexity:
    parameters = list(model.parameters())
    given = list(_tensors((inputs, named)))
    layers = list(count.layers.values())
    return Complexity(
        model=type(model).__name__, inputs=tuple(shape_text(t) for t in given),
        parameters=sum(int(p.numel()) for p in parameters),
        trainable_parameters=sum(int(p.numel()) for p in parameters if p.requires_grad),
        parameter_bytes=sum(_bytes(p) for p in parameters), multiply_adds=sum(count.operators.values()),
        activation_bytes=sum(layer.output_bytes for layer in layers if layer.leaf), input_bytes=sum(map(_bytes, given)),
        layers=layers, operators=dict(count.operators), uncounted=tuple(count.uncounted))
