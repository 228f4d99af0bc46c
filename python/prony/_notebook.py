"""What a notebook shows of a summary: a table with low, high and origin, and the power over time as a small SVG."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ._errors import PronyError
from ._summary import Joules, Summary

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 130, 48, 18, 16
_MOST_POINTS = 280
Point = Tuple[float, Optional[float]]  # seconds since the begin, watts; None: not known there


def _cells(row: Joules) -> str:
    mark = {"modelled": "~", "derived": "≈"}.get(row.origin, "")
    who = row.party if row.target is None else f"{row.party} {row.target}"
    if row.value_j is None:
        number = f"<td>–</td><td>{escape(row.absent or '')}</td>"
    else:
        number = (f"<td style='text-align:right'>{mark} {row.value_j:.4g} J</td>"
                  f"<td>{row.low_j:.4g}…{row.high_j:.4g} ({escape(row.kind or '')})</td>")
    return f"<tr><td>{escape(row.channel)}</td><td>{escape(who)}</td>{number}<td>{escape(row.origin)}</td></tr>"


def summary_html(summary: Summary) -> str:
    """The whole of it; what has no number is one line below, with its reason."""
    rows = [row for row in summary.rows if row.value_j is not None and row.party != "recorded"]
    absent = sorted({f"{row.party}: {row.absent}" for row in summary.rows if row.value_j is None})
    head = "no channel gives joules here" if summary.headline is None else str(summary.headline)
    state = " · provisional" if summary.provisional else ""
    length = "nothing on record yet" if summary.wall_s is None else f"{summary.wall_s:.4g} s"
    parts = [f"<p><b>{escape(head)}</b> · {length}{state}</p>"]
    if rows:
        parts.append("<table><tr><th>channel</th><th>party</th><th>energy</th><th>low…high</th><th>origin</th></tr>"
                     + "".join(map(_cells, rows)) + "</table>")
    parts.append(power_svg(summary))
    if absent:
        parts.append(f"<p><small>not told: {escape('; '.join(absent))}</small></p>")
    return "".join(parts)


def power_svg(summary: Summary) -> str:
    """Power of the first headline channel; "" where there is none, or the Run is no longer there."""
    from ._run import open_run

    entry = next((e for e in summary.data.get("energy", []) if e.get("headline")), None)
    if entry is None or summary.begin_ns is None:
        return ""
    try:
        with open_run(summary.path) as run:
            channel = next(c for c in run.channels if c.name == entry["channel"])
            read = run.readings(channel, summary.begin_ns, summary.end_ns).read()
    except (PronyError, StopIteration):
        return ""
    stamps = [b / 2 + e / 2 for b, e in zip(read["begin_ns"], read["end_ns"])]
    begin_ns = summary.begin_ns
    seconds = [(stamp - begin_ns) / 1e9 for stamp in stamps]
    points = watts(seconds, read["value"], channel.is_counter, entry.get("model"))
    return _svg(points, f"{channel.name}, {channel.origin}")


def watts(seconds: Sequence[float], values: Sequence[Optional[float]], is_counter: bool,
          model: Optional[Dict[str, Any]]) -> List[Point]:
    """Mean power in up to 280 windows of equal numbers of readings. A counter's is its increase over the time between the
    readings; a model's is idle + (full − idle) · busy; where a counter fell (it wrapped) or nothing was read, None."""
    step = max(1, len(values) // _MOST_POINTS)
    points: List[Point] = []
    for first in range(0, len(values), step):
        last = min(first + step, len(values) - 1)
        if not is_counter:
            there = [v for v in values[first:first + step] if v is not None]
            points.append((seconds[first], sum(there) / len(there) if there else None))
            continue
        before, after = values[first], values[last]
        length_s = seconds[last] - seconds[first]
        if before is None or after is None or after < before or length_s <= 0:
            points.append((seconds[first], None))
            continue
        rate = (after - before) / length_s
        if model is not None:
            rate = model["idle_w"] + (model["full_w"] - model["idle_w"]) * min(1.0, rate / model["cpus"])
        points.append((seconds[first], rate))
    return points


def _svg(points: List[Point], name: str) -> str:
    known = [power for _, power in points if power is not None]
    if len(known) < 2:
        return ""
    top, length = max(known) * 1.05 or 1.0, max(points[-1][0], 1e-9)
    wide, high = _WIDTH - _LEFT - 4, _HEIGHT - _BOTTOM - _TOP
    strokes: List[List[str]] = [[]]
    for second, power in points:
        if power is None:
            strokes.append([])  # a gap is a gap in the line
        else:
            strokes[-1].append(f"{_LEFT + second / length * wide:.1f},{_TOP + high - power / top * high:.1f}")
    lines = "".join(f"<polyline fill='none' stroke='#36c' points='{' '.join(stroke)}'/>" for stroke in strokes if stroke)
    floor = _TOP + high
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' role='img' "
            f"font-family='sans-serif' font-size='11'><title>power over time</title>"
            f"<path d='M{_LEFT} {_TOP}V{floor}H{_WIDTH - 4}' fill='none' stroke='#888'/>"
            f"<text x='{_LEFT - 4}' y='{_TOP + 8}' text-anchor='end'>{top:.3g} W</text>"
            f"<text x='{_LEFT - 4}' y='{floor}' text-anchor='end'>0</text>"
            f"<text x='{_LEFT}' y='{_HEIGHT - 4}'>0 s</text>"
            f"<text x='{_WIDTH - 4}' y='{_HEIGHT - 4}' text-anchor='end'>{length:.3g} s</text>"
            f"<text x='{_LEFT + 4}' y='{_TOP - 4}'>{escape(name)}</text>{lines}</svg>")
