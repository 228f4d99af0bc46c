// Worker: the way to a server that is ready for prompts: found, the model fetched if that was asked for, loaded.
#include <poll.h>

#include "worker.hpp"

namespace prony_http {

Fallible<Found> Worker::connect() {
  auto found = find_server(settings_.address, *dialect_, settings_.server, input_);
  if (!found) return found;
  settings_.server.url = found->url;
  server_ = std::make_unique<Server>(settings_.server, input_);
  return found;
}

// What is fetched from elsewhere is no loading, and takes as long as the network does: a span of its own, and the
// driver is told how far it has come.
Fallible<Facts> Worker::fetch(const LoadSettings& load_settings) {
  constexpr std::int64_t between_ns = 250'000'000;
  std::optional<prony_span> span;
  std::int64_t told_at_ns = 0, told_bytes = -1;
  auto facts = dialect_->fetch(load_settings, server_->caller(), [&](const FetchState& state) {
    if (!span) span = prony_span_begin(PRONY_PHASE, "fetch", 0);
    const std::int64_t now_ns = prony_now_ns();
    if (state.done_bytes == told_bytes || now_ns - told_at_ns < between_ns) return;  // no progress is none
    told_at_ns = now_ns;
    told_bytes = state.done_bytes;
    say({{"type", "progress"}, {"name", "fetch"}, {"done", state.done_bytes}, {"total", state.total_bytes}});
  });
  if (span) prony_span_end(*span, facts ? PRONY_OK : PRONY_FAILED);
  return facts;
}

// That a load is a cold one: what the model takes to leave is none of it.
Fallible<void> Worker::leave_memory(const LoadSettings& load_settings) {
  const prony_span span = prony_span_begin(PRONY_PHASE, "unload", 0);
  auto gone = dialect_->leave_memory(load_settings, server_->caller());
  prony_span_end(span, gone ? PRONY_OK : PRONY_FAILED);
  return gone;
}

// A server that says 503 loads its model; the driver knows how long it will wait for that.
Fallible<Facts> Worker::wait_for_load(const LoadSettings& load_settings) {
  for (;;) {
    auto facts = dialect_->load(load_settings, server_->caller());
    if (facts || facts.error().code != "busy") return facts;
    pollfd ready{input_.ended() ? -1 : input_.fd(), POLLIN, 0};
    ::poll(&ready, 1, 100);
    if (ready.revents != 0) input_.read_some();
    if (input_.cancelled()) return facts;
  }
}

}  // namespace prony_http
