#include "study/llenergymeasure.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "study/llenergymeasure_keys.hpp"

namespace prony::study {

namespace {

using Kinds = Value::Kind;
using llem::How;
using llem::Row;

const Row* their_row(std::string_view path) {
  const auto exact = std::ranges::find(llem::rows, path, &Row::path);
  if (exact != llem::rows.end()) return &*exact;
  const auto below = std::ranges::find_if(llem::rows, [&](const Row& row) {
    return row.path.ends_with(".*") && (path.starts_with(row.path.substr(0, row.path.size() - 1)) ||
                                        path == row.path.substr(0, row.path.size() - 2));
  });
  return below == llem::rows.end() ? nullptr : &*below;
}

// A text as TOML has it between double quotes.
std::string quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (byte < 0x20 || byte == 0x7f)
      out += std::string("\\u00") + digits[byte >> 4U] + digits[byte & 15U];
    else
      out += c;
  }
  return out + "\"";
}

std::string literal(const Value& value) {
  if (value.is(Kinds::text)) return quoted(value.text);
  return word_of(value);
}

std::optional<std::string> one_of(const std::string& word,
                                  std::initializer_list<std::pair<std::string_view, std::string_view>> names) {
  for (const auto& [theirs, ours] : names)
    if (word == theirs) return quoted(ours);
  return std::nullopt;
}

std::optional<std::string> number_with(const Value& value, const char* unit) {
  if (!value.is(Kinds::integer) && !value.is(Kinds::real)) return std::nullopt;
  return quoted(word_of(value) + unit);
}

// What is given up is "": the program's own, which is what is there when nothing is said.
std::optional<std::string> converted(How how, const Value& value) {
  const std::string word = word_of(value);
  switch (how) {
    case How::same: return value.scalar() ? std::optional(literal(value)) : std::nullopt;
    case How::engine:
      return one_of(word, {{"transformers", "transformers"},
                           {"pytorch", "transformers"},
                           {"vllm", "openai"},
                           {"tensorrt", "openai"},
                           {"tensorRT", "openai"}});
    case How::fixed_batch: return value.is(Kinds::integer) ? std::optional(quoted("static:" + word)) : std::nullopt;
    case How::dtype:
      return one_of(word.starts_with("torch.") ? word.substr(6) : word,
                    {{"float32", "float32"}, {"float16", "float16"}, {"bfloat16", "bfloat16"}});
    case How::bits8:
      return value.is(Kinds::boolean) ? std::optional(value.boolean ? quoted("8bit") : "") : std::nullopt;
    case How::bits4:
      return value.is(Kinds::boolean) ? std::optional(value.boolean ? quoted("4bit") : "") : std::nullopt;
    case How::quant_type: return one_of(word, {{"nf4", "nf4"}, {"fp4", "4bit"}});
    case How::sampling:
      return value.is(Kinds::boolean) ? std::optional<std::string>(value.boolean ? "" : "0") : std::nullopt;
    case How::seconds: return number_with(value, "s");
    case How::hours: return number_with(value, "h");
    case How::run_order:
      return one_of(word, {{"sequential", "sequential"},
                           {"interleave", "interleave"},
                           {"shuffle", "shuffle"},
                           {"reverse", "reverse"},
                           {"latin_square", "counterbalanced"}});
    case How::prompt_order:
      return one_of(word, {{"interleaved", "as-is"}, {"grouped", "grouped"}, {"shuffled", "shuffled"}});
    case How::prompt_file: return word.ends_with(".jsonl") ? std::optional(quoted(word)) : std::nullopt;
    case How::days: {
      if (value.is(Kinds::text)) return quoted(word);
      std::string list;
      for (const Value& day : value.list) list += (list.empty() ? "" : ", ") + quoted(word_of(day));
      return value.is(Kinds::list) ? std::optional("[" + list + "]") : std::nullopt;
    }
    case How::preset:
    case How::left_out: return std::nullopt;
  }
  return std::nullopt;
}

using Lines = std::vector<std::pair<std::string, std::string>>;  // key and literal

void put(Lines& lines, const std::string& key, const std::string& text) {
  const auto at = std::ranges::find(lines, key, [](const auto& line) { return line.first; });
  if (at == lines.end())
    lines.emplace_back(key, text);
  else
    at->second = text;
}

class TakeOver {
 public:
  Result<TakenOver> take(const Value& file, const std::string& name);

 private:
  void keep(const std::string& path) { out_.kept.push_back(path); }
  void leave(const std::string& path, std::size_t line, std::string_view why) {
    out_.named.push_back(printable(path, 80) + (line > 0 ? " (line " + std::to_string(line) + "): " : ": ") +
                         std::string(why));
  }
  void leaf(const std::string& path, const Value& value, std::size_t line, Lines& lines);
  void table(const std::string& prefix, const Value& value, Lines& lines);
  void preset(const std::string& path, const Value& value, std::size_t line, Lines& lines);
  void sweep(const Value& value);
  void values_of(const std::string& path, const Entry& entry, Lines& lines);
  void group(const std::string& path, const Value& value);
  [[nodiscard]] std::string key_of(const Row& row) const;
  [[nodiscard]] std::string text(const std::string& name) const;

  TakenOver out_;
  bool engines_ = false;  // several are compared, so that keys say whose they are
  Lines base_, axes_;
  std::vector<Lines> experiments_;
};

// Its presets of sampling.
void TakeOver::preset(const std::string& path, const Value& value, std::size_t line, Lines& lines) {
  const std::string word = word_of(value);
  if (word == "deterministic" || word == "greedy")
    put(lines, "temperature", "0");
  else if (word == "standard")
    for (const auto& [key, text] : {std::pair{"temperature", "1.0"}, {"top-p", "0.95"}}) put(lines, key, text);
  else if (word == "creative")
    for (const auto& [key, text] : {std::pair{"temperature", "0.8"}, {"top-p", "0.9"}}) put(lines, key, text);
  else if (word == "factual")
    put(lines, "temperature", "0.3");
  else
    return leave(path, line, "no preset of this name is known");
  keep(path);
  if (word == "creative") leave(path, line, "its repetition penalty of 1.1 has no counterpart");
}

std::string TakeOver::key_of(const Row& row) const {
  constexpr std::string_view own = "transformers.";
  return std::string(!engines_ && row.key.starts_with(own) ? row.key.substr(own.size()) : row.key);
}

// Whether anything names another engine than transformers.
bool names_engines(const Value& file) {
  const auto other = [](const Value& table) {
    return std::ranges::any_of(table.table, [](const Entry& entry) {
      return entry.key == "engine" || entry.key.starts_with("vllm") || entry.key.starts_with("tensorrt");
    });
  };
  const Value* sweep = file.find("sweep");
  const Value* runs = file.find("experiments");
  return (sweep != nullptr && other(*sweep)) || file.find("vllm") != nullptr || file.find("tensorrt") != nullptr ||
         (runs != nullptr && std::ranges::any_of(runs->list, other));
}

std::string no_counterpart(const Row& row, const Value& value) {
  if (row.how == How::prompt_file)
    return "name the prompts' file:  prompts = \"…\"  (of AIEnergyScore with  prompts-format = \"aienergyscore\")";
  return "'" + printable(word_of(value), 60) + "' has no counterpart in  " + std::string(row.key);
}

void TakeOver::leaf(const std::string& path, const Value& value, std::size_t line, Lines& lines) {
  if (value.is(Kinds::null)) return keep(path);  // its program's own
  const Row* row = their_row(path);
  if (row == nullptr) return leave(path, line, "no key of its that is known here");
  if (row->how == How::left_out) return leave(path, line, row->key);
  if (row->how == How::preset) return preset(path, value, line, lines);
  const auto text = converted(row->how, value);
  if (!text) return leave(path, line, no_counterpart(*row, value));
  keep(path);
  if (!row->remark.empty()) leave(path, line, row->remark);
  if (row->how == How::engine && *text == quoted("openai")) leave(path, line, llem::a_server);
  if (row->how == How::quant_type) {  // says which 4 bits, not that it is 4
    const auto four = std::ranges::find(lines, key_of(*row), [](const auto& one) { return one.first; });
    if (four != lines.end() && four->second == quoted("4bit")) four->second = *text;
    return;
  }
  if (!text->empty()) put(lines, key_of(*row), *text);
}

// In two rounds: that it is 4 bits must be known before which.
void TakeOver::table(const std::string& prefix, const Value& value, Lines& lines) {
  const bool off =
      prefix == "traffic_simulation." && (value.find("enabled") == nullptr || !value.find("enabled")->boolean);
  if (off) return leave("traffic_simulation", value.line, "it is off");
  for (const bool types : {false, true})
    for (const Entry& entry : value.table) {
      const std::string path = prefix + entry.key;
      const bool inner = entry.value.is(Kinds::table);
      if (inner && !types) table(path + ".", entry.value, lines);
      if (!inner && path.ends_with("bnb_4bit_quant_type") == types) leaf(path, entry.value, entry.line, lines);
    }
}

// A list of values; those that have no counterpart are named.
void TakeOver::values_of(const std::string& path, const Entry& entry, Lines& lines) {
  const Row* row = their_row(entry.key);
  if (row == nullptr) return leave(path, entry.line, "no key of its that is known here");
  if (row->how == How::left_out) return leave(path, entry.line, row->key);
  std::string list, key = key_of(*row);
  for (const Value& item : entry.value.list) {
    auto text = item.is(Kinds::null) ? std::nullopt : converted(row->how, item);
    if (text && text->empty()) text = row->how == How::sampling ? std::nullopt : std::optional(quoted("none"));
    if (text)
      list += (list.empty() ? "" : ", ") + *text;
    else
      leave(path, entry.line, no_counterpart(*row, item));
  }
  if (list.empty()) return leave(path, entry.line, "none of its values has a counterpart");
  keep(path);
  put(lines, key, "[" + list + "]");
}

// What changes together: each alternative a table; lists inside are a grid of their own here as well.
void TakeOver::group(const std::string& path, const Value& value) {
  std::string list;
  for (const Value& item : value.list) {
    Value scalars;
    scalars.kind = Kinds::table;
    for (const Entry& entry : item.table)
      if (!entry.value.is(Kinds::list)) scalars.table.push_back(entry);
    Lines lines;
    table("", scalars, lines);
    for (const Entry& entry : item.table)
      if (entry.value.is(Kinds::list)) values_of("sweep." + path + "." + entry.key, entry, lines);
    std::string inner;
    for (const auto& [key, text] : lines) inner += (inner.empty() ? " " : ", ") + key + " = " + text;
    list += (list.empty() ? "\n  {" : ",\n  {") + inner + (inner.empty() ? "}" : " }");
  }
  keep("sweep." + path);
  put(axes_, quoted(path), "[" + list + ",\n]");
}

void TakeOver::sweep(const Value& value) {
  for (const Entry& entry : value.table) {
    if (entry.value.is(Kinds::table)) {  // keys of one engine
      for (const Entry& inner : entry.value.table)
        values_of("sweep." + entry.key + "." + inner.key, {entry.key + "." + inner.key, inner.value, inner.line},
                  axes_);
      continue;
    }
    const bool tables = !entry.value.list.empty() &&
                        std::ranges::all_of(entry.value.list, [](const Value& item) { return item.is(Kinds::table); });
    if (tables)
      group(entry.key, entry.value);
    else
      values_of("sweep." + entry.key, entry, axes_);
  }
}

std::string TakeOver::text(const std::string& name) const {
  std::string out =
      "# From " + printable(name, 80) + ", a configuration of LLenergyMeasure (" + out_.generation + ").\n";
  if (!out_.named.empty()) out += "# Not taken over, or not just as it was:\n";
  for (const std::string& line : out_.named) out += "#   " + line + "\n";
  const auto section = [&](const std::string& head, std::string_view prefix, const Lines& lines) {
    std::string body;
    for (const auto& [key, value] : lines) {
      const bool special = key.starts_with("study.") || key.starts_with("schedule.");
      if (prefix.empty() ? !special : key.starts_with(prefix)) body += key.substr(prefix.size()) + " = " + value + "\n";
    }
    if (!body.empty()) out += "\n[" + head + "]\n" + body;
  };
  section("study", "study.", base_);
  section("schedule", "schedule.", base_);
  section("base", "", base_);
  section("sweep", "", axes_);
  for (const Lines& one : experiments_) section("[experiments]", "", one);
  return out;
}

Result<TakenOver> TakeOver::take(const Value& file, const std::string& name) {
  const bool llem =
      file.find("task") != nullptr || file.find("sweep") != nullptr || file.find("experiments") != nullptr;
  const bool thesis = file.find("batching_options") != nullptr || file.find("decoder_config") != nullptr;
  if (!llem && !thesis && file.find("model_name") == nullptr)
    return fail(ErrorCode::malformed, "this is no configuration of LLenergyMeasure", name,
                "It has neither  task:  nor  model_name .");
  engines_ = names_engines(file);
  out_.generation = llem ? "llem" : thesis ? "thesis" : "lem";
  for (const Entry& entry : file.table) {
    Value one;
    one.kind = Kinds::table;
    one.table.push_back(entry);
    if (llem && entry.key == "sweep")
      sweep(entry.value);
    else if (llem && entry.key == "experiments")
      for (const Value& item : entry.value.list) table("", item, experiments_.emplace_back());
    else
      table("", one, base_);
  }
  const bool engine = std::ranges::any_of(base_, [](const auto& line) { return line.first == "engine"; }) ||
                      std::ranges::any_of(axes_, [](const auto& line) { return line.first == "engine"; });
  if (!engine) put(base_, "engine", quoted("transformers"));  // its only one, or its own default
  out_.toml = text(name);
  if (auto good = read_toml(out_.toml, name); !good)  // a name that TOML has twice, bytes that are no UTF-8
    return fail(ErrorCode::malformed, "it cannot be said as a study: " + good.error().what, name);
  return std::move(out_);
}

}  // namespace

Result<TakenOver> from_llenergymeasure(const Value& file, const std::string& name) {
  return TakeOver().take(file, name);
}

}  // namespace prony::study
