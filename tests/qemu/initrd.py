"""An initial file system for a guest: the archive format that the kernel unpacks ("newc"), written without being root,
and the libraries that a program needs."""

import gzip
import os
import re
import subprocess


class Archive:
    """Files in memory, packed in the end. Source of the format: the kernel's Documentation/driver-api/early-userspace."""

    def __init__(self):
        self.parts = []
        self.made = set()

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        name = name.strip("/")
        number = len(self.parts) + 1
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        name = name.strip("/")
        if name and name not in self.made:
            self.folder(os.path.dirname(name))
            self.made.add(name)
            self._entry(name, 0o040755)

    def file(self, name, data, mode=0o755):
        self.folder(os.path.dirname(name))
        self._entry(name, 0o100000 | mode, data)

    def console(self):
        self.folder("dev")
        self._entry("dev/console", 0o020600, device=(5, 1))

    def packed(self):
        self._entry("TRAILER!!!", 0)
        return gzip.compress(b"".join(self.parts), 1)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def _headers(program):
    return subprocess.run(["readelf", "-W", "-l", "-d", program], capture_output=True, text=True, check=True).stdout


def libraries(program, folders):
    """Interpreter (as the program asks for it) and {name: path} of every library, those of libraries too."""
    interpreter = re.search(r"program interpreter: ([^\]]+)\]", _headers(program))
    found, todo = {}, [program]
    while todo:
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", _headers(todo.pop())):
            if name in found:
                continue
            path = next((os.path.join(f, name) for f in folders if os.path.exists(os.path.join(f, name))), None)
            if path is None:
                raise FileNotFoundError(f"{name}, which {program} needs, is in none of {', '.join(folders)}")
            found[name] = os.path.realpath(path)
            todo.append(found[name])
    return (interpreter.group(1) if interpreter else None), found
