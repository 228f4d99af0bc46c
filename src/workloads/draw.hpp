// Draw: random numbers from a seed that are the same with every standard library: its engine's bits are fixed by the
// C++ standard, what is made of them is written here, for the standard's distributions differ between libraries.
// Thread promise: plain values, one thread each. Sources: Marsaglia's polar method (normal); Marsaglia and Tsang, "A
// simple method for generating gamma variables", ACM TOMS 26 (2000).
#pragma once

#include <cstdint>
#include <random>

namespace prony {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::uint64_t bits() { return engine_(); }
  [[nodiscard]] double uniform();                          // 0 ≤ x < 1, 53 bits
  [[nodiscard]] std::uint64_t below(std::uint64_t count);  // 0 … count − 1, each as likely; count ≥ 1
  [[nodiscard]] double exponential();                      // mean 1
  [[nodiscard]] double normal();                           // mean 0, deviation 1
  [[nodiscard]] double gamma(double shape);                // scale 1, mean `shape`; shape > 0

 private:
  std::mt19937_64 engine_;
};

}  // namespace prony
