#include "workloads/draw.hpp"

#include <cmath>

namespace prony {

double Draw::uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

std::uint64_t Draw::below(std::uint64_t count) {
  const std::uint64_t uneven = (0 - count) % count;  // so many of the lowest words would make small results likelier
  for (;;)
    if (const std::uint64_t word = engine_(); word >= uneven) return word % count;
}

double Draw::exponential() { return -std::log1p(-uniform()); }

double Draw::normal() {
  for (;;) {
    const double x = 2 * uniform() - 1, y = 2 * uniform() - 1, square = x * x + y * y;
    if (square > 0 && square < 1) return x * std::sqrt(-2 * std::log(square) / square);
  }
}

double Draw::gamma(double shape) {
  // Below one: that of the next shape, drawn together by a uniform.
  if (shape < 1) return gamma(shape + 1) * std::pow(1 - uniform(), 1 / shape);
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log1p(-uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace prony
