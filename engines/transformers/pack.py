"""Packs the worker into one file that Python runs as it is (PEP 441). usage: pack.py FILE"""

import os
import pathlib
import sys
import zipapp


def wanted(path: pathlib.Path) -> bool:
    """Of the paths below this folder: the program and its package, nothing that was compiled."""
    return path.name == "__main__.py" or (path.parts[0] == "prony_transformers" and path.suffix == ".py")


target = sys.argv[1]
zipapp.create_archive(pathlib.Path(__file__).parent, target + ".new", "/usr/bin/env python3", filter=wanted)
os.chmod(target + ".new", 0o755)
os.replace(target + ".new", target)  # one that runs keeps the old one
