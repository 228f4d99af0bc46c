"""What a meter should have measured: the closed-form energy of fakesysfs' curves between two CLOCK_MONOTONIC instants.

The curves come as text from the rig's truth.json and are integrated here anew, on other lines than the rig's own code; the
rig's tests hold the two against each other. Nothing here reads a counter. Units: watts, seconds, joules; *_ns are
nanoseconds on CLOCK_MONOTONIC.
"""

import bisect
import functools
import math
import re

MASK = (1 << 64) - 1


def mixed_hash(seed, index):
    """SplitMix64, as the noise of the curves uses it."""
    z = (seed * 0xD1342543DE82EF95 + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def noise_watts(seed, mean, amplitude, cell):
    """Of one cell: blocks of 16, whose second half mirrors the first in another order."""
    block, at = divmod(cell, 16)
    twin = at if at < 8 else (at * 5 + 3) % 8
    unit = (mixed_hash(seed, block * 8 + twin) >> 11) * 2.0**-52 - 1
    return mean + (unit if at < 8 else -unit) * amplitude


class Pieces:
    """Constant powers one after the other, repeated for ever: (begin, watts)…, from second 0."""

    def __init__(self, pieces, period=math.inf):
        self.begins = [begin for begin, _ in pieces]
        self.powers = [power for _, power in pieces]
        self.period = period
        self.sums = [0.0]  # energy at each begin
        for i in range(1, len(pieces)):
            self.sums.append(self.sums[-1] + self.powers[i - 1] * (self.begins[i] - self.begins[i - 1]))
        self.whole = 0 if math.isinf(period) else self.sums[-1] + self.powers[-1] * (period - self.begins[-1])

    def place(self, t):
        count = 0 if math.isinf(self.period) else math.floor(t / self.period)
        rest = t - count * self.period if count else t
        return count, rest, max(0, bisect.bisect_right(self.begins, rest) - 1)

    def joules(self, t):
        count, rest, i = self.place(t)
        return count * self.whole + self.sums[i] + self.powers[i] * (rest - self.begins[i])

    def watts(self, t):
        return self.powers[self.place(t)[2]]


class Sine:
    def __init__(self, mean, amplitude, period, phase=0.0):
        self.mean, self.amplitude, self.turn, self.at_zero = mean, amplitude, 2 * math.pi / period, 2 * math.pi * phase

    def joules(self, t):
        return self.mean * t + self.amplitude / self.turn * (math.cos(self.at_zero) - math.cos(self.turn * t + self.at_zero))

    def watts(self, t):
        return self.mean + self.amplitude * math.sin(self.turn * t + self.at_zero)


class Noise:
    def __init__(self, seed, mean, amplitude, cell_s):
        self.watts_of = functools.partial(noise_watts, int(seed), mean, amplitude)
        self.mean, self.cell_s = mean, cell_s

    def joules(self, t):
        last = math.floor(t / self.cell_s)
        first = last // 16 * 16  # what came before is whole blocks, each with the mean power
        cells = sum(self.watts_of(cell) for cell in range(first, last)) * self.cell_s
        return self.mean * first * self.cell_s + cells + self.watts_of(last) * (t - last * self.cell_s)

    def watts(self, t):
        return self.watts_of(math.floor(t / self.cell_s))


def term(text):
    shape, _, rest = text.partition(":")
    if shape == "steps":
        pairs = [part.split("=") for part in rest.split(",")]
        period = next((float(value) for key, value in pairs if key == "repeat"), math.inf)
        return Pieces([(float(key), float(value)) for key, value in pairs if key != "repeat"], period)
    numbers = [float(part) for part in rest.split(",")]
    if shape == "constant":
        return Pieces([(0.0, numbers[0])])
    if shape == "square":
        low, high, period, duty = (*numbers, 0.5)[:4]
        return Pieces([(0.0, high), (duty * period, low)], period)
    return {"sine": Sine, "noise": Noise}[shape](*numbers)


@functools.lru_cache
def terms(power):
    return [term(text) for text in re.split(r"\+(?=[a-z])", power)]


def joules_from_zero(power, t):
    """Energy of the curve `power` (its text) from 0 to t seconds."""
    return sum(part.joules(t) for part in terms(power))


def watts(power, t):
    """Power of the curve at t seconds: only used to check the integrals numerically."""
    return sum(part.watts(t) for part in terms(power))


class Truth:
    """The rig's description, as read from MOUNT/truth.json."""

    def __init__(self, description):
        self.t0_ns = description["t0_ns"]
        self.domains = {d["name"]: d for d in description["domains"]}

    def joules(self, name, begin_ns, end_ns):
        """Energy of the domain `name` in [begin_ns, end_ns]."""
        power = self.domains[name]["power"]
        return joules_from_zero(power, (end_ns - self.t0_ns) * 1e-9) - joules_from_zero(power, (begin_ns - self.t0_ns) * 1e-9)

    def updates(self, name, begin_ns, end_ns):
        """How often the domain's counter was renewed in the window."""
        return (end_ns - begin_ns) // self.domains[name]["update_ns"]
