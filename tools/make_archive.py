#!/usr/bin/env python3
"""Packs a built Prony with the libraries that it takes from the distribution, for a board whose own compiler is too old to
build it: tools/setup-jetson.sh and setup-pi.sh unpack it (--archive).

usage: make_archive.py aarch64 [OUT]     cross-builds (build/aarch64) and packs; OUT: build/archive
       make_archive.py --from BUILD OUT  packs what was built in BUILD

In the archive, below what becomes /usr/local: bin/prony and the programs beside it, lib/prony/ with libraries, and
share/prony/MANIFEST: what it is of, the oldest C library (and C++ library) that it runs with, and each file's sha256. The C
and C++ libraries themselves are the board's. Beside it FILE.sha256. Packing the same build twice gives the same bytes.
"""

import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("prony", "prony-engine-http", "prony-burner", "prony-peaks")
# The board's own: what they need of the kernel and of one another is not for us to choose.
OF_THE_BOARD = re.compile(r"(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|ld-linux[^.]*)\.so\.\d+")
CROSS = {"aarch64": ("aarch64-linux-gnu", "arm64")}


class Failed(Exception):
    """What cannot be packed, and why."""


def readelf(*words):
    return subprocess.run(["readelf", "-W", *words], capture_output=True, text=True, check=True).stdout


def machine_of(program):
    return {"AArch64": "aarch64", "Advanced Micro Devices X86-64": "x86_64"}.get(
        re.search(r"Machine:\s+(.+)", readelf("-h", program)).group(1).strip(), "unknown")


def library_folders(machine, build):
    if machine in CROSS and os.uname().machine != machine:
        triplet, debian = CROSS[machine]
        sysroot = os.path.join(ROOT, f"build/sysroot-{debian}")
        return [f"{sysroot}/usr/lib/{triplet}", f"{sysroot}/lib/{triplet}"]
    return [f"/usr/lib/{machine}-linux-gnu", f"/lib/{machine}-linux-gnu", build]


def libraries(programs, folders):
    """{name: path} of all that they need and the board need not have, those of libraries too."""
    found, todo = {}, list(programs)
    while todo:
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d", todo.pop())):
            if name in found or OF_THE_BOARD.fullmatch(name):
                continue
            path = next((os.path.join(f, name) for f in folders if os.path.exists(os.path.join(f, name))), None)
            if path is None:
                raise Failed(f"{name} is in none of {', '.join(folders)}")
            found[name] = os.path.realpath(path)
            todo.append(found[name])
    return found


def newest(files, prefix):
    """The newest version with this prefix that any of them asks for: "2.35" of GLIBC_2.35."""
    versions = {tuple(map(int, v.split("."))) for f in files for line in readelf("--dyn-syms", f).splitlines() if " UND " in line
                for v in re.findall(prefix + r"_([\d.]+)", line)}
    return ".".join(map(str, max(versions))) if versions else "none"


def commit():
    done = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%h %ct"], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 and done.stdout else ["unknown", "0"]


def staged(build, stage):
    """{path in the archive: bytes}, installed (which sets where libraries are looked for) and stripped."""
    done = subprocess.run(["cmake", "--install", build, "--prefix", stage, "--component", "program", "--strip"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed("cmake --install failed: " + done.stderr.strip()[-300:])
    programs = [os.path.join(stage, "bin", name) for name in PROGRAMS]
    missing = [p for p in programs if not os.path.exists(p)]
    if missing:
        raise Failed(f"not installed: {', '.join(map(os.path.basename, missing))}")
    needed = libraries(programs, library_folders(machine_of(programs[0]), build))
    files = {"bin/" + os.path.basename(p): p for p in programs} | {f"lib/prony/{n}": p for n, p in needed.items()}
    return files


def manifest(files, version, machine):
    number, _ = commit()
    lines = [f"prony {version}", f"commit {number}", f"machine {machine}", f"glibc {newest(files.values(), 'GLIBC')}",
             f"glibcxx {newest(files.values(), 'GLIBCXX')}"]
    for name, path in sorted(files.items()):
        with open(path, "rb") as file:
            lines.append(f"sha256 {hashlib.sha256(file.read()).hexdigest()} {name}")
    return "\n".join(lines) + "\n"


def write(path, members, when):
    with open(path + ".new", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), when
            info.mode = 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(info, io.BytesIO(data))
    os.replace(path + ".new", path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    with open(path + ".sha256", "w", encoding="utf-8") as file:
        file.write(f"{digest}  {os.path.basename(path)}\n")


def pack(build, out):
    """The archive's path."""
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
        version = re.search(r"project\(prony VERSION ([\d.]+)", file.read()).group(1)
    os.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prony-archive-") as stage:
        files = staged(build, stage)
        machine = machine_of(files["bin/prony"])
        members = {"share/prony/MANIFEST": manifest(files, version, machine).encode()}
        for name, path in files.items():
            with open(path, "rb") as file:
                members[name] = file.read()
    path = os.path.join(out, f"prony-{version}-linux-{machine}.tar.gz")
    write(path, members, int(commit()[1]))
    return path


def cross_build(machine):
    import run_tests
    from tally import Tally
    tally = Tally()
    if not run_tests.cross_build(tally, machine, list(PROGRAMS)):
        raise Failed("; ".join(tally.remarks) or f"no build for {machine}")
    return os.path.join(ROOT, "build", machine)


def main():
    words = sys.argv[1:]
    try:
        if len(words) == 3 and words[0] == "--from":
            print(pack(words[1], words[2]))
        elif len(words) in (1, 2) and words[0] in CROSS:
            print(pack(cross_build(words[0]), words[1] if len(words) == 2 else os.path.join(ROOT, "build/archive")))
        else:
            sys.exit(__doc__)
    except Failed as error:
        sys.exit(f"make_archive: {error}")


if __name__ == "__main__":
    main()
