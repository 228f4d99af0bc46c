// A control group for one run of a study, in which the kernel holds all of its processes together to so much memory:
// version 2 (memory.max) or version 1 (memory.limit_in_bytes), below the study's own group or beside it, wherever this
// user may make one. No swap comes on top. Pages of files count too, but the kernel gives those back before it ends
// anybody. Thread promise: one thread. Sources: cgroup-v2.rst, cgroup-v1/memory.rst, cgroups(7).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace prony::app {

class MemoryGroup {
 public:
  // Errors: unavailable: no group could be made, and why.
  [[nodiscard]] static Result<MemoryGroup> create(std::uint64_t limit);
  MemoryGroup(MemoryGroup&& other) noexcept : path_(std::move(other.path_)), version_(other.version_) {
    other.path_.clear();
  }
  MemoryGroup& operator=(MemoryGroup&&) = delete;
  ~MemoryGroup();  // it must be empty by then; one that is not stays until the next study

  [[nodiscard]] std::string procs() const { return path_ + "/cgroup.procs"; }
  [[nodiscard]] int version() const noexcept { return version_; }
  // Of its processes, how many the kernel ended because they needed more.
  [[nodiscard]] std::uint64_t kills() const;

 private:
  MemoryGroup(std::string path, int version) : path_(std::move(path)), version_(version) {}
  std::string path_;
  int version_ = 2;
};

}  // namespace prony::app
