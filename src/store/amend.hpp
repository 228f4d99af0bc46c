// amend_run(): a Run's file gets channels that were recorded elsewhere at the same time: a meter's log. The file is one
// that the caller made (a copy): what was recorded before stays as it is. Thread promise: any; nobody else may write
// the file. Errors: those of opening and writing the file; usage (a channel of that name is there).
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/sample.hpp"

namespace prony {

struct Amendment {
  std::vector<Channel> channels;  // numbered after those of the Run
  Group group;                    // of them all
  std::span<const TickBlock> blocks;
  std::vector<Fact> facts;
  // Channels of the Run that turned out to lie in one of the new ones.
  std::vector<std::pair<ChannelId, ChannelId>> part_of;
};
[[nodiscard]] Result<void> amend_run(const std::filesystem::path& path, const Amendment& amendment);

}  // namespace prony
