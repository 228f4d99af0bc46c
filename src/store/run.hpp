// Run: what was recorded, opened for reading. Everything Prony prints is computed from this and nothing else.
// Opening a Run whose recorder died recovers what is left in its span file and marks it interrupted (in memory where
// the file cannot be written). Thread promise: one thread at a time. Samples are streamed by block, never loaded whole.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "model/process_use.hpp"
#include "model/sample.hpp"
#include "model/span.hpp"
#include "model/target.hpp"

namespace prony {

class Run {
 public:
  // Errors: absent, denied, malformed (not a Run, or a newer schema), with what to do.
  [[nodiscard]] static Result<std::unique_ptr<Run>> open(const std::filesystem::path& path);
  virtual ~Run() = default;

  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;
  [[nodiscard]] virtual RunState state() const noexcept = 0;
  [[nodiscard]] virtual const Manifest& manifest() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<Channel>& channels() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<Group>& groups() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<Anchor>& anchors() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<Event>& events() const noexcept = 0;
  // In the order in which processes are asked for. Empty: the command's tree is all that was followed.
  [[nodiscard]] virtual const std::vector<Target>& targets() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<ProcessRecord>& processes() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<Total>& totals() const noexcept = 0;
  // What was known of the channels, one per channel at most, in the order of channels().
  [[nodiscard]] virtual const std::vector<ChannelPassport>& passports() const noexcept = 0;
  // All spans, ordered by begin; a span without an end is `unfinished` and ends with the last thing that was recorded.
  [[nodiscard]] virtual const std::vector<Span>& spans() const noexcept = 0;
  // Spans that the rings dropped, and slots found half written.
  [[nodiscard]] virtual std::uint64_t spans_lost() const noexcept = 0;

  // Blocks of one group in time order; return false from `visit` to stop. Whole blocks before `from` are not even
  // decoded; the first block may begin before it.
  [[nodiscard]] virtual Result<void> for_each_block(GroupId group, const std::function<bool(const TickBlock&)>& visit,
                                                    Instant from = of_all) const = 0;
  static constexpr Instant of_all{std::numeric_limits<std::int64_t>::min()};

  // Looks at single processes in time order; none where they were not followed one by one. Errors: malformed where some
  // of them cannot be read (after all others were visited).
  [[nodiscard]] virtual Result<void> for_each_look(const std::function<bool(const ProcessLook&)>& visit) const = 0;
};

}  // namespace prony
