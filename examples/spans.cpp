// A C++ program whose spans end with their scopes. Build: c++ -std=c++17 spans.cpp -lprony   Run: prony run -- ./a.out
#include <prony/prony.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

void answer(int number, prony_span parent) {
  prony::ScopedSpan request(PRONY_REQUEST, ("request-" + std::to_string(number)).c_str(), parent);
  request.count("output_tokens", number);
  if (number == 3) throw std::runtime_error("the third one always fails");  // its span ends as failed
}

}  // namespace

int main() {
  prony_open(nullptr);
  prony::ScopedSpan batch(PRONY_BATCH, "batch");
  std::thread other([&] { answer(1, batch.id()); });  // each thread writes into a ring of its own
  answer(2, batch.id());
  other.join();
  try {
    answer(3, batch.id());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
}
