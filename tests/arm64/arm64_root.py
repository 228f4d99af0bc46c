"""An arm64 Debian in which the set-up scripts of boards are run by its own programs, through qemu-user.

The system is unpacked, not installed: packages of the distribution's own arm64. It is entered in name spaces of this test's own, so
nothing of it reaches the machine: what would (apt-get, sysctl, swapon, udevadm, usermod) is a program that writes down how it
was called.
"""

import os
import platform
import shutil
import subprocess
import sys
import tarfile

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path[:0] = [os.path.join(TOP, "tests/e2e"), os.path.join(TOP, "tools")]
import container_root  # noqa: E402
import harness  # noqa: E402
from harness import Case  # noqa: E402

FOLDER = os.path.join(harness.ROOT, "build/arm64-root")
PACKAGES = ["dash", "coreutils", "grep", "sed", "mawk", "tar", "gzip", "util-linux", "dpkg", "base-files", "libc6", "libc-bin", "findutils",
            "diffutils", "debianutils", "libfmt9", "libsqlite3-0", "libzstd1", "libstdc++6"]
EMULATOR = "qemu-aarch64-static"
# Linux, Documentation/admin-guide/binfmt-misc.rst: the head of a 64-bit ELF file for machine 0xb7.
MAGIC = r":prony-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
FSTAB = "LABEL=root / ext4 defaults 0 1\n"
RECORDED = ["usermod", "gpasswd", "udevadm", "mkswap", "swapon", "swapoff", "apt-cache"]
SYSCTL = '#!/bin/sh\necho "sysctl $*" >>/told\n[ "$1" != -n ] || echo 4\n'
# Notes its call, and keeps dpkg's list as a real one would for the packages that matter here.
APT_GET = r"""#!/bin/sh
echo "apt-get $*" >>/told
case "$*" in
  *"install -y hailo-all"*) printf 'Package: %s\nStatus: install ok installed\nVersion: 1\nArchitecture: arm64\n\n' hailo-all hailort >>/var/lib/dpkg/status ;;
  *"remove -y"*) : >/var/lib/dpkg/status ;;
esac
"""


def why_not():
    reason = container_root.why_not()
    if not reason and platform.machine() != "aarch64" and not shutil.which(EMULATOR):
        reason = f"{EMULATOR} is not installed (qemu-user-static)"
    return reason


def unpack():
    """The root folder, kept from one time to the next; the reason where it cannot be had."""
    stamp = os.path.join(FOLDER, ".packages")
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == " ".join(PACKAGES):
                return None
    if not container_root.remove(FOLDER):
        return "something is mounted in build/arm64-root"
    os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
    said = container_root.debootstrap(FOLDER, "bookworm", PACKAGES, "--variant=extract", "--arch=arm64", "--skip=check/qemu")
    if said is not None:
        container_root.remove(FOLDER)
        return "mmdebstrap could not unpack Debian's arm64: " + said
    os.symlink("mawk", os.path.join(FOLDER, "usr/bin/awk"))  # what installing it would do
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(" ".join(PACKAGES))
    return None


class Arm64Case(Case):
    """`script` is the set-up script that is tested."""

    script = None

    @classmethod
    def setUpClass(cls):
        cls.reason = why_not() or unpack()

    def setUp(self):
        super().setUp()
        if self.reason:
            self.skipTest(self.reason)
        for name in ("upper", "work", "root"):
            os.makedirs(self.path(name))
        self.put("etc/fstab", FSTAB)
        self.put("etc/passwd", "root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/root:/bin/sh\n")
        self.put("etc/group", "root:x:0:\nvideo:x:44:\npi:x:1000:\n")
        for name in RECORDED:
            self.put("usr/local/sbin/" + name, f'#!/bin/sh\necho "{name} $*" >>/told\n', 0o755)
        self.put("usr/local/sbin/sysctl", SYSCTL, 0o755)
        self.put("usr/local/sbin/apt-get", APT_GET, 0o755)
        self.put("var/lib/dpkg/status", "")
        self.put("told", "")

    def put(self, path, text, mode=0o644):
        path = os.path.join(self.path("upper"), path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def get(self, path):
        with open(os.path.join(self.path("upper"), path), encoding="utf-8") as file:
            return file.read()

    def enter(self, *words, code=0, user="pi"):
        """Runs a command inside; its output. Everything mounted goes with it."""
        register = ""
        if platform.machine() != "aarch64":
            register = ("mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && "
                        f"printf %s '{MAGIC}{MASK}{shutil.which(EMULATOR)}:F' >/proc/sys/fs/binfmt_misc/register && ")
        root = self.path("root")
        line = (f"{register}mount -t overlay none -o lowerdir={FOLDER},upperdir={self.path('upper')},workdir={self.path('work')},userxattr "
                f"{root} && mkdir -p {root}/prony {root}/dev && mount --rbind {harness.ROOT} {root}/prony && mount --rbind /dev {root}/dev && "
                f'exec chroot {root} "$@"')
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private", "--fork", "sh", "-c", line, "sh",
                               *words], capture_output=True, text=True, timeout=170, check=False, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "SUDO_USER": user})
        said = done.stdout + done.stderr
        if done.returncode != code and ("binfmt_misc" in done.stderr or "unshare:" in done.stderr or "mount:" in done.stderr):
            self.skipTest("this kernel lets nobody emulate in name spaces of their own (Linux 6.7): " + done.stderr.strip()[-200:])
        self.assertEqual(done.returncode, code, said)
        return said

    def setup(self, *words, **more):
        return self.enter("/prony/tools/" + self.script, *words, **more)

    def files(self):
        """What the system holds beyond what was unpacked, but for the notes of the recorded programs."""
        found = {}
        for where, _, names in os.walk(self.path("upper")):
            for name in names:
                path = os.path.join(where, name)
                if name != "told" and os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, self.path("upper"))] = hash(file.read())
        return found

    def archive(self, program):
        with tarfile.open(os.path.join(self.path("upper"), "prony.tar.gz"), "w:gz") as archive:
            archive.add(program, "bin/prony")
