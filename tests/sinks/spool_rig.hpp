// What tests of the remote sink's buffer and of its sender share: a buffer in a scratch folder, and frames in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../support/scratch.hpp"
#include "sinks/spool.hpp"

namespace prony::test {

inline constexpr const char* head = R"({"client":"me","head":{"host":"box"}})";
inline const std::string stream_a(32, 'a'), stream_b(32, 'b');

inline std::string line(std::uint64_t n, std::size_t padding = 0) {
  return "{\"sequence\":" + std::to_string(n) + ",\"x\":\"" + std::string(padding, 'x') + "\"}";
}
inline std::vector<std::uint64_t> numbers(const std::string& lines) {
  std::vector<std::uint64_t> found;
  for (std::size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1)
    found.push_back(
        nlohmann::json::parse(lines.substr(at, lines.find('\n', at) - at))["sequence"].get<std::uint64_t>());
  return found;
}

struct Spools : ::testing::Test {
  ScratchFolder scratch{"remote"};
  std::unique_ptr<Spool> open(const std::string& stream, std::uint64_t bound = 64'000'000) {
    auto spool = Spool::open(scratch.file("buffer"), bound, stream, head);
    EXPECT_TRUE(spool) << (spool ? "" : spool.error().what);
    return spool ? std::move(*spool) : nullptr;
  }
  static void fill(Spool& spool, std::uint64_t from, std::uint64_t to, std::size_t padding = 0) {
    for (std::uint64_t n = from; n <= to; ++n) ASSERT_TRUE(spool.append(n, line(n, padding), Instant{0}));
  }
  // Everything that waits, in order.
  static std::vector<std::uint64_t> drain(Spool& spool) {
    std::vector<std::uint64_t> all;
    while (const auto batch = spool.peek(10'000, 1000)) {
      const auto some = numbers(batch->lines);
      EXPECT_EQ(some.size(), batch->frames);
      all.insert(all.end(), some.begin(), some.end());
      spool.done(*batch);
    }
    return all;
  }
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.file("buffer")))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
};

}  // namespace prony::test
