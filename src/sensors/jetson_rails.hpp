// The power rails of NVIDIA's Jetson modules, by the labels of their device trees: which rail holds which, and which of
// them together are the module. Data, not code: a table with the document behind each row. A board that is not in it
// keeps its labels, and nobody claims to know what is the whole.
// Units: none. Thread promise: pure functions of a Machine. Sources: in the table (jetson_rails.cpp).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "model/channel.hpp"

namespace prony {

struct JetsonRail {
  std::string_view label;
  std::string_view inside;  // the rail that feeds it, where that is measured too; "": none
};

struct JetsonBoard {
  std::string_view name;              // "Jetson AGX Orin"
  std::string_view ids;               // part numbers in the device tree's `compatible`, between spaces
  std::string_view models;            // texts in the device tree's `model`, between '|': where `compatible` is silent
  std::span<const JetsonRail> rails;  // all that are known by label
  std::span<const std::string_view> wholes;  // "A+B": rails that together are the whole; the first that is all there
  std::string_view covers;                   // what that whole is, in words
  std::string_view source;
};

[[nodiscard]] std::span<const JetsonBoard> jetson_boards() noexcept;

// True: a Tegra by its device tree, whatever board it is.
[[nodiscard]] bool is_jetson(Machine& machine);
// Null: no Jetson, or none that is in the table.
[[nodiscard]] const JetsonBoard* jetson_board(Machine& machine);

// A rail that was found: its label, and the index of its channel.
struct FoundRail {
  std::string label;
  std::size_t channel = 0;
};

// Sets part_of and coverage_known of the rails' channels as the board's row says. What together is the whole gets known
// coverage and is part of nothing; what lies in it is part of it; a label that is not in the row stays as it is.
// Returned: the labels of the whole, "VDD_IN" or "GPU+CPU+…"; empty: not all of it is measured here, so nothing is.
std::string arrange_rails(const JetsonBoard& board, std::span<const FoundRail> rails, std::vector<Channel>& channels);

// The notes on rails that are left for people: a board that is not in the table, a whole that is not complete.
// nullopt: nothing to say.
[[nodiscard]] std::optional<std::string> rails_note(Machine& machine, std::span<const FoundRail> rails,
                                                    const std::string& whole);

}  // namespace prony
