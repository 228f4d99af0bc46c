#!/usr/bin/env python3
"""The last stage of packaging/container/Containerfile as a plain folder, without a container engine.

  tools/container_root.py PRONY FOLDER     needs root, mmdebstrap, unshare, and the package sources of this system

The packages are those of the Containerfile; PRONY is copied where its COPY line puts it. What is there already with the
same packages is kept, only PRONY is copied anew. Exit codes: 0 built, 1 failed, 2 cannot be built here (the reason is on stderr).
"""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
RECIPE = os.path.join(ROOT, "packaging/container/Containerfile")


def last_stage():
    """Its suite ("bookworm"), packages, and where PRONY goes."""
    with open(RECIPE, encoding="utf-8") as file:
        stage = file.read().split("\nFROM ")[-1].replace("\\\n", " ")
    suite = re.match(r"debian:(\w+)", stage).group(1)
    packages = re.search(r"--no-install-recommends\s+([\w.+ -]+?)\s*&&", stage).group(1).split()
    place = re.search(r"^COPY --from=build \S+ (\S+)$", stage, re.M).group(1)
    return suite, packages, place


def why_not():
    if os.geteuid() != 0:
        return "a root folder is made by root alone"
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap is not installed (tools/packages.txt)"
    if subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        return "mounts of one's own may not be made here (unshare --mount)"
    return None


def sources():
    """This system's own package sources, in one-line or deb822 form, as mmdebstrap takes them."""
    texts = []
    folder = "/etc/apt/sources.list.d"
    names = ["/etc/apt/sources.list"] + [os.path.join(folder, n) for n in sorted(os.listdir(folder))]
    for name in names:
        if os.path.isfile(name) and name.endswith((".list", ".sources")):
            with open(name, encoding="utf-8") as file:
                texts.append((name.endswith(".sources"), file.read()))
    # mmdebstrap reads one form from its standard input.
    if any(new for new, _ in texts):
        return "\n\n".join(text for new, text in texts if new)
    return "\n".join(text for _, text in texts)


def debootstrap(folder, suite, packages, *options):
    """Runs mmdebstrap; gives what it said if it failed, None if it did not.

    It mounts /proc, /sys and /dev/pts into the folder. In mounts of its own those end with it, however it ends: were it
    killed in ours they would stay, and whoever removes the folder would walk into them.
    """
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "--", "mmdebstrap", "--quiet", "--mode=root",
                           "--include=" + ",".join(packages), *options, suite, folder, "-"],
                          input=sources(), text=True, check=False, stderr=subprocess.PIPE)
    return done.stderr.strip()[-400:] if done.returncode != 0 else None


def remove(folder):
    """Removes the folder, unless something is mounted below it: that is somebody's, and not to be walked into."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        inside = [line.split()[4] for line in file if line.split()[4].startswith(folder + "/")]
    if inside:
        print(f"container_root: {inside[0]} is mounted; unmount it first (umount --recursive {folder})", file=sys.stderr)
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def build(prony, folder):
    suite, packages, place = last_stage()
    stamp = os.path.join(folder, ".packages")
    words = suite + " " + " ".join(packages)
    kept = None
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            kept = file.read()
    if kept != words:
        if not remove(folder):
            return 1
        said = debootstrap(folder, suite, packages, "--variant=essential")
        if said is not None:
            remove(folder)
            print(f"container_root: mmdebstrap failed: {said}", file=sys.stderr)
            return 1
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(words)
    target = folder + place
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(prony, target)
    os.makedirs(folder + "/runs", exist_ok=True)
    return 0


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    reason = why_not()
    if reason:
        print(f"container_root: {reason}", file=sys.stderr)
        return 2
    return build(sys.argv[1], os.path.abspath(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
