// Spans from OpenMP threads: each is inside the loop's span, whichever thread it ran on.
#include <prony/prony.hpp>

#include <cstdio>
#include <string>

int main() {
  prony_open(nullptr);
  const prony::Span loop("loop", PRONY_BATCH);
  double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(4) schedule(static, 2)
  for (int part = 0; part < 8; ++part) {
    const prony::Span span(("part-" + std::to_string(part)).c_str(), PRONY_USER, loop.id());
    for (int i = 1; i < 200000; ++i) sum += 1.0 / i;
  }
  std::printf("%.3f\n", sum);
}
