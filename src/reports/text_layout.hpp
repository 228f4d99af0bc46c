// Layout of terminal text: tables that fit a width, labelled lines that wrap between items, bars. Widths are columns of
// a terminal, not bytes. Pure; one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace prony::layout {

enum class Tone { plain, strong, dim, warning };
// The text in a tone; without colour, the text.
[[nodiscard]] std::string paint(std::string_view text, Tone tone, bool colour);

struct TableColumn {
  std::string header;
  bool right = true;
  int priority = 0;       // 0 stays; of the others the largest is left out first where the width does not suffice
  std::size_t least = 0;  // not 0: may shrink to this width, its text cut
};

struct TextTable {
  std::vector<TableColumn> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<Tone> tones;  // per row; missing: plain
  // Lines, each at most `width` columns and ending with "\n". What was left out is added to `left_out` by its header.
  // A column whose cells are all empty is not shown.
  [[nodiscard]] std::string render(std::size_t width, bool colour, std::vector<std::string>& left_out) const;
};

// " label         item · item · item", wrapped between items; "" if there are no items.
[[nodiscard]] std::string labelled(std::string_view label, const std::vector<std::string>& items, std::size_t width,
                                   Tone tone, bool colour);
// Items joined by " · ", wrapped at `width`, following lines indented.
[[nodiscard]] std::string joined(const std::vector<std::string>& items, std::size_t width, std::size_t indent);
// `share` (0…1) of `cells` columns, in eighths of a block.
[[nodiscard]] std::string bar(double share, std::size_t cells);

}  // namespace prony::layout
