"""The command line: what may be asked of the engine, and `--check`, which says whether it could run here."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from typing import Any, List, Optional

from .precision import DTYPES, QUANTISATIONS
from .ranks import BadRanks, Place, place_from

NEEDED = ("torch", "transformers")


def missing() -> List[str]:
    """Packages that this interpreter lacks."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="prony-engine-transformers", description=__doc__)
    made.add_argument("--dtype", choices=DTYPES, default="auto", help="of the weights; auto: as the files have them")
    made.add_argument("--quantisation", choices=sorted(QUANTISATIONS), default="none", help="by bitsandbytes")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--attention", choices=("auto", "eager", "sdpa", "flash_attention_2"), default="auto")
    made.add_argument("--random-weights", action="store_true", help="for a folder with a config.json and no weights")
    made.add_argument("--ranks", type=int, default=1, help="replicas of the model on this host; each has its share of a batch")
    made.add_argument("--check", action="store_true", help="say in a line of JSON whether this could run here, and end")
    return made


def local_ranks(environment: Any, size: int) -> int:
    words = environment.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(words)) if words.isdigit() and len(words) < 7 else max(1, size)


def main(words: List[str]) -> int:
    asked = parser().parse_args(words)
    lacks = missing()
    if asked.check:
        told = {"python": sys.executable, "missing": lacks}
        print(json.dumps(told))
        return 0
    if not 1 <= asked.ranks <= 1024:
        print("prony-engine-transformers: --ranks is from 1 to 1024", file=sys.stderr)
        return 2
    # Whatever a library prints goes to standard error: the protocol has standard output for itself.
    out = os.dup(1)
    os.dup2(2, 1)
    return serve(asked, words, out, lacks)


def serve(asked: argparse.Namespace, words: List[str], out: int, lacks: List[str]) -> int:
    stream = os.fdopen(out, "w", encoding="utf-8", errors="replace")

    def say(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    def give_up(message: str) -> int:
        say(json.dumps({"type": "error", "error": {"code": "internal", "message": message}}))
        return 1

    try:
        place = place_from(os.environ)
    except BadRanks as problem:
        return give_up(str(problem))
    if lacks:
        return give_up(f"{sys.executable} has no {' and no '.join(lacks)}: install them there (pip install torch transformers), "
                       "or name another interpreter by --python")
    from .engine import Engine, Options
    from .group import Group, LostRank, end_with_parent
    from .lines import Lines
    from .spans import Spans, open_library
    from .worker import Worker

    end_with_parent(os.environ)
    starter = None
    if place.alone and asked.ranks > 1:
        place = Place(0, asked.ranks, 0)
        starter = [sys.executable, sys.argv[0], *words]
    lines: Optional[Lines] = Lines(sys.stdin.buffer).start() if place.leads else None
    try:
        engine = Engine(Options(asked.dtype, asked.quantisation, asked.device, asked.attention, asked.random_weights),
                        place.local, asked.ranks if starter else local_ranks(os.environ, place.size))
    except ImportError as problem:
        return give_up(f"PyTorch and transformers of {sys.executable} do not load: {problem}")
    group = Group(place)
    worker = Worker(engine, group, Spans(open_library(os.environ, sys.argv[0])), lines, say)
    try:
        group.join(starter)
        code = worker.run()
        group.leave()
        return code
    except LostRank as problem:
        return give_up(str(problem)) if place.leads else 1
    except BrokenPipeError:  # nobody listens any more
        return 1
