// What the writers of synthetic models share: random numbers that are the same on every machine, and a file that is
// there when it is finished and not before. Thread promise: one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

// SplitMix64 (Steele, Lea, Flood 2014): a stream per tensor, so that no tensor depends on the ones before it.
class SynthRandom {
 public:
  SynthRandom(std::uint64_t seed, std::uint64_t stream)
      : state_(mix(seed * 0x9e3779b97f4a7c15U + 1) ^ mix(stream + 0x51U)) {}
  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15U); }

 private:
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

// Buffered writing to a temporary file beside `path` that vanishes unless finish() was reached.
class SynthOutput {
 public:
  // `replace`: an existing regular file may be written over; else it is an error, as what is no regular file is.
  static Result<SynthOutput> open(const std::string& path, bool replace);
  SynthOutput(SynthOutput&& other) noexcept;
  SynthOutput& operator=(SynthOutput&&) = delete;
  SynthOutput(const SynthOutput&) = delete;
  SynthOutput& operator=(const SynthOutput&) = delete;
  ~SynthOutput();

  [[nodiscard]] Result<void> put(std::string_view bytes);
  [[nodiscard]] Result<void> zeros_up_to(std::uint64_t position);
  [[nodiscard]] std::uint64_t position() const { return written_; }
  [[nodiscard]] Result<void> finish();

 private:
  SynthOutput() = default;
  [[nodiscard]] Error explain(int error) const;
  [[nodiscard]] Result<void> flush();

  std::string path_, temporary_, buffer_;
  Fd fd_;
  std::uint64_t written_ = 0;
};

}  // namespace prony
