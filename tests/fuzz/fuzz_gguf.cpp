// parts: complexity
// Any bytes as the head of a GGUF file, in either byte order: an error, or a shape whose costs are finite numbers that
// are not below zero. The first byte says how much of the file was read.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "complexity/model_cost.hpp"

namespace {

void expect_cost(const prony::complexity::ModelCost& cost) {
  for (const double one : {cost.flop(), cost.bytes(), cost.flop_per_byte()})
    if (!(one >= 0) || !std::isfinite(one)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony::complexity;
  if (size < 1) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  const std::size_t read = data[0] == 0 ? bytes.size() : bytes.size() * data[0] / 255;
  bool more = false;
  const auto header = parse_gguf(bytes.first(read), bytes.size(), more);
  if (!header || more) return 0;
  if (header->head_bytes > read) std::abort();
  const auto shape = shape_of(*header);
  if (!shape) return 0;
  expect_cost(prefill_cost(*shape, 1000, 20));
  expect_cost(decode_cost(*shape, 1000, 4));
  if (!(kv_size(*shape).bytes(1e6) >= 0)) std::abort();
  return 0;
}
