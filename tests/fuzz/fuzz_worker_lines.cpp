// parts: workloads base
// Any bytes as what a worker prints: the driver answers with words, never with a crash. The worker itself is `true`,
// which is gone at once; its standard output holds the input.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/spawn.hpp"
#include "workloads/worker.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  prony::WorkerOptions options;
  options.arguments = {"/bin/true"};
  options.model = "m.gguf";
  options.prompts = {{"1", "a", {}}, {"2", "b", {}}};
  options.warm_up = 1;
  options.load_timeout_ns = options.request_timeout_ns = 1'000'000'000;
  const auto workload = prony::make_worker_workload(options);
  const prony::SpawnOptions command = workload->command();
  const std::size_t fits = std::min<std::size_t>(size, 60'000);  // of a pipe
  if (::write(command.stdout_fd, data, fits) < 0) return 0;
  auto child = prony::spawn(command);
  if (!child) return 0;
  (void)workload->run(*child, {});
  return 0;
}
