"""What a meter should have measured: the closed-form energy of fakesysfs' curves between two CLOCK_MONOTONIC instants.

The curve parameters come from the rig's truth.json; nothing here reads a counter. Units: watts, seconds, joules; *_ns
are nanoseconds on CLOCK_MONOTONIC.
"""

import math


def joules_from_zero(domain, t):
    """Energy of the curve from 0 to t seconds."""
    base, amp, period = domain["base_w"], domain["amp_w"], domain["period_s"]
    shape = domain["curve"]
    if shape == "constant":
        return base * t
    if shape == "sine":
        omega = 2 * math.pi / period
        return base * t + amp / omega * (1 - math.cos(omega * t))
    whole = math.floor(t / period)
    rest = t - whole * period
    if shape == "square":
        return base * t + amp * (rest if rest <= period / 2 else period - rest)
    if shape == "steps":
        tread = period / domain["levels"]
        step = amp / (domain["levels"] - 1)
        full = math.floor(rest / tread)
        climbed = step * tread * full * (full - 1) / 2 + step * full * (rest - full * tread)
        return base * t + whole * amp / 2 * period + climbed
    raise ValueError(f"no such curve: {shape}")


def watts(domain, t):
    """Power of the curve at t seconds: only used to check the integrals numerically."""
    base, amp, period = domain["base_w"], domain["amp_w"], domain["period_s"]
    rest = t - math.floor(t / period) * period
    return {
        "constant": lambda: base,
        "sine": lambda: base + amp * math.sin(2 * math.pi / period * t),
        "square": lambda: base + amp if rest < period / 2 else base - amp,
        "steps": lambda: base + amp / (domain["levels"] - 1) * math.floor(rest / (period / domain["levels"])),
    }[domain["curve"]]()


class Truth:
    """The rig's description, as read from MOUNT/truth.json."""

    def __init__(self, description):
        self.t0_ns = description["t0_ns"]
        self.domains = {d["name"]: d for d in description["domains"]}

    def joules(self, name, begin_ns, end_ns):
        """Energy of the domain `name` in [begin_ns, end_ns]."""
        domain = self.domains[name]
        return joules_from_zero(domain, (end_ns - self.t0_ns) * 1e-9) - joules_from_zero(
            domain, (begin_ns - self.t0_ns) * 1e-9
        )

    def updates(self, name, begin_ns, end_ns):
        """How often the domain's counter was renewed in the window."""
        domain = self.domains[name]
        return (end_ns - begin_ns) // domain["update_ns"]
