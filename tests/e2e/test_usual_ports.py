"""`prony llm` without --url finds a server where its kind usually listens on this machine.

In a network namespace of its own, so that whatever listens on those ports here is neither found nor in the way.
"""

import ctypes
import fcntl
import os
import re
import socket
import struct

import fake_llm
import harness
from test_http_engines import HttpCase

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


class UsualPorts(HttpCase):
    @classmethod
    def setUpClass(cls):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET | (0 if os.geteuid() == 0 else CLONE_NEWUSER)) != 0:
            raise harness.unittest.SkipTest("no network namespace can be made here: " + os.strerror(ctypes.get_errno()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))

    @staticmethod
    def leave(server):
        server.socket.shutdown(socket.SHUT_RDWR)  # who waits in accept() would keep it listening
        server.close()

    def test_each_engine_is_found_on_each_of_its_usual_ports(self):
        for engine, kind, ports in (("ollama", fake_llm.Ollama, (11434,)), ("hailo-ollama", fake_llm.Ollama, (8000,)),
                                    ("llama-server", fake_llm.OpenAi, (8080,)),
                                    ("openai", fake_llm.OpenAi, (8000, 30000, 1234, 8080, 11434))):
            for port in ports:
                with self.subTest(engine=engine, port=port):
                    server = kind(port=port)
                    try:
                        summary = self.llm(engine, "--prompts", self.prompts("plain"), "--force", name="x")
                    finally:
                        self.leave(server)
                    self.assertEqual(summary["requests"][0]["status"], "ok")
                    self.assertEqual(summary["engine"]["url"], f"http://127.0.0.1:{port}")
                    self.assertEqual(len(server.prompts()), 1)

    def test_where_nobody_is_found_every_port_that_was_tried_is_told(self):
        self.llm("openai", "--prompts", self.prompts("plain"), code=125)
        for port in (8000, 30000, 1234, 8080, 11434):
            self.assertRegex(self.err, re.escape(f"127.0.0.1:{port}") + r"[^\n]*nobody listens there")
        self.assertIn("--url", self.err)

    def test_another_kind_of_server_on_that_port_is_not_taken_for_it(self):
        server = fake_llm.OpenAi(port=11434)
        self.addCleanup(self.leave, server)
        self.llm("ollama", "--prompts", self.prompts("plain"), code=125)
        self.assertEqual(server.prompts(), [])


if __name__ == "__main__":
    harness.main()
