#include "reports/target_tables.hpp"

#include "reports/cells.hpp"
#include "reports/rows_table.hpp"

namespace prony {

namespace {

void add_estimate_cells(std::vector<Cell>& row, const std::optional<Estimate>& e) {
  row.push_back(e ? Cell{e->value} : Cell{});
  row.push_back(e ? Cell{e->low} : Cell{});
  row.push_back(e ? Cell{e->high} : Cell{});
  row.push_back(e ? Cell{std::string(to_string(e->kind))} : Cell{});
}

}  // namespace

std::unique_ptr<Table> targets_table(const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"party", "target, foreign, prony, idle, unattributed; gross is their sum"},
                   {"target", ""},
                   {"selector", ""},
                   {"processes", ""},
                   {"cpu_s", ""},
                   {"rss_peak_bytes", ""},
                   {"charged_j", "over the headline channels that could be split"},
                   {"low_j", ""},
                   {"high_j", ""},
                   {"kind", "what low and high promise"},
                   {"active_j", "of it, above idle; empty without a baseline"},
                   {"share", "of what the targets, foreign and Prony were charged"},
                   {"mean_w", ""}};
  for (const TargetRow& row : summary.targets) {
    std::vector<Cell> cells;
    cells.push_back(text_cell("target"));
    cells.push_back(text_cell(row.target.name));
    cells.push_back(text_cell(row.target.selector));
    cells.push_back(maybe(row.processes));
    cells.push_back(maybe(row.cpu_s));
    cells.push_back(maybe(row.rss_peak_bytes));
    add_estimate_cells(cells, row.charged);
    cells.push_back(row.active ? Cell{row.active->value} : Cell{});
    cells.push_back(maybe(row.share));
    cells.push_back(maybe(row.mean_w));
    table->rows.push_back(std::move(cells));
  }
  const auto party = [&](const char* name, const std::optional<Estimate>& joules) {
    if (!joules) return;
    std::vector<Cell> cells(6);
    cells[0] = text_cell(name);
    add_estimate_cells(cells, joules);
    cells.resize(table->header.size());
    table->rows.push_back(std::move(cells));
  };
  party("foreign", summary.split.foreign);
  party("prony", summary.split.prony);
  party("idle", summary.split.idle);
  party("unattributed", summary.split.unattributed);
  party("gross", summary.split.gross);
  return table;
}

std::unique_ptr<Table> processes_table(const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"pid", ""},
                   {"start_ticks", "with the pid, the identity; empty: it ended before anybody looked"},
                   {"name", ""},
                   {"target", "empty: others"},
                   {"cpu_s", ""},
                   {"charged_j", "part of its target's charge, or of foreign's"},
                   {"low_j", ""},
                   {"high_j", ""},
                   {"kind", "what low and high promise"}};
  for (const ProcessRow& row : summary.processes) {
    std::vector<Cell> cells;
    cells.emplace_back(row.process.pid);
    if (row.process.start_ticks)
      cells.emplace_back(static_cast<std::int64_t>(*row.process.start_ticks));
    else
      cells.emplace_back();
    cells.push_back(text_cell(row.process.name));
    cells.push_back(text_cell(row.process.target));
    cells.emplace_back(row.cpu_s);
    add_estimate_cells(cells, row.charged);
    table->rows.push_back(std::move(cells));
  }
  for (const UnseenRow& row : summary.unseen) {
    std::vector<Cell> cells(5);
    cells[2] = text_cell("not seen one by one");
    cells[3] = text_cell(row.target);
    add_estimate_cells(cells, row.charged);
    table->rows.push_back(std::move(cells));
  }
  return table;
}

}  // namespace prony
