// A row a run. Names are those of the aggregate's keys joined with "_", in any order (the thesis's own came out of a
// set) and in two forms: as they were written ("raw_inference_metrics_total_input_tokens",
// "local_process_results_gpu_energy_process_0") and cut down by its cleaner ("total_input_tokens",
// "gpu_energy_process_0"). So a column is known by how its name ends. What is not known is "NA". The reader of the
// aggregate does the rest: each process ran all prompts and metered the whole node here as there.
#include "exchange/thesis_table.hpp"

#include <array>
#include <set>

#include "base/text.hpp"
#include "exchange/csv_table.hpp"

namespace prony::exchange {

namespace {

constexpr std::string_view time_column = "total_inference_time_sec";

bool is_known(const std::string& cell) {
  constexpr std::array<std::string_view, 7> unknown{"", "NA", "N/A", "nan", "NaN", "None", "null"};
  for (const std::string_view word : unknown)
    if (cell == word) return false;
  return true;
}

bool ends_as(std::string_view column, std::string_view name) {
  return column == name || (column.ends_with(name) && column[column.size() - name.size() - 1] == '_');
}

// The column of that name, else the shortest that ends so; nullptr: none.
const std::pair<const std::string, std::size_t>* column_of(const CsvTable& table, std::string_view name) {
  const std::pair<const std::string, std::size_t>* found = nullptr;
  for (const auto& column : table.columns)
    if (ends_as(column.first, name) && (found == nullptr || column.first.size() < found->first.size())) found = &column;
  return found;
}

void put_number(Found& into, const char* key, const CsvTable& table, const Cells& row) {
  const auto* column = column_of(table, key);
  if (column == nullptr) return;
  const std::string& cell = row[column->second];
  if (const auto whole = parse_i64(cell))
    into[key] = *whole;
  else if (const auto value = parse_finite(cell))
    into[key] = *value;
}

// `names`: of which the first that is there and known is taken; whole names, for "gpu_model" ends like "model".
void put_text(Found& into, const char* key, const CsvTable& table, const Cells& row,
              std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (std::string cell = table.cell(row, name); is_known(cell)) {
      into[key] = std::move(cell);
      return;
    }
}

// "…gpu_energy_process_3" → "process_3" of `metric`; "": another column.
std::string process_of(std::string_view column, std::string_view metric) {
  const std::size_t at = column.rfind("_process_");
  if (at == std::string_view::npos || !ends_as(column.substr(0, at), metric)) return {};
  const auto number = parse_u64(column.substr(at + 9));
  return number && *number < 4096 ? "process_" + std::to_string(*number) : std::string();
}

struct TableMetric {
  const char* by_process;
  const char* of_all;  // the sum over processes
};
constexpr std::array<TableMetric, 4> table_metrics{{{"gpu_energy", "gpu_energy_total"},
                                                    {"cpu_energy", "cpu_energy_total"},
                                                    {"ram_energy", "ram_energy_total"},
                                                    {"total_energy_joules", "total_energy_joules"}}};

// Where only sums over the processes are left, each process is taken to have said the same: they agree within 2 %.
Found from_sums(const CsvTable& table, const Cells& row) {
  Found out = Found::object();
  const auto* count = column_of(table, "num_processes");
  const auto processes = count == nullptr ? std::nullopt : parse_i64(row[count->second]);
  if (!processes || *processes < 1 || *processes > 4096) return out;
  for (const TableMetric& metric : table_metrics) {
    const auto* column = column_of(table, metric.of_all);
    const auto sum = column == nullptr ? std::nullopt : parse_finite(row[column->second]);
    if (!sum) continue;
    for (std::int64_t i = 0; i < *processes; ++i)
      out[metric.by_process]["process_" + std::to_string(i)] = *sum / static_cast<double>(*processes);
  }
  return out;
}

Found ranks_of(const CsvTable& table, const Cells& row, bool& summed) {
  Found out = Found::object();
  for (const auto& [column, at] : table.columns) {
    if (column.find("_process_") == std::string::npos) continue;
    const auto value = parse_finite(row[at]);
    if (!value) continue;
    for (const TableMetric& metric : table_metrics)
      if (const std::string process = process_of(column, metric.by_process); !process.empty())
        out[metric.by_process][process] = *value;
  }
  summed = out.empty();
  return summed ? from_sums(table, row) : out;
}

Found entry_of(const CsvTable& table, const Cells& row, bool& summed) {
  Found setup = Found::object(), variables = Found::object(), raw = Found::object(), taken = Found::object();
  put_text(setup, "model", table, row, {"model", "setup_model"});
  put_text(setup, "cpu_model", table, row, {"cpu_model", "setup_cpu_model"});
  put_text(setup, "gpu_model", table, row, {"gpu_model", "setup_gpu_model"});
  put_text(setup, "date_time", table, row, {"date_time", "setup_date_time"});
  put_text(variables, "config_name", table, row, {"config_name", "variables_config_name"});
  put_text(variables, "backend", table, row, {"backend", "variables_backend"});
  put_number(raw, "total_input_tokens", table, row);
  put_number(raw, "total_generated_tokens", table, row);
  put_number(taken, "total_inference_time_sec", table, row);
  Found energy = Found::object();
  energy["local_process_results"] = ranks_of(table, row, summed);
  Found inference = Found::object();
  inference["raw_inference_metrics"] = std::move(raw);
  inference["inference_performance"] = std::move(taken);
  Found results = Found::object();
  results["inference_metrics"] = std::move(inference);
  results["global_energy_metrics"] = std::move(energy);
  Found entry = Found::object();
  entry["setup"] = std::move(setup);
  entry["variables"] = std::move(variables);
  entry["results"] = std::move(results);
  return entry;
}

}  // namespace

bool is_thesis_table(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, bytes.find('\n'));
  return head.find(time_column) != std::string_view::npos && head.find(',') != std::string_view::npos &&
         head.find('{') == std::string_view::npos;
}

Result<Found> thesis_of_table(std::string_view bytes, std::vector<std::string>& notes) {
  const auto table = csv_of(bytes, notes);
  if (!table) return Unexpected<Error>(table.error());
  const auto* ids = column_of(*table, "experiment_id");
  Found all = Found::array();
  std::set<std::string> seen;
  std::size_t doubled = 0, unnamed = 0, summed_rows = 0;
  for (std::size_t i = 0; i < table->rows.size(); ++i) {
    const Cells& row = table->rows[i];
    std::string id = ids == nullptr ? std::string() : row[ids->second];
    if (!is_known(id)) {
      id = "line-" + std::to_string(table->lines[i]);
      ++unnamed;
    } else if (!seen.insert(id).second) {
      id += "-line-" + std::to_string(table->lines[i]);
      ++doubled;
    }
    bool summed = false;
    Found entry = entry_of(*table, row, summed);
    summed_rows += summed ? 1 : 0;
    all.push_back(Found::object());
    all.back()["CONFIGURATION_RUN_#" + id] = std::move(entry);
  }
  if (unnamed > 0) notes.push_back(std::to_string(unnamed) + " rows have no experiment_id: they are line-N here");
  if (doubled > 0)
    notes.push_back(std::to_string(doubled) +
                    " rows have an experiment_id that was there already: they are ID-line-N here");
  if (summed_rows > 0)
    notes.push_back(std::to_string(summed_rows) +
                    " rows tell no joules by process: sums over processes are taken as equal parts");
  return all;
}

}  // namespace prony::exchange
