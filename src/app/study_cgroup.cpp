#include "app/study_cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "process/cgroup_texts.hpp"

namespace prony::app {

namespace {

constexpr std::string_view group_prefix = "prony-study-";
constexpr std::size_t longest_proc_text = 1 << 20;

std::string proc_text(const char* path) { return read_whole_file(path, longest_proc_text).value_or(std::string()); }

bool put_text(const std::string& file, const std::string& text) {
  const auto fd = Fd::open(file, O_WRONLY);
  return fd && ::write(fd->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Those of studies that were killed: rmdir refuses where somebody is in one.
void remove_left_over(const std::string& parent) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(parent, failed)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(group_prefix)) continue;
    const auto pid = parse_u64(name.substr(group_prefix.size()));
    if (pid && !is_there("/proc/" + std::to_string(*pid))) ::rmdir(entry.path().c_str());
  }
}

struct Candidate {
  std::string parent;
  int version = 2;
};

// Our own group first; beside it where processes and limits may not live in one group (version 2).
std::vector<Candidate> candidates() {
  std::vector<Candidate> all;
  const std::string mounts = proc_text("/proc/self/mountinfo"), groups = proc_text("/proc/self/cgroup");
  if (const auto mount = cgroup2_mount_point(mounts))
    if (const auto own = own_cgroup2_path(groups)) {
      all.push_back({*mount + *own, 2});
      if (!own->empty()) all.push_back({std::filesystem::path(*mount + *own).parent_path().string(), 2});
    }
  if (auto first = memory_group_v1(mounts, groups)) all.push_back({std::move(*first), 1});
  return all;
}

bool limited(const std::string& path, int version, std::uint64_t limit) {
  const std::string bytes = std::to_string(limit);
  if (version == 2) {
    (void)put_text(path + "/memory.swap.max", "0");  // not there where there is no swap
    return put_text(path + "/memory.max", bytes);
  }
  if (!put_text(path + "/memory.limit_in_bytes", bytes)) return false;
  (void)put_text(path + "/memory.memsw.limit_in_bytes", bytes);  // not there where swap is not counted
  return true;
}

}  // namespace

Result<MemoryGroup> MemoryGroup::create(std::uint64_t limit) {
  std::string why = "no control group that limits memory is mounted";
  for (const Candidate& candidate : candidates()) {
    remove_left_over(candidate.parent);
    std::string path = candidate.parent + "/" + std::string(group_prefix) + std::to_string(::getpid());
    ::rmdir(path.c_str());  // of a killed study that had this number: what its group counted is not ours
    if (::mkdir(path.c_str(), 0755) != 0) {
      why = error_from_errno(errno, path, "no control group may be made").what;
      continue;
    }
    if (limited(path, candidate.version, limit) && ::access((path + "/cgroup.procs").c_str(), W_OK) == 0)
      return MemoryGroup(std::move(path), candidate.version);
    why = "control groups made here have no limit of memory";
    ::rmdir(path.c_str());
  }
  return fail(ErrorCode::unavailable, why, "memory-limit");
}

MemoryGroup::~MemoryGroup() {
  if (path_.empty()) return;
  for (int tries = 0; tries < 20 && ::rmdir(path_.c_str()) != 0 && errno == EBUSY; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // what was just ended is still leaving
}

std::uint64_t MemoryGroup::kills() const {
  std::uint64_t count = 0;
  const std::string text = proc_text((path_ + (version_ == 2 ? "/memory.events" : "/memory.oom_control")).c_str());
  for_each_line(text, [&](std::string_view line) {
    if (next_word(line) == "oom_kill") count = parse_u64(next_word(line)).value_or(0);
  });
  return count;
}

}  // namespace prony::app
