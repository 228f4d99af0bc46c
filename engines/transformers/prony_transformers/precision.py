"""Number formats and quantisations by name: which there are, which this machine has, and why not the others. Pure."""

from __future__ import annotations

from typing import Dict, Mapping, Optional

DTYPES = ("auto", "float32", "float16", "bfloat16")
QUANTISATIONS = {  # name: words of BitsAndBytesConfig, least version of bitsandbytes
    "none": ({}, ""),
    "8bit": ({"load_in_8bit": True}, "0.38"),
    "4bit": ({"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, "0.39"),
    "nf4": ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "0.39"),
}


def version_tuple(version: str) -> tuple:
    numbers = []
    for part in version.split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not digits or not part[0].isdigit():
            break
        numbers.append(int(digits) if part.isdigit() else int("".join(_leading_digits(part))))
        if not part.isdigit():
            break
    return tuple(numbers)


def _leading_digits(part: str):
    for c in part:
        if not c.isdigit():
            return
        yield c


def why_not(quantisation: str, versions: Mapping[str, Optional[str]], accelerator: bool) -> Optional[str]:
    """None: it is there. Else the reason in words."""
    least = QUANTISATIONS[quantisation][1]
    if not least:
        return None
    found = versions.get("bitsandbytes")
    if found is None:
        return "the Python package bitsandbytes is not installed"
    if versions.get("accelerate") is None:
        return "the Python package accelerate is not installed, which bitsandbytes is used through"
    if version_tuple(found) < version_tuple(least):
        return f"bitsandbytes {found} is older than {least}"
    if not accelerator and version_tuple(found) < (0, 49):
        return f"there is no accelerator, and bitsandbytes {found} computes on one only"
    return None


def quantisations(versions: Mapping[str, Optional[str]], accelerator: bool) -> Dict[str, Optional[str]]:
    """Each by name: None where it is there, else why not."""
    return {name: why_not(name, versions, accelerator) for name in QUANTISATIONS if name != "none"}


def not_honoured(asked: Mapping[str, object], found: Mapping[str, object]) -> Dict[str, str]:
    """What was asked for by name and is otherwise; "auto" and None ask for nothing."""
    differences = {}
    for name, value in asked.items():
        if value is None or value == "auto" or name not in found or found[name] == value:
            continue
        differences[name] = f"asked {value}, got {found[name]}"
    return differences
