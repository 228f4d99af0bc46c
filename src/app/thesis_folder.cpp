#include "app/thesis_folder.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/write_file.hpp"
#include "base/text.hpp"
#include "exchange/readers.hpp"

namespace prony::app {

namespace {

using Aggregate = nlohmann::ordered_json;

constexpr std::size_t most_raw_files = 10'000, longest_raw_file = std::size_t{64} << 20;
constexpr std::size_t longest_aggregate = std::size_t{512} << 20;
constexpr const char* aggregate_name = "text_generation_results.json";
constexpr const char* table_name = "text_generation_results.csv";

std::string padded_id(std::uint64_t number) {
  const std::string text = std::to_string(number);
  return text.size() < 4 ? std::string(4 - text.size(), '0') + text : text;
}

std::uint64_t highest_id(const std::filesystem::path& raw_results) {
  std::uint64_t highest = 0;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(raw_results, failed))
    highest = std::max(highest, parse_u64(entry.path().filename().string()).value_or(0));
  return highest;
}

Error not_one_of_these(const std::filesystem::path& file) {
  return {ErrorCode::usage, "what is there already is none of the thesis's files", file.string(),
          "Name another folder with --out; nothing of this one was changed."};
}

// Written beside it first, so that what was there is there until the new one is whole.
Result<void> replace_file(const std::filesystem::path& file, const std::string& text) {
  const std::string fresh = file.string() + ".new";
  if (auto written = write_file(fresh, text); !written) return written;
  std::error_code failed;
  std::filesystem::rename(fresh, file, failed);
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), file.string(), "cannot put it in its place"));
  return {};
}

// The list with one entry more, under this id.
Result<std::string> aggregate_with(const std::filesystem::path& file, const std::string& one, const std::string& id) {
  Aggregate all = Aggregate::array();
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    const auto before = read_whole_file(file.string(), longest_aggregate);
    if (!before) return Unexpected<Error>(before.error());
    all = Aggregate::parse(*before, nullptr, false);
    if (!all.is_array()) return Unexpected<Error>(not_one_of_these(file));
  }
  Aggregate entry = Aggregate::parse(one, nullptr, false).at(0).begin().value();
  entry["setup"]["experiment_id"] = id;
  entry["results"]["global_energy_metrics"]["experiment_id"] = id;
  all.push_back(Aggregate::object());
  all.back()["CONFIGURATION_RUN_#" + id] = std::move(entry);
  return all.dump(4, ' ', false, Aggregate::error_handler_t::replace) + "\n";
}

// The table with one row more; the id is its first cell.
Result<std::string> table_with(const std::filesystem::path& file, const std::string& one, const std::string& id) {
  const std::size_t end = one.find('\n');
  const std::string head = one.substr(0, end + 1);
  const std::string rest = one.substr(end + 1);
  const std::string row = id + rest.substr(std::min(rest.find(','), rest.size()));
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return head + row;
  const auto before = read_whole_file(file.string(), longest_aggregate);
  if (!before) return Unexpected<Error>(before.error());
  if (!before->starts_with(head) || !before->ends_with("\n")) return Unexpected<Error>(not_one_of_these(file));
  return *before + row;
}

}  // namespace

Result<std::string> read_thesis_folder(const std::filesystem::path& folder, std::vector<std::string>& notes) {
  std::vector<exchange::RawFile> files;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() != ".json" || !at->is_regular_file(failed)) continue;
    if (files.size() == most_raw_files)
      return fail(ErrorCode::full, "more than " + std::to_string(most_raw_files) + " files", folder.string(),
                  "Name the folder of one run:  raw_results/0042");
    auto bytes = read_whole_file(at->path().string(), longest_raw_file);
    if (!bytes) return Unexpected<Error>(bytes.error());
    files.push_back({at->path().filename().string(), std::move(*bytes)});
  }
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), folder.string(), "cannot read the folder"));
  std::ranges::sort(files, {}, &exchange::RawFile::name);  // which of two comes first is not the disk's to say
  return exchange::thesis_of_raw_files(files, notes);
}

Result<std::string> write_thesis_folder(const std::filesystem::path& folder, const Summary& summary,
                                        exchange::WallOffset wall) {
  const std::filesystem::path raw = folder / "raw_results";
  const std::string id = padded_id(highest_id(raw) + 1);
  const auto one = exchange::write_thesis(summary, wall), row = exchange::write_thesis_csv(summary, wall);
  const auto files = exchange::thesis_raw_files(summary, wall, id);
  if (!one) return Unexpected<Error>(one.error());
  if (!row) return Unexpected<Error>(row.error());
  if (!files) return Unexpected<Error>(files.error());
  // Both are made before anything is written.
  const auto aggregate = aggregate_with(folder / aggregate_name, *one, id);
  if (!aggregate) return Unexpected<Error>(aggregate.error());
  const auto table = table_with(folder / table_name, *row, id);
  if (!table) return Unexpected<Error>(table.error());
  std::error_code failed;
  std::filesystem::create_directories(raw, failed);
  if (!failed && !std::filesystem::create_directory(raw / id, failed) && !failed)
    return fail(ErrorCode::usage, "another program wrote there meanwhile", (raw / id).string(), "Once more, then.");
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), raw.string(), "cannot make the folder"));
  for (const exchange::RawFile& file : *files)
    if (auto written = write_file((raw / id / file.name).string(), file.bytes); !written)
      return Unexpected<Error>(written.error());
  if (auto written = replace_file(folder / aggregate_name, *aggregate); !written)
    return Unexpected<Error>(written.error());
  if (auto written = replace_file(folder / table_name, *table); !written) return Unexpected<Error>(written.error());
  return id;
}

}  // namespace prony::app
