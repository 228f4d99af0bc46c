// libprony is a guest: neither a foreign file, nor a full disk, nor a system call in the hot path may hurt its host.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <prony/prony.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cstddef>
#include <fstream>
#include <functional>

#include "../support/emulated.hpp"
#include "../support/sanitizer.hpp"
#include "../support/scratch.hpp"
#include "ring_file.hpp"

namespace prony::test {
namespace {

constexpr bool sanitized = address_sanitizer || thread_sanitizer;

// Runs `body` in a child; its exit code, or 128 + the signal that killed it.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) syscall(SYS_exit_group, body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(ClientOpen, AFileThatIsNotThereIsSaidSo) { EXPECT_EQ(prony_open("/nonexistent/prony.spans"), -ENOENT); }

TEST(ClientOpen, WhatIsNotASpanFileIsRefused) {
  EXPECT_EQ(prony_open("/dev/null"), -EINVAL);
  const ScratchFolder scratch("client");
  EXPECT_EQ(prony_open(scratch.path().c_str()), -EISDIR);
  const std::string fifo = scratch.file("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(prony_open(fifo.c_str()), -EINVAL) << "and does not hang";
  const std::string path = scratch.file("short");
  const char* const name = path.c_str();
  const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_EQ(prony_open(name), -EINVAL) << "empty";
  ASSERT_EQ(ftruncate(fd, 4095), 0);
  EXPECT_EQ(prony_open(name), -EINVAL) << "shorter than a header";
  ASSERT_EQ(ftruncate(fd, 1 << 20), 0);
  EXPECT_EQ(prony_open(name), -EINVAL) << "zeros: no magic";
  close(fd);
  EXPECT_EQ(prony_recording(), 0);
}

TEST(ClientOpen, AHeaderThatPromisesMoreThanTheFileHoldsIsRefused) {
  struct Case {
    std::uint32_t rings, slots;
  };
  for (const Case& c : {Case{0, 64}, Case{4, 0}, Case{4, 1}, Case{4, 65}, Case{5, 64}, Case{4096, 1U << 24},
                        Case{0xFFFFFFFF, 0xFFFFFFFF}, Case{1U << 31, 1U << 31}}) {
    RingFile file(4, 64);
    file.header().ring_count = c.rings;
    file.header().slots_per_ring = c.slots;
    EXPECT_EQ(prony_open(file.path().c_str()), -EINVAL) << c.rings << " rings of " << c.slots;
  }
}

// Bug it kills: sizes multiplied in 32 bits. 4096 rings of 16384 slots are 2^32 bytes, which wraps to a file of headers
// only.
TEST(ClientOpen, SizesThatWouldWrapIn32BitsAreRefused) {
  struct Case {
    std::uint32_t rings, slots;
  };
  for (const Case& c : {Case{4096, 1U << 14}, Case{4096, 1U << 24}, Case{64, 1U << 20}, Case{4, 1U << 24}}) {
    RingFile file(4, 1U << 14);
    file.header().ring_count = c.rings;
    file.header().slots_per_ring = c.slots;
    EXPECT_EQ(prony_open(file.path().c_str()), -EINVAL) << c.rings << " rings of " << c.slots;
    prony_close();
  }
}

TEST(ClientOpen, ANewerVersionIsRefusedAsSuch) {
  RingFile file;
  file.header().version = ring::version + 1;
  EXPECT_EQ(prony_open(file.path().c_str()), -EPROTO);
}

TEST(ClientOpen, AFailedOpenLeavesTheOpenOneAlone) {
  RingFile file;
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  EXPECT_EQ(prony_open("/dev/null"), -EINVAL);
  EXPECT_EQ(prony_recording(), 1);
  prony_close();
}

TEST(ClientOpen, NonsenseInARingHeaderCannotLeadAWriteOutOfTheRing) {
  for (const std::uint64_t head : {std::uint64_t{0xFFFFFFFFFFFFFFFF}, std::uint64_t{1} << 63, std::uint64_t{12345}}) {
    RingFile file(2, 8);
    file.ring(0).head.store(head);
    file.ring(0).tail.store(head + 77);
    ASSERT_EQ(prony_open(file.path().c_str()), 0);
    for (int i = 0; i < 100; ++i)
      prony_span_end(prony_span_begin(PRONY_USER, "a name of some forty bytes, or more", 0), 0);
    for (std::uint64_t i = 0; i < 8; ++i)
      EXPECT_EQ(file.slot(1, i).sequence.load(), 0U) << "the neighbour is untouched";
    prony_close();
  }
}

// The disk fills while the program runs. A store into a hole of the sparse file would be SIGBUS for the program.
TEST(ClientDisk, AFullDiskCostsSpansAndNotTheProgram) {
  if (test::emulated())
    GTEST_SKIP() << "under qemu-user a full page ends in SIGBUS inside the emulator; natively it is tested";
  const ScratchFolder scratch("tmpfs");
  const int code = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0) {
      const auto user = std::to_string(getuid()), group = std::to_string(getgid());
      if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
      std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
      std::ofstream("/proc/self/setgroups") << "deny";
      std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
    }
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (mount("none", scratch.path().c_str(), "tmpfs", 0, "size=64k") != 0) return 77;
    const std::string path = scratch.file("run.spans");
    RingFile small(path, 4, 16384);  // 4 MiB of holes
    if (prony_open(path.c_str()) != 0) return 1;
    for (int i = 0; i < 20000; ++i) prony_span_end(prony_span_begin(PRONY_USER, "x", 0), 0);
    return small.header().rejected.load() == 1 ? 0 : 2;
  });
  if (code == 77) GTEST_SKIP() << "this user may not mount a tmpfs in a namespace of its own";
  EXPECT_EQ(code, 0) << "128 + 7 would be SIGBUS";
}

// From here on the kernel kills this process at any system call but its exit. (Strict mode would do, but it also
// forbids reading the processor's time stamp counter, which the vDSO clock is made of.)
bool forbid_system_calls() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program{4, rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int spans_without_system_calls() {
  prony_span span = prony_span_begin(PRONY_USER, "first", 0);  // claims the ring
  prony_span_end(span, PRONY_OK);
  if (!forbid_system_calls()) return 77;
  for (int i = 0; i < 50000; ++i) {
    span = prony_span_begin(PRONY_USER, "request", 0);
    prony_span_count(span, "tokens", i);
    prony_span_attribute(span, "finish", "length of text that needs more slots");
    prony_span_end(span, PRONY_OK);
  }
  return 0;
}

TEST(ClientHotPath, MakesNoSystemCallFullRingOrNot) {
  if (sanitized) GTEST_SKIP() << "sanitizers make system calls of their own";
  const int clock = in_child([] {
    struct timespec t;
    if (!forbid_system_calls()) return 77;
    return clock_gettime(CLOCK_MONOTONIC, &t);
  });
  if (clock != 0) GTEST_SKIP() << "no seccomp filter here, or this machine's clock needs a system call";
  RingFile file(2, 1024);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  EXPECT_EQ(in_child(spans_without_system_calls), 0) << "128 + 31 (SIGSYS): a system call was made";
  EXPECT_GT(file.lost(), 0U);
  prony_close();
}

}  // namespace
}  // namespace prony::test
