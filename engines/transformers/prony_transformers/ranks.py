"""Which rank of several this is, and which prompts are its own. Pure but for reading the environment it is given.

torchrun, Accelerate and Slurm's or Open MPI's launchers each tell it by variables; what contradicts itself is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, TypeVar

Thing = TypeVar("Thing")

_NAMES = (("RANK", "WORLD_SIZE", "LOCAL_RANK"),                                     # torchrun, accelerate launch
          ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
          ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"))


class BadRanks(Exception):
    """The environment does not tell ranks that make sense; the text says which variable."""


@dataclass(frozen=True)
class Place:
    """This process among its like."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the one that speaks with the driver."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1


def _whole(environment: Mapping[str, str], name: str) -> Optional[int]:
    value = environment.get(name)
    if value is None or value == "":
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 6:
        raise BadRanks(f"{name} is no rank or number of ranks: {value[:40]}")
    return int(value)


def place_from(environment: Mapping[str, str]) -> Place:
    """The first launcher that tells both a rank and how many there are; none: alone."""
    for rank_name, size_name, local_name in _NAMES:
        rank, size, local = (_whole(environment, name) for name in (rank_name, size_name, local_name))
        if rank is None and (size is None or size == 1):
            continue
        if rank is None or size is None:
            missing, there = (rank_name, size_name) if rank is None else (size_name, rank_name)
            if rank_name != "RANK":
                continue  # a job of Slurm's in which nobody launched ranks
            raise BadRanks(f"{there} is set and {missing} is not: start all ranks by torchrun or accelerate launch")
        if size < 1 or rank >= size:
            raise BadRanks(f"{rank_name}={rank} is none of {size} ranks ({size_name})")
        return Place(rank, size, rank if local is None else local)
    return Place()


def own_share(things: Sequence[Thing], place: Place) -> List[Thing]:
    """Every size-th, from its own on: no two ranks have one in common, and together they have all."""
    return list(things[place.rank::place.size])


def put_together(shares: Sequence[Sequence[Thing]], count: int) -> List[Thing]:
    """The shares of all ranks, in the order of the things; ValueError if they are not what own_share gives."""
    size = len(shares)
    for rank, share in enumerate(shares):
        if len(share) != len(range(rank, count, size)):
            raise ValueError(f"rank {rank} gave {len(share)} answers for {len(range(rank, count, size))} prompts")
    return [shares[at % size][at // size] for at in range(count)]
