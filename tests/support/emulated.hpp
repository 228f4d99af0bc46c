// Whether the tests run under qemu-user, which stands for a kernel without netlink and cgroup files of its own, and
// cannot start programs of the foreign kind: the runner says so by an environment variable.
#pragma once

#include <cstdlib>

namespace prony::test {

inline bool emulated() { return std::getenv("PRONY_TEST_EMULATED") != nullptr; }
inline constexpr const char* emulated_reason =
    "qemu-user cannot start another program of this machine's kind, nor show the kernel's process accounting";

}  // namespace prony::test
