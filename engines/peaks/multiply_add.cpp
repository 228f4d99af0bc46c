#include "multiply_add.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace peaks {

namespace {

constexpr int chains = 12;  // latency × pipes of multiply-adds is 8 to 10 on today's cores
// s → s/2 + 1 goes to 2: neither endless nor so small that it is computed slowly.
constexpr float factor = 0.5F, summand = 1.0F;

#if defined(__x86_64__) || defined(__i386__)

__attribute__((target("avx512f"))) float run_avx512(std::int64_t rounds) {
  __m512 sums[chains];
  for (auto& sum : sums) sum = _mm512_set1_ps(summand);
  const __m512 a = _mm512_set1_ps(factor), b = _mm512_set1_ps(summand);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, a, b);
  __m512 all = sums[0];
  for (const auto& sum : sums) all = _mm512_add_ps(all, sum);
  float lanes[16];
  _mm512_storeu_ps(lanes, all);
  return lanes[0];
}

__attribute__((target("avx2,fma"))) float run_avx2(std::int64_t rounds) {
  __m256 sums[chains];
  for (auto& sum : sums) sum = _mm256_set1_ps(summand);
  const __m256 a = _mm256_set1_ps(factor), b = _mm256_set1_ps(summand);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, a, b);
  __m256 all = sums[0];
  for (const auto& sum : sums) all = _mm256_add_ps(all, sum);
  float lanes[8];
  _mm256_storeu_ps(lanes, all);
  return lanes[0];
}

#elif defined(__aarch64__)

float run_neon(std::int64_t rounds) {
  float32x4_t sums[chains];
  for (auto& sum : sums) sum = vdupq_n_f32(summand);
  const float32x4_t a = vdupq_n_f32(factor), b = vdupq_n_f32(summand);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (auto& sum : sums) sum = vfmaq_f32(b, sum, a);
  float32x4_t all = sums[0];
  for (const auto& sum : sums) all = vaddq_f32(all, sum);
  return vgetq_lane_f32(all, 0);
}

#endif

constexpr int portable_lanes = 32;

float run_portable(std::int64_t rounds) {
  float sums[portable_lanes];
  for (float& sum : sums) sum = summand;
  for (std::int64_t i = 0; i < rounds; ++i)
    for (float& sum : sums) sum = sum * factor + summand;
  float all = 0;
  for (const float sum : sums) all += sum;
  return all;
}

}  // namespace

MultiplyAdd best_multiply_add() {
#if defined(__x86_64__) || defined(__i386__)
  if (__builtin_cpu_supports("avx512f")) return {"avx512f", 2LL * chains * 16, &run_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"avx2", 2LL * chains * 8, &run_avx2};
#elif defined(__aarch64__)
  return {"neon", 2LL * chains * 4, &run_neon};
#endif
  return {"portable", 2LL * portable_lanes, &run_portable};
}

}  // namespace peaks
