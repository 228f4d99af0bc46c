#include "app/sampling_mode.hpp"

#include <array>
#include <string>
#include <utility>

#include "base/text.hpp"

namespace prony::app {

Result<SamplingMode> sampling_mode_from(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, SamplingMode>, 3> modes{
      {{"continuous", SamplingMode::continuous},
       {"while-requests", SamplingMode::while_requests},
       {"after-each", SamplingMode::after_each}}};
  for (const auto& [name, mode] : modes)
    if (name == word) return mode;
  return fail(ErrorCode::usage, "no way of sampling is called '" + printable(word, 40) + "'", "--sampling",
              "There are: continuous, while-requests, after-each");
}

SamplingPace::SamplingPace(SamplingMode mode, Session& session, Machine& machine)
    : mode_(mode), session_(session), machine_(machine), since_(machine.now()), cpu_since_(machine.own_cpu_time()) {
  if (mode_ == SamplingMode::while_requests || mode_ == SamplingMode::after_each) rest();
}

// Rounds of an intrusion test are on, off, off, on: whatever drifts evenly is in both alike.
bool SamplingPace::wanted(const Progress& progress) const {
  switch (mode_) {
    case SamplingMode::continuous: return true;
    case SamplingMode::while_requests: return progress.in_request;
    case SamplingMode::after_each: return false;
    case SamplingMode::intrusion_test: return progress.round <= 0 || (progress.round % 4) < 2;
  }
  return true;
}

void SamplingPace::update(const Progress& progress) {
  if (mode_ == SamplingMode::continuous) return;
  const bool ended = in_request_ && !progress.in_request, begins = !in_request_ && progress.in_request;
  in_request_ = progress.in_request;
  // The edges of what is measured have a tick in any case: of counters they are all that is needed.
  if (mode_ == SamplingMode::intrusion_test) {
    if (ended) account();
    if (begins && wanted(progress) == resting_) resting_ ? wake() : rest();
    if (begins) {
      since_ = machine_.now();
      cpu_since_ = machine_.own_cpu_time();
    }
    return;
  }
  if (wanted(progress) == resting_) resting_ ? wake() : rest();
  if (ended || (begins && mode_ == SamplingMode::while_requests)) session_.tick_now();
}

void SamplingPace::account() {
  const int which = resting_ ? 1 : 0;
  wall_s_[which] += (machine_.now() - since_).seconds().value();
  cpu_s_[which] += (machine_.own_cpu_time() - cpu_since_).seconds().value();
}

void SamplingPace::rest() {
  resting_ = true;
  session_.add(Event{machine_.now(), "sampling-rests", "sampler", "as asked: ticks at its edges alone"});
  session_.rest_lanes();
}

void SamplingPace::wake() {
  resting_ = false;
  session_.wake_lanes();
  session_.add(Event{machine_.now(), "sampling-wakes", "sampler", ""});
}

void SamplingPace::finish() {
  if (resting_) wake();
  if (mode_ != SamplingMode::intrusion_test) return;
  const char* names[2][2] = {{"intrusion_wall_on_s", "intrusion_cpu_on_s"},
                             {"intrusion_wall_off_s", "intrusion_cpu_off_s"}};
  for (int which = 0; which < 2; ++which) {
    if (wall_s_[which] <= 0) continue;
    session_.add(Total{"prony", names[which][0], wall_s_[which], "monotonic clock, while requests ran"});
    session_.add(Total{"prony", names[which][1], cpu_s_[which], "Prony's own process clock, while requests ran"});
  }
}

}  // namespace prony::app
