// The few uses of the bpf() system call that the switch meter makes, with the kernel's refusals put in words.
// Thread promise: any thread; a map may be read by one thread while programs write into it. Ownership: descriptors are
// the caller's; closing the last one of an attached program detaches it, so that nothing outlives Prony.
// Errors: denied (capabilities, or locked memory before Linux 5.11), absent (a kernel without it), full.
// Source: bpf(2), Documentation/bpf/map_hash.rst, Documentation/bpf/bpf_prog_run.rst.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

[[nodiscard]] Result<Fd> make_bpf_map(bpf_map_type type, std::size_t key_bytes, std::size_t value_bytes,
                                      std::size_t entries, const char* name);
// A program for raw tracepoints. What the verifier says of a refused one is in the error.
[[nodiscard]] Result<Fd> load_bpf_program(std::span<const bpf_insn> code, const char* name);
[[nodiscard]] Result<Fd> attach_to_tracepoint(const Fd& program, const char* tracepoint);  // "sched_switch"

// Each gives 0 or −errno. No allocation here.
[[nodiscard]] int bpf_read(const Fd& map, const void* key, void* value) noexcept;
[[nodiscard]] int bpf_write(const Fd& map, const void* key, const void* value) noexcept;
int bpf_erase(const Fd& map, const void* key) noexcept;
// Reads whole buckets of a hash from where `cookie` stands (first: begin = true); `count` says how many fit and then
// how many came. −ENOENT: that was the last of them.
[[nodiscard]] int bpf_read_many(const Fd& map, bool begin, std::uint32_t& cookie, void* keys, void* values,
                                std::uint32_t& count) noexcept;
// Runs a program of a raw tracepoint on `cpu` (over the interrupted task there) with these arguments.
[[nodiscard]] int bpf_run_on(const Fd& program, unsigned cpu, std::span<const std::uint64_t> arguments) noexcept;

}  // namespace prony
