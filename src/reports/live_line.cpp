#include "reports/live_line.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony {

std::string live_line(const LiveStatus& status, std::size_t width) {
  constexpr std::size_t bar_cells = 10;
  std::vector<std::string> items;
  if (status.total > 0) {
    const std::size_t done = std::min(status.done, status.total);
    const std::string full = layout::bar(static_cast<double>(done) / static_cast<double>(status.total), bar_cells);
    const std::string rest(bar_cells - std::min(bar_cells, display_width(full)), ' ');
    items.push_back(std::to_string(done) + "/" + std::to_string(status.total) + " ▕" + full + rest + "▏");
  }
  const bool under_way = status.done > 0 && status.done < status.total;
  if (!status.note.empty() && !under_way) items.push_back(printable(status.note, 30));
  if (under_way) {
    const auto done = static_cast<double>(status.done);
    const double left = status.elapsed_s / done * static_cast<double>(status.total - status.done);
    items.push_back("about " + figures::clock(left) + " left");
  } else if (status.total == 0 || status.done == 0) {
    items.push_back(figures::clock(status.elapsed_s));
  }
  if (status.tokens_per_s > 0) items.push_back(figures::significant(status.tokens_per_s, 3) + " tok/s");
  if (status.power_w)
    items.push_back(figures::watts(*status.power_w) + std::string(figures::sign(status.power_mark)) +
                    (status.simulated ? " simulated" : ""));
  if (!status.note.empty() && under_way) items.push_back(printable(status.note, 30));
  std::string line;
  for (const std::string& item : items) {
    const std::string next = line.empty() ? item : line + " · " + item;
    if (display_width(next) + 1 > width) break;  // the last column stays free: some terminals wrap there
    line = next;
  }
  return line;
}

}  // namespace prony
