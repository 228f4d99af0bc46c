"""A causal language model of transformers: loaded from a folder, asked in batches of a fixed shape, stamped when things are
done. Knows nothing of the protocol. Times are CLOCK_MONOTONIC in ns; on an accelerator the device is waited for first."""

from __future__ import annotations

import inspect
import math
import os
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence

from . import memory as memories
from .batching import Batching, batching_from, left_padding
from .precision import DTYPES, QUANTISATIONS, not_honoured, quantisations
from .protocol import Load, truncated
from .rows import Row
from .spans import now_ns
from .windows import windows


class Failure(Exception):
    """A code of docs/worker-protocol.md and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Options:
    """What the command line says of the engine."""

    dtype: str = "auto"
    quantisation: str = "none"
    device: str = "auto"
    attention: str = "auto"
    random_weights: bool = False


def versions() -> Dict[str, Optional[str]]:
    """Of the packages this worker lives on; None: not installed."""
    found: Dict[str, Optional[str]] = {}
    for name in ("torch", "transformers", "bitsandbytes", "accelerate"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def classify(problem: BaseException) -> str:
    """The protocol's code of what a library raised."""
    words = str(problem)
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return "memory"
    if any(hint in words for hint in ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED",
                                      "not enough memory")):
        return "memory"
    if isinstance(problem, NotImplementedError) or "not implemented for" in words:
        return "unsupported"
    return "internal"


def first_line(problem: BaseException) -> str:
    words = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return f"{type(problem).__name__}: {words[0][:400]}" if words else type(problem).__name__


class Engine:
    """One model at a time; one thread."""

    def __init__(self, options: Options, local_rank: int = 0, ranks_here: int = 1) -> None:
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"  # a model is a folder: nothing is fetched
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.torch, self.transformers = torch, transformers
        self.options, self.ranks_here = options, ranks_here
        self.versions = versions()
        self.versions["torch"], self.versions["transformers"] = torch.__version__, transformers.__version__
        accelerator = torch.cuda.is_available()
        kind = ("cuda" if accelerator else "cpu") if options.device == "auto" else options.device
        self.device = torch.device(kind, local_rank % max(1, torch.cuda.device_count())) if kind == "cuda" else \
            torch.device(kind)
        self.accelerator = accelerator
        self.model: Any = None
        self.batching = Batching()
        self.memory = memories.Watch(memories.ProcessMemory())

    # --- load --------------------------------------------------------------------------------------------------------

    def load(self, asked: Load) -> Dict[str, Any]:
        """Replaces the model; gives facts, or raises Failure."""
        begin = now_ns()
        self.model = self.tokenizer = None
        batching = batching_from(asked.batching)
        if self.device.type == "cuda" and not self.accelerator:
            raise Failure("unsupported", "this PyTorch sees no CUDA device: --device cpu computes on the processors")
        why = quantisations(self.versions, self.accelerator).get(self.options.quantisation)
        if why:
            raise Failure("unsupported", f"quantisation {self.options.quantisation} is not to be had here: {why}")
        self.check_folder(asked.model)
        if asked.threads:
            self.torch.set_num_threads(max(1, asked.threads // self.ranks_here))
        try:
            if self.device.type == "cuda":
                self.memory = memories.Watch(memories.CudaMemory(self.torch.cuda, self.device))
            self.memory.begin()
            attention = self.load_model(asked)
            self.probe()
            model_memory = self.memory.end()
        except Failure:
            self.model = None
            raise
        except Exception as problem:  # pylint: disable=broad-except
            self.model = None
            code = classify(problem)
            raise Failure("model" if code == "internal" else code, f"{asked.model}: {first_line(problem)}") from problem
        self.batching, self.seed = batching, asked.seed
        return self.facts(asked, attention, model_memory, begin)

    def check_folder(self, path: str) -> None:
        """A local folder with config.json, and weights unless they are made up."""
        if not os.path.isdir(path):
            raise Failure("model", f"{path} is no folder: --model names one that holds config.json, weights and a tokenizer "
                                   "(nothing is fetched)")
        if not os.path.isfile(os.path.join(path, "config.json")):
            raise Failure("model", f"{path} has no config.json")
        weights = [name for name in os.listdir(path) if name.endswith((".safetensors", ".bin", ".safetensors.index.json"))
                   and not name.startswith(("training_args", "optimizer"))]
        if not weights and not self.options.random_weights:
            raise Failure("model", f"{path} has a config.json and no weights: --random-weights makes some up (real work, "
                                   "meaningless text)")
        if self.options.random_weights and self.options.quantisation != "none":
            raise Failure("unsupported", "bitsandbytes quantises weights while they are read from files, and random ones are "
                                         "in none")

    def load_model(self, asked: Load) -> str:
        """Model and tokenizer; gives the attention that was asked for and is not to be had, in words, or nothing."""
        torch, auto = self.torch, self.transformers
        words: Dict[str, Any] = {}
        if self.options.dtype != "auto":
            words["torch_dtype"] = getattr(torch, self.options.dtype)
        elif not self.options.random_weights:
            words["torch_dtype"] = "auto"
        quantisation = QUANTISATIONS[self.options.quantisation][0]
        if quantisation:
            words["quantization_config"] = auto.BitsAndBytesConfig(**quantisation)
            words["device_map"] = {"": self.device}
        refused = ""
        config = auto.AutoConfig.from_pretrained(asked.model, local_files_only=True)
        attempts = [self.options.attention, "auto"] if self.options.attention != "auto" else ["auto"]
        for attention in attempts:
            try:
                more = {} if attention == "auto" else {"attn_implementation": attention}
                if self.options.random_weights:
                    torch.manual_seed(asked.seed)
                    model = auto.AutoModelForCausalLM.from_config(config, **words, **more)
                else:
                    model = auto.AutoModelForCausalLM.from_pretrained(asked.model, local_files_only=True, **words, **more)
                break
            except (ImportError, ValueError) as problem:
                if attention == "auto":
                    raise
                refused = first_line(problem)
        self.tokenizer = auto.AutoTokenizer.from_pretrained(asked.model, local_files_only=True)
        if not quantisation:
            model = model.to(self.device)
        self.model = model.eval()
        self.config = model.config
        takes = inspect.signature(model.forward).parameters
        self.takes_positions = "position_ids" in takes
        self.last_logits = next((name for name in ("logits_to_keep", "num_logits_to_keep") if name in takes), None)
        trained = getattr(self.config, "max_position_embeddings", None) or getattr(self.config, "n_positions", None)
        self.trained = int(trained) if trained else None
        self.context = min(asked.ctx or 4096, self.trained or asked.ctx or 4096)
        self.end_tokens = self.find_end_tokens()
        pad = self.tokenizer.pad_token_id
        self.pad = int(pad) if pad is not None else min(self.end_tokens, default=0)
        return refused

    def find_end_tokens(self) -> FrozenSet[int]:
        found = set()
        for source in (getattr(self.model, "generation_config", None), self.config, self.tokenizer):
            value = getattr(source, "eos_token_id", None)
            found.update(value if isinstance(value, (list, tuple)) else [] if value is None else [value])
        return frozenset(int(token) for token in found)

    def probe(self) -> None:
        """One token: what this machine cannot compute in this format is told now and not at the first prompt."""
        with self.torch.inference_mode():
            token = self.torch.zeros((1, 1), dtype=self.torch.long, device=self.device)
            output = self.model(input_ids=token, use_cache=True)
            if getattr(output, "past_key_values", None) is None:
                raise Failure("unsupported", "this model keeps no key-value cache, and this worker needs one")
            self.wait()

    def facts(self, asked: Load, refused: str, model_memory: Dict[str, int], begin: int) -> Dict[str, Any]:
        dtype = str(next(self.model.parameters()).dtype).replace("torch.", "")
        attention = getattr(self.config, "_attn_implementation", None) or "eager"
        told: Dict[str, Any] = {
            "model.name": os.path.basename(os.path.normpath(asked.model)), "model.path": asked.model,
            "model.description": type(self.model).__name__, "model.parameters": self.model.num_parameters(),
            "model.size_bytes": sum(p.numel() * p.element_size() for p in self.model.parameters()),
            "model.quant": self.options.quantisation if self.options.quantisation != "none" else dtype,
            "model.weights": f"random, of seed {asked.seed}: the text means nothing" if self.options.random_weights
            else "read from files",
            "engine.ctx": self.context, "engine.threads": self.torch.get_num_threads(), "engine.dtype": dtype,
            "engine.dtype_asked": self.options.dtype, "engine.quantisation": self.options.quantisation,
            "engine.device": self.device_words(), "engine.attention": attention,
            "engine.torch": self.versions["torch"], "engine.sequences": self.batching.size,
            "engine.memory_of": self.memory.of, "engine.load_ms": round((now_ns() - begin) / 1e6, 3)}
        if self.trained:
            told["model.ctx_trained"] = self.trained
        for name, value in model_memory.items():
            told["engine.load_" + name] = value
        for name, why in quantisations(self.versions, self.accelerator).items():
            told["engine.quantisation." + name] = "present" if why is None else f"absent: {why}"
        wanted_threads = max(1, asked.threads // self.ranks_here) if asked.threads else None
        differences = not_honoured(
            {"dtype": self.options.dtype if self.options.quantisation == "none" else None,
             "attention": self.options.attention, "ctx": asked.ctx, "threads": wanted_threads},
            {"dtype": dtype, "attention": attention, "ctx": self.context, "threads": self.torch.get_num_threads()})
        if refused and "attention" in differences:
            differences["attention"] += f" ({refused})"
        if differences:
            told["engine.not_honoured"] = "; ".join(f"{name}: {words}" for name, words in differences.items())
        return told

    def device_words(self) -> str:
        if self.device.type != "cuda":
            return self.device.type
        return f"cuda:{self.device.index} ({self.torch.cuda.get_device_name(self.device)})"

    # --- compute -----------------------------------------------------------------------------------------------------

    @property
    def loaded(self) -> bool:
        return self.model is not None

    @property
    def clock(self) -> Optional[str]:
        """What the spans say of their stamps; None: the processor is never behind itself."""
        return None if self.device.type == "cpu" else "synchronised"

    def wait(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def tokens_of(self, words: str, most: Optional[int] = None) -> List[int]:
        tokens = [int(token) for token in self.tokenizer(words)["input_ids"]]
        if not tokens:
            raise Failure("context", "the prompt has no token")
        return truncated(tokens, most, self.tokenizer.bos_token_id)

    def text_of(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def answer(self, rows: List[Row], step: Callable[[int, int, Dict[str, int]], None],
               token: Callable[[Row, int, int], None], cancelled: Callable[[], bool]) -> None:
        """One batch to its end: every row has its finish then. Raises Failure, with rows as far as they came."""
        torch = self.torch
        try:
            with torch.inference_mode():
                self.compute(rows, step, token, cancelled)
        except Failure:
            raise
        except Exception as problem:  # pylint: disable=broad-except
            raise self.failure_of(problem) from problem

    def failure_of(self, problem: BaseException) -> Failure:
        """What a library raised, in words; memory that it left behind is given back."""
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()
        code = classify(problem)
        what = "this needs more memory than there is: " if code == "memory" else ""
        return Failure(code, what + first_line(problem))

    def compute(self, rows: List[Row], step: Callable[[int, int, Dict[str, int]], None],
                token: Callable[[Row, int, int], None], cancelled: Callable[[], bool]) -> None:
        torch = self.torch
        generators = [torch.Generator().manual_seed(row.prompt.seed) for row in rows]
        lengths = [len(row.tokens) for row in rows]
        begin = now_ns()
        for row, padding in zip(rows, left_padding(lengths)):
            row.padding, row.began_ns, row.rows_together = padding, begin, len(rows)
        ids = torch.tensor([[self.pad] * row.padding + row.tokens for row in rows], dtype=torch.long, device=self.device)
        mask = torch.tensor([[0] * row.padding + [1] * len(row.tokens) for row in rows], dtype=torch.long,
                            device=self.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        output = self.forward(ids, mask, positions, None)
        self.note(rows, output.logits[:, -1, :], generators, begin, step, token,
                  {"prefill_tokens": sum(lengths), "padding_tokens": sum(row.padding for row in rows)})
        one_more = torch.ones((len(rows), 1), dtype=torch.long, device=self.device)
        while not all(row.done for row in rows):
            if cancelled():
                for row in rows:
                    row.finish = row.finish or "stop"
                return
            begin = now_ns()
            for row in rows:
                row.call_off(begin)
            if all(row.done for row in rows):
                return
            going = sum(not row.done for row in rows)
            ids = torch.tensor([[row.made[-1] if not row.done else self.pad] for row in rows], dtype=torch.long,
                               device=self.device)
            mask = torch.cat([mask, one_more], dim=1)
            positions = positions[:, -1:] + 1
            output = self.forward(ids, mask, positions, output.past_key_values)
            self.note(rows, output.logits[:, -1, :], generators, begin, step, token,
                      {"decode_tokens": going, "filler_tokens": len(rows) - going})

    def forward(self, ids: Any, mask: Any, positions: Any, past: Any) -> Any:
        words = {"position_ids": positions} if self.takes_positions else {}
        if self.last_logits:
            words[self.last_logits] = 1
        return self.model(input_ids=ids, attention_mask=mask, past_key_values=past, use_cache=True, **words)

    def note(self, rows: List[Row], logits: Any, generators: List[Any], begin: int,
             step: Callable[[int, int, Dict[str, int]], None], token: Callable[[Row, int, int], None],
             counts: Dict[str, int]) -> None:
        """The tokens of a step are known: sampled, not only computed."""
        logits = logits.float()
        active = [row for row in rows if not row.done]
        for place, row in enumerate(rows):
            row.take(self.sample(row, logits[place], generators[place]) if not row.done else self.pad)
        self.wait()
        now = now_ns()
        kv = sum(len(row.tokens) + len(row.made) - 1 for row in active)
        step(begin, now, {"prefill_tokens": 0, "decode_tokens": 0, **counts, "kv_tokens": kv, "sequences": len(active)})
        for row in active:
            token(row, *row.stamp(now))

    def sample(self, row: Row, logits: Any, generator: Any) -> int:
        """The order of the llama worker: top_k, top_p, temperature, then a draw by the prompt's own seed."""
        torch, asked = self.torch, row.prompt
        if self.end_tokens and not asked.may_end(len(row.made)):
            logits = logits.clone()
            logits[sorted(token for token in self.end_tokens if token < logits.shape[-1])] = -math.inf
        if asked.greedy:
            return int(logits.argmax())
        count = min(asked.top_k, logits.shape[-1]) if asked.top_k > 0 else logits.shape[-1]
        values, places = torch.topk(logits, count)  # largest first
        if asked.top_p < 1:
            before = torch.softmax(values, -1).cumsum(-1) - torch.softmax(values, -1)
            keep = max(1, int((before < asked.top_p).sum()))
            values, places = values[:keep], places[:keep]
        chances = torch.softmax(values.double() / asked.temperature, -1).cpu()
        return int(places[int(torch.multinomial(chances, 1, generator=generator))])

    # --- perplexity --------------------------------------------------------------------------------------------------

    def perplexity(self, words: str, length: int, stride: int, most: Optional[int],
                   cancelled: Callable[[], bool]) -> Dict[str, Any]:
        """Sums of −ln p over windows, in nats: see windows.py and docs/quality.md."""
        torch = self.torch
        tokens = self.tokens_of(words)
        begin_token = self.tokenizer.bos_token_id
        has_begin = begin_token is not None and tokens[0] == begin_token
        body = tokens[1:] if has_begin else tokens
        body = body[:most] if most else body
        sums: List[List[float]] = []
        try:
            made = windows(len(body), min(length, self.context), stride, has_begin)
        except ValueError as problem:
            raise Failure("context", str(problem)) from problem
        with torch.inference_mode():
            for window in made:
                if cancelled():
                    break
                ids = ([begin_token] if has_begin else []) + body[window.begin:window.end]
                logits = self.model(input_ids=torch.tensor([ids], device=self.device), use_cache=False).logits[0]
                shift = 1 if has_begin else 0  # body token i is at place i − begin + shift, told by the place before
                first = window.scored - window.begin + shift
                chances = torch.log_softmax(logits[first - 1:len(ids) - 1].double(), -1)
                wanted = torch.tensor(ids[first:], device=self.device)
                losses = -chances.gather(1, wanted[:, None])[:, 0]
                sums.append([int(losses.numel()), float(losses.sum()), float((losses * losses).sum())])
        return {"tokens": len(body), "window": min(length, self.context), "begin_token": has_begin, "windows": sums,
                "complete": len(sums) == len(made)}


__all__ = ["DTYPES", "Engine", "Failure", "Options", "versions"]
