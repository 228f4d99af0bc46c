// The profile that ONNX Runtime writes: what each node took in each run. Read line by line, as it has one event a line;
// times are microseconds, cut off. What runs within an If, a Loop or a Scan is in that node's own time and is left out,
// so that nothing counts twice. Thread promise: pure but for reading the file.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace prony_engine {

struct NodeTime {
  std::size_t node = 0;  // index into Profile::nodes
  std::int64_t begin_us = 0, duration_us = 0;
};

struct ProfiledNode {
  std::string name, op, provider;
};

struct ProfiledRun {
  std::int64_t begin_us = 0, duration_us = 0;  // of the whole run, by the profiler's own clock
  std::vector<NodeTime> nodes;                 // in the order of their begin
};

struct Profile {
  std::vector<ProfiledNode> nodes;  // each once that has a time in some run, in the order of their first
  std::vector<ProfiledRun> runs;
  std::size_t nested = 0;  // events within control nodes
  std::string problem;     // why it is not whole; empty: it is
};
// ONNX Runtime keeps so many events and drops what comes after, without a word.
inline constexpr std::size_t most_profile_events = 1'000'000;

[[nodiscard]] Profile read_profile(std::istream& in);

}  // namespace prony_engine
