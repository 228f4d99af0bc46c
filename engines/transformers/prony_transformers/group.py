"""The other ranks: what is read by one is told to all, and what all found is given to one. Over gloo, and nothing of the
model: replicas exchange no tensors."""

from __future__ import annotations

import ctypes
import datetime
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Optional

from .ranks import Place


_LONG = datetime.timedelta(days=30)  # the driver may rest for hours between two requests
_PARENT = "PRONY_RANK_PARENT"


def rank_environment(environment: Mapping[str, str], rank: int, size: int, port: int) -> Dict[str, str]:
    """What torchrun would set for a rank of one host."""
    return {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), _PARENT: str(os.getpid())}


def end_with_parent(environment: Mapping[str, str]) -> None:
    """A rank that another started ends with it, however that ends."""
    if environment.get(_PARENT):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if str(os.getppid()) != environment[_PARENT]:
            os._exit(1)  # it ended meanwhile


class LostRank(Exception):
    """Another rank ended, or does not answer."""


class Group:
    """Several ranks, or this process alone; every member calls the same things in the same order."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._distributed: Optional[Any] = None
        self._others: List[int] = []  # of this host, by process id
        self._started: List[Any] = []

    def join(self, program: Optional[List[str]] = None) -> None:
        """Meets the others. `program`: what starts them, where nobody else has (torchrun, accelerate launch)."""
        if self.place.alone:
            return
        import torch.distributed as distributed

        words: Dict[str, Any] = {}
        if program is not None:
            words["store"] = store = distributed.TCPStore("127.0.0.1", 0, self.place.size, True, _LONG, wait_for_workers=False)
            for rank in range(1, self.place.size):
                self._started.append(subprocess.Popen(  # pylint: disable=consider-using-with
                    program, env=rank_environment(os.environ, rank, self.place.size, store.port),
                    stdin=subprocess.DEVNULL, stdout=sys.stderr))
        elif os.environ.get(_PARENT):
            words["store"] = distributed.TCPStore("127.0.0.1", int(os.environ["MASTER_PORT"]), self.place.size, False, _LONG,
                                                  wait_for_workers=False)
        distributed.init_process_group("gloo", rank=self.place.rank, world_size=self.place.size, timeout=_LONG, **words)
        self._distributed = distributed
        everyone = self.gather((socket.gethostname(), os.getpid()))
        self._others = [pid for host, pid in everyone if host == socket.gethostname() and pid != os.getpid()]

    def tell(self, thing: Any) -> Any:
        """What rank 0 has, at every rank."""
        if self._distributed is None:
            return thing
        box = [thing]
        self._together(lambda: self._distributed.broadcast_object_list(box, src=0))
        return box[0]

    def gather(self, thing: Any) -> List[Any]:
        """What every rank has, in their order."""
        if self._distributed is None:
            return [thing]
        found: List[Any] = [None] * self.place.size
        self._together(lambda: self._distributed.all_gather_object(found, thing))
        return found

    def barrier(self) -> None:
        if self._distributed is not None:
            self._together(self._distributed.barrier)

    @staticmethod
    def _together(work: Any) -> None:
        try:
            work()
        except RuntimeError as problem:  # gloo's words for a connection that is gone
            raise LostRank(f"another rank ended: {str(problem).splitlines()[0][:200]}") from problem

    def call_off(self) -> None:
        """A cancel for the ranks of this host; those of others finish the share that they have."""
        for pid in self._others:
            try:
                os.kill(pid, signal.SIGUSR1)
            except OSError:
                pass

    def leave(self) -> None:
        if self._distributed is not None:
            self._distributed.destroy_process_group()
            self._distributed = None
        for process in self._started:
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                process.kill()
