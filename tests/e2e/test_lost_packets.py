"""prony monitor --sink remote over a line that loses a tenth of all packets: no frame is lost, and none is there twice.

usage: test_lost_packets.py BUILD_DIR
"""

import os
import re
import shutil
import subprocess

import test_collect
from harness import main, needs_root


def ip(*words, namespace=None):
    """`ip`, or with a namespace `tc`: its exit code and what it said."""
    command = ["ip", "netns", "exec", namespace, "tc", *words] if namespace else ["ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_root
class LostPacketsTest(test_collect.CollectCase):
    """Two network namespaces with a line between them that loses packets: what leaves either end meets a filter of classic
    BPF that reads the kernel's random numbers, which takes no compiler and no module but cls_bpf (tc-bpf(8))."""

    here, there = f"prony-a-{os.getpid()}", f"prony-b-{os.getpid()}"
    # A = random; A %= 10; A == 0 ? TC_ACT_SHOT : TC_ACT_UNSPEC. Source: linux/filter.h (SKF_AD_OFF + SKF_AD_RANDOM).
    one_of_ten = "5,32 0 0 4294963256,148 0 0 10,21 0 1 0,6 0 0 2,6 0 0 4294967295,"

    def line(self):
        """Makes it; skips with what was said where that is not to be had."""
        def need(*words, **more):
            code, said = ip(*words, **more)
            if code != 0:
                self.skipTest(f"no line that loses packets here: {' '.join(words)}: {said.strip()}")

        if not all(shutil.which(tool) for tool in ("ip", "tc")):
            self.skipTest("iproute2 is not installed")
        for name in (self.here, self.there):
            need("netns", "add", name)
            self.addCleanup(ip, "netns", "del", name)
        need("link", "add", "line", "netns", self.here, "type", "veth", "peer", "name", "line", "netns", self.there)
        for name, address in ((self.here, "10.213.77.1/30"), (self.there, "10.213.77.2/30")):
            need("-n", name, "address", "add", address, "dev", "line")
            need("-n", name, "link", "set", "line", "up")
            need("qdisc", "add", "dev", "line", "clsact", namespace=name)
            need("filter", "add", "dev", "line", "egress", "bpf", "da", "bytecode", self.one_of_ten, namespace=name)

    def lost(self, name):
        told = re.search(r"qdisc clsact.*\n.*dropped (\d+)", ip("-s", "qdisc", "show", "dev", "line", namespace=name)[1])
        return int(told.group(1))

    def mend(self):
        for name in (self.here, self.there):
            ip("qdisc", "del", "dev", "line", "clsact", namespace=name)

    def start(self, *words, name="collect"):
        self.command = ("ip", "netns", "exec", self.here if words[0] == "monitor" else self.there)
        return super().start(*words, name=name)

    def test_a_tenth_of_all_packets_lost_loses_and_doubles_no_frame(self):
        self.line()
        collector = self.start("collect", "--listen", "10.213.77.2:0", "--anyone", "--out", "c.sqlite")
        self.assertTrue(test_collect.wait_until(lambda: "receives at" in self.said() or collector.poll() is not None))
        if "libmicrohttpd" in self.said():
            self.skipTest("libmicrohttpd is not here (tools/packages.txt, group test)")
        port = re.search(r"10\.213\.77\.2:(\d+)", self.said()).group(1)
        monitor = self.monitor("--sink", "jsonl:a.jsonl", url=f"http://10.213.77.2:{port}", options=",plain-http=yes")
        self.assertTrue(test_collect.wait_until(lambda: min(self.lost(self.here), self.lost(self.there)) >= 15 and self.count() > 60, 120),
                        self.said("monitor"))
        self.mend()
        self.stop(monitor, "monitor")
        rows = self.rows("a.jsonl")
        self.assertEqual({row["dropped_frames"] for row in rows}, {0})
        self.assert_whole(len(rows))
        self.stop(collector)


if __name__ == "__main__":
    main()
