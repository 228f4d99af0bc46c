"""Builds what a guest needs (kernel modules, a small tool, a device tree, the initial file system with Prony in it), boots
it under QEMU without hardware help, and gives what it said on its console.

usage: rig.py x86_64|aarch64|jetson|pi5 PRONY   prints the results as JSON, for a look at what a guest says
"""

import base64
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
import sys

import initrd

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEPS = os.path.join(ROOT, "build/deps/qemu")
BOOT_LIMIT_S = 90

SYSROOT = os.path.join(ROOT, "build/sysroot-arm64")
X86_64 = {
    "kernel": "x86_64", "qemu": ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-m", "256"],
    "console": "ttyS0", "arch": "x86", "cross": "",
    "libraries": ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"],
}
AARCH64 = {
    "kernel": "aarch64", "qemu": ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-m", "512"],
    "console": "ttyAMA0", "arch": "arm64", "cross": "aarch64-linux-gnu-",
    "libraries": [f"{SYSROOT}/usr/lib/aarch64-linux-gnu", f"{SYSROOT}/lib/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/lib"],
}
# tree: appended to the device tree of QEMU's machine, which makes a board of it. Steps: guest/NAME.sh.
MACHINES = {
    "x86_64": {**X86_64, "sources": ["ina3221.c", "ina2xx.c", "test_power.c"], "own": ["prony_rig.c"], "tools": ["i2cw", "vcio"]},
    "aarch64": {**AARCH64, "sources": ["ina3221.c", "ina2xx.c", "i2c-stub.c"], "own": [], "tools": ["i2cw"]},
    "jetson": {**AARCH64, "sources": ["ina3221.c"], "own": ["prony_bus.c"], "tools": ["i2cw"], "tree": "jetson.dts"},
    "pi5": {**AARCH64, "sources": [], "own": [], "tools": ["vcio"], "tree": "pi5.dts"},
}


class Failed(Exception):
    """What went wrong, with the end of what was printed."""


def _run(command, what):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise Failed(f"{what} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


def missing(machine):
    """Why this guest cannot be had here, or nothing."""
    facts = MACHINES[machine]
    for program in (facts["qemu"][0], "readelf", f"{facts['cross']}gcc", f"{facts['cross']}strip", "make",
                    *(["dtc"] if "tree" in facts else [])):
        if not shutil.which(program):
            return f"{program} is not installed"
    if not os.path.exists(os.path.join(DEPS, facts["kernel"], "vmlinuz")):
        return "no kernel in build/deps/qemu (tools/setup-qemu.sh puts it there)"
    return None


def _copy_if_changed(source, target):
    data = initrd.read(source)
    if not os.path.exists(target) or initrd.read(target) != data:
        with open(target, "wb") as file:
            file.write(data)


def build_modules(machine):
    """{name: bytes} of every kernel module: Debian's own, those that it does not build, and the rig's."""
    facts = MACHINES[machine]
    folder = os.path.join(ROOT, "build/qemu", machine, "modules")
    os.makedirs(folder, exist_ok=True)
    sources = [os.path.join(DEPS, "source", s) for s in facts["sources"]] + [os.path.join(HERE, "modules", s) for s in facts["own"]]
    for source in sources:
        _copy_if_changed(source, os.path.join(folder, os.path.basename(source)))
    names = [os.path.basename(s)[:-2] for s in sources]
    if names:
        kbuild = os.path.join(folder, "Kbuild")
        with open(kbuild + ".new", "w", encoding="utf-8") as file:
            file.write("obj-m := " + " ".join(n + ".o" for n in names) + "\n")
        _copy_if_changed(kbuild + ".new", kbuild)
        os.remove(kbuild + ".new")
        headers = os.path.join(DEPS, facts["kernel"], "headers/build")
        _run(["make", "-C", headers, f"ARCH={facts['arch']}", f"CROSS_COMPILE={facts['cross']}", f"M={folder}", "modules"],
             "building the kernel modules")
    modules = {}
    packaged = os.path.join(DEPS, facts["kernel"], "modules")
    for where, name in [(packaged, n) for n in os.listdir(packaged)] + [(folder, n + ".ko") for n in names]:
        data = initrd.read(os.path.join(where, name))
        modules[name.split(".")[0]] = lzma.decompress(data) if name.endswith(".xz") else data
    return modules


def build_tree(machine):
    """The device tree that QEMU makes for its machine, with the board's own after it."""
    facts = MACHINES[machine]
    made, text, path = (os.path.join(ROOT, "build/qemu", machine, name) for name in ("virt.dtb", "tree.dts", "tree.dtb"))
    at = facts["qemu"].index("-machine") + 1
    words = [*facts["qemu"][:at], f"{facts['qemu'][at]},dumpdtb={made}", *facts["qemu"][at + 1:]]
    _run([*words, "-nographic", "-nodefaults"], "asking QEMU for its device tree")
    _run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", text, made], "reading QEMU's device tree")
    with open(text, "ab") as file:
        file.write(initrd.read(os.path.join(HERE, "guest", facts["tree"])))
    _run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", path, text], "writing the board's device tree")
    return path


def build_initrd(machine, prony):
    facts = MACHINES[machine]
    folder = os.path.join(ROOT, "build/qemu", machine)
    os.makedirs(folder, exist_ok=True)
    archive = initrd.Archive()
    archive.console()
    for name in ("proc", "sys", "tmp"):
        archive.folder(name)
    archive.file("bin/busybox", initrd.read(os.path.join(DEPS, facts["kernel"], "busybox")))
    archive.file("etc/passwd", b"root:x:0:0::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n", 0o644)
    for name, data in build_modules(machine).items():
        archive.file(f"rig/modules/{name}.ko", data, 0o644)
    for tool in facts["tools"]:
        built = os.path.join(folder, tool)
        _run([f"{facts['cross']}gcc", "-O1", "-Wall", "-static", "-o", built, os.path.join(HERE, f"guest/{tool}.c")], f"building {tool}")
        archive.file(f"rig/{tool}", initrd.read(built))
    bare = os.path.join(folder, "prony")
    _run([f"{facts['cross']}strip", "-o", bare, prony], "stripping prony")
    archive.file("rig/prony", initrd.read(bare))
    interpreter, libraries = initrd.libraries(bare, facts["libraries"])
    for name, path in libraries.items():
        archive.file(f"lib/{name}", initrd.read(path))
    if not interpreter.startswith("/lib/"):
        archive.file(interpreter, initrd.read(libraries[os.path.basename(interpreter)]))
    for steps in ("chips.sh", "mailbox.sh"):
        archive.file(f"rig/{steps}", initrd.read(os.path.join(HERE, "guest", steps)))
    archive.file("rig/steps", initrd.read(os.path.join(HERE, f"guest/{machine}.sh")))
    archive.file("init", initrd.read(os.path.join(HERE, "guest/init")))
    path = os.path.join(folder, "initrd.gz")
    with open(path, "wb") as file:
        file.write(archive.packed())
    return path


def results_of(console):
    """{name: (exit code, text)} of every line that the guest gave."""
    results = {}
    for line in console.splitlines():
        begin = line.find('{"rig":')  # the firmware's last line has no end
        if begin < 0:
            continue
        line = line[begin:]
        try:
            given = json.loads(line)
            packed = base64.b64decode(given["gzip"], validate=True)
            text = gzip.decompress(packed).decode(errors="replace") if packed else ""
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise Failed(f"a line of the guest cannot be read ({error}): {line[:200]}") from error
        results[given["rig"]] = (given["code"], text)
    return results


def boot(machine, prony):
    """Everything that the guest told. Raises Failed if it did not come to its end within the limit."""
    facts = MACHINES[machine]
    image = build_initrd(machine, prony)
    tree = ["-dtb", build_tree(machine)] if "tree" in facts else []
    command = [*facts["qemu"], "-accel", "tcg", "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio",
               "-kernel", os.path.join(DEPS, facts["kernel"], "vmlinuz"), "-initrd", image, *tree,
               "-append", f"console={facts['console']} quiet loglevel=1 panic=-1"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOT_LIMIT_S, check=False)
        said, late = done.stdout, ""
        if done.returncode != 0:
            late = f"QEMU ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"
    except subprocess.TimeoutExpired as error:
        said, late = error.stdout or b"", f"the guest did not end within {BOOT_LIMIT_S} s"
    console = re.sub(r"\r+\n", "\n", said.decode(errors="replace"))
    with open(os.path.join(ROOT, "build/qemu", machine, "console.log"), "w", encoding="utf-8") as file:
        file.write(console)
    results = results_of(console)
    if "end" not in results:
        raise Failed(f"{late or 'the guest ended early'}; the end of its console:\n{console[-1500:]}")
    return results


if __name__ == "__main__":
    print(json.dumps(boot(sys.argv[1], sys.argv[2]), indent=1))
