// `prony import --from FORMAT FILE -o OUT.prony`: what another tool recorded, as a Run: for show, compare and export.
// What is known to be wrong in such files is corrected, and said.
#include "app/import.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "app/common.hpp"
#include "app/thesis_folder.hpp"
#include "base/text.hpp"
#include "exchange/readers.hpp"
#include "store/recorder.hpp"

namespace prony::app {

namespace {

constexpr std::size_t most_bytes = std::size_t{512} << 20;

struct ImportWords {
  std::string from, file, out;
  exchange::ReadOptions reading;
  bool force = false;
};

Result<void> record_imported(const exchange::Imported& imported, Recorder& recorder) {
  const std::vector<Group> groups =
      imported.channels.empty() ? std::vector<Group>{} : std::vector<Group>{imported.group};
  if (auto begun = recorder.begin(imported.manifest, imported.channels, groups, imported.anchor); !begun) return begun;
  if (!imported.channels.empty())
    if (auto added = recorder.append(imported.ticks); !added) return added;
  for (const Span& span : imported.spans)
    if (auto added = recorder.add_span(span); !added) return added;
  for (const std::string& note : imported.notes)
    if (auto added = recorder.add_event({imported.anchor.monotonic, "note", "import", note}); !added) return added;
  if (!imported.spans.empty()) {
    const double seconds = imported.spans.front().interval.length().seconds().value();
    if (auto added = recorder.add_total({"target", "wall_s", seconds, "imported"}); !added) return added;
  }
  return recorder.close(RunState::complete);
}

// "file: what", where the reader only knows the place within it.
Error in_file(Error error, const std::string& file) {
  error.where = error.where.empty() ? file : error.where.starts_with("--") ? error.where : file + ", " + error.where;
  return error;
}

// Of a folder what that tool writes into one.
Result<std::string> imported_bytes(const ImportWords& words, std::vector<std::string>& notes) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(words.file, ignored)) return read_whole_file(words.file, most_bytes);
  if (words.from == "llm-thesis") return read_thesis_folder(words.file, notes);
  if (words.from == "llenergymeasure")
    return read_whole_file((std::filesystem::path(words.file) / "result.json").string(), most_bytes);
  return fail(ErrorCode::usage, "it is a folder", words.file, "Name the file in it.");
}

int import_file(const ImportWords& words) {
  const auto reader = exchange::find_reader(words.from);
  if (!reader) return failed(reader.error());
  std::vector<std::string> notes;
  const auto bytes = imported_bytes(words, notes);
  if (!bytes) return failed(bytes.error());
  if (bytes->starts_with("PAR1"))
    return failed({ErrorCode::usage, "this is a Parquet file, which Prony does not read", words.file,
                   "Of LLenergyMeasure name the result.json beside it: totals, times and joules are in there. The "
                   "series itself by Python:  pandas.read_parquet(…)"});
  auto imported = (*reader)->read(*bytes, words.reading);
  if (!imported) return failed(in_file(imported.error(), words.file));
  imported->notes.insert(imported->notes.begin(), notes.begin(), notes.end());
  imported->manifest.set("run.kind", "llm", "prony");
  imported->manifest.set("run.command", "prony import --from " + words.from + " " + words.file, "prony");
  imported->manifest.set("import.format", words.from, "prony");
  imported->manifest.set("import.file", words.file, "prony");
  imported->manifest.set("import.as_written", words.reading.as_written ? "yes" : "no", "prony");
  imported->manifest.set("prony.version", PRONY_VERSION, "prony");
  if (imported->anchor.wall_ns > 0)
    imported->manifest.set("run.started_utc", format_utc(imported->anchor.wall_ns), "imported");
  std::filesystem::path out = words.out;
  auto recorder = Recorder::create(out, {.if_exists = words.force ? IfExists::replace : IfExists::refuse});
  if (!recorder) return failed(recorder.error());
  if (auto written = record_imported(*imported, **recorder); !written) {
    std::error_code ignored;
    recorder->reset();
    std::filesystem::remove(out, ignored);
    return failed(written.error());
  }
  for (const std::string& note : imported->notes) print_note(printable(note, 500));
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_import(CLI::App& command) {
  auto words = std::make_shared<ImportWords>();
  command.add_option("FILE", words->file, "What the other tool wrote")->required();
  command
      .add_option(
          "--from", words->from,
          "aiperf, vllm, guidellm, llama-bench,\nllenergymeasure, llm-thesis, monitorsystem,\nmonitorsystem-csv, "
          "aipowermeter")
      ->required()
      ->type_name("FORMAT");
  command.add_option("-o,--out", words->out, "The new Run")->required()->type_name("PATH");
  command.add_option("--select", words->reading.select, "Which run of a file that holds several")->type_name("ID");
  command.add_flag("--as-written", words->reading.as_written,
                   "Correct nothing; what is known to be wrong is still said");
  command.add_flag("--force", words->force, "Overwrite OUT if it exists");
  return [words](const CommandWords&) { return import_file(*words); };
}

}  // namespace prony::app
