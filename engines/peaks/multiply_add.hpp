// The loop of multiply-adds of 32-bit numbers, by the widest instructions that this processor has: as many chains that
// do not wait for each other as keep its pipes full. Any thread. Sources: Intel's intrinsics guide; Arm's C language
// extensions.
#pragma once

#include <cstdint>
#include <string_view>

namespace peaks {

struct MultiplyAdd {
  std::string_view instructions;  // "avx512f", "avx2", "neon", "portable"
  std::int64_t flop_per_round;    // 1 multiply-add = 2
  float (*run)(std::int64_t rounds);
};
// What this processor can do best of what is known here.
[[nodiscard]] MultiplyAdd best_multiply_add();

}  // namespace peaks
