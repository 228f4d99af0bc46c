// `prony quality RUN…`: whether the answers that a Run kept do what they were told (IFEval's instructions), beside what
// they cost. The answers may come from a file, too.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/common.hpp"
#include "app/perplexity.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "quality/ifeval.hpp"
#include "store/run.hpp"
#include "workloads/prompts.hpp"

namespace prony::app {

namespace {

using nlohmann::ordered_json;

constexpr std::size_t most_answers_bytes = std::size_t{1} << 29;

struct QualityOptions {
  std::vector<std::string> runs;
  std::string answers, prompts;
  bool json = false;
  PerplexityOptions corpus;
};

struct Answer {
  std::string id, prompt, text, instructions;
  std::string missing;     // why there is no text; empty: there is one
  std::string where = {};  // its line in a file
};

// What the file of prompts says that an answer is judged by, by id and by the prompt itself.
struct Wanted {
  std::vector<Prompt> prompts;
  std::map<std::string, std::size_t> by_id, by_prompt;
};

Result<Wanted> wanted_from(const std::string& path) {
  Wanted wanted;
  if (path.empty()) return wanted;
  auto set = load_prompts(path);
  if (!set) return Unexpected<Error>(set.error());
  wanted.prompts = std::move(set->prompts);
  for (std::size_t i = 0; i < wanted.prompts.size(); ++i) {
    wanted.by_id.emplace(wanted.prompts[i].id, i);
    wanted.by_prompt.emplace(wanted.prompts[i].text, i);
  }
  if (std::ranges::all_of(wanted.prompts, [](const Prompt& prompt) { return prompt.instructions.empty(); }))
    return fail(ErrorCode::usage, "this file has no instructions", path,
                "IFEval's records have \"key\", \"prompt\", \"instruction_id_list\" and \"kwargs\"");
  return wanted;
}

// "sky#2" is the second round of "sky"; of several models "m.gguf/sky".
std::string plain_id(const std::string& id) {
  std::string plain = id.substr(0, id.find('#'));
  if (const std::size_t slash = plain.rfind('/'); slash != std::string::npos) plain.erase(0, slash + 1);
  return plain;
}

// Which of the prompts it answers; nullopt: none of them.
std::optional<std::size_t> prompt_of(const Answer& answer, const Wanted& wanted) {
  for (const std::string& id : {answer.id, plain_id(answer.id)})
    if (const auto at = wanted.by_id.find(id); !id.empty() && at != wanted.by_id.end()) return at->second;
  const auto same = wanted.by_prompt.find(answer.prompt);
  return same != wanted.by_prompt.end() ? std::optional(same->second) : std::nullopt;
}

// Of a file's lines those that say again what was said count once; two answers of which nobody says which counts are an
// error. "4#2" is another round of "4", and another answer.
Result<std::size_t> leave_out_doubled(std::vector<Answer>& answers, const Wanted& wanted) {
  std::map<std::string, const Answer*> seen;
  std::vector<Answer> kept;
  kept.reserve(answers.size());  // no answer moves: `seen` points at them
  for (Answer& answer : answers) {
    const auto at = prompt_of(answer, wanted);
    const bool of_prompt = at && (answer.id.empty() || answer.id == wanted.prompts[*at].id);
    const std::string key = of_prompt            ? "prompt " + std::to_string(*at)
                            : !answer.id.empty() ? "id " + answer.id
                                                 : "text " + answer.prompt;
    const auto [before, is_new] = seen.try_emplace(key, nullptr);
    if (is_new) {
      kept.push_back(std::move(answer));
      before->second = &kept.back();
    } else if (before->second->text != answer.text || before->second->missing != answer.missing) {
      return fail(ErrorCode::usage, "another answer to what was answered in " + before->second->where, answer.where,
                  "Leave one of them out, or give each a round of its own: \"id\": \"4#1\", \"4#2\"");
    }
  }
  const std::size_t doubled = answers.size() - kept.size();
  answers = std::move(kept);
  return doubled;
}

Result<std::vector<Answer>> answers_of_run(const std::string& path) {
  const auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  std::vector<Answer> answers;
  bool kept = false;
  for (const Span& span : (*run)->spans()) {
    if (span.kind != SpanKind::request) continue;
    Answer answer{span.name, span.attribute("prompt").value_or(""), {}, span.attribute("instructions").value_or(""), {},
                  {}};
    if (const auto text = span.attribute("answer"); text && span.status == SpanStatus::ok)
      answer.text = *text;
    else
      answer.missing = span.status == SpanStatus::ok ? "not kept" : "the request failed";
    kept = kept || answer.missing.empty();
    answers.push_back(std::move(answer));
  }
  if (!kept)
    return fail(ErrorCode::absent, "this Run keeps no answers", path, "Record it with  prony llm --keep-output");
  return answers;
}

// {"prompt": …, "response": …}, as IFEval's scorer reads them; also id or key, and answer or text.
Result<Answer> answer_from(const nlohmann::json& object, const std::string& where) {
  const auto member = [&](std::initializer_list<const char*> names) -> std::optional<std::string> {
    for (const char* name : names)
      if (const auto at = object.find(name); at != object.end())
        return at->is_string() ? at->get<std::string>() : at->is_number_integer() ? at->dump() : std::string();
    return std::nullopt;
  };
  Answer answer{member({"id", "key"}).value_or(""), member({"prompt"}).value_or(""), {}, {}, {}, where};
  const auto text = member({"response", "answer", "text"});
  if (!text) return fail(ErrorCode::malformed, "there is no \"response\"", where, "or \"answer\", or \"text\"");
  if (answer.id.empty() && answer.prompt.empty())
    return fail(ErrorCode::malformed, "neither \"id\" nor \"prompt\" says what was asked", where);
  answer.text = *text;
  const auto is_null = [&](const char* name) { return object.contains(name) && object[name].is_null(); };
  if (answer.text.empty() && (is_null("response") || is_null("answer") || is_null("text")))
    answer.missing = "the answer is null";
  if (object.contains("instruction_id_list") && object.contains("kwargs"))
    answer.instructions =
        nlohmann::json{{"instruction_id_list", object["instruction_id_list"]}, {"kwargs", object["kwargs"]}}.dump(
            -1, ' ', false, nlohmann::json::error_handler_t::replace);
  return answer;
}

Result<std::vector<Answer>> answers_of_file(const std::string& path) {
  const auto text = read_whole_file(path, most_answers_bytes);
  if (!text) return Unexpected<Error>(text.error());
  std::vector<Answer> answers;
  std::size_t number = 0;
  for (const std::string_view line : split(*text, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::string where = path + ":" + std::to_string(number);
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return fail(ErrorCode::malformed, "the line is not a JSON object", where);
    auto answer = answer_from(object, where);
    if (!answer) return Unexpected<Error>(answer.error());
    answers.push_back(std::move(*answer));
  }
  if (answers.empty()) return fail(ErrorCode::malformed, "the file has no answer", path);
  return answers;
}

struct Scored {
  std::string source;
  std::size_t answers = 0, missing = 0, without = 0;  // without: no instruction that they could be held to
  std::size_t doubled = 0, unknown = 0;               // unknown: answers to none of the prompts
  std::vector<std::string> unanswered;                // prompts of the file that no answer is to
  [[nodiscard]] bool whole() const { return missing == 0 && unknown == 0 && unanswered.empty(); }
  quality::Accuracy accuracy;
  ordered_json rows = ordered_json::array();
};

ordered_json row_of(const Answer& answer, const std::vector<quality::Instruction>& instructions,
                    const quality::Judged& judged) {
  ordered_json row{{"id", answer.id}, {"instructions", ordered_json::array()}};
  for (std::size_t i = 0; i < instructions.size(); ++i) {
    ordered_json one{{"kind", instructions[i].kind}};
    if (judged.strict[i].unchecked.empty()) {
      one["strict"] = judged.strict[i].followed;
      one["loose"] = judged.loose[i].followed;
    } else {
      one["absent"] = judged.strict[i].unchecked;
    }
    row["instructions"].push_back(std::move(one));
  }
  return row;
}

Result<Scored> score(const std::string& source, std::vector<Answer> answers, const Wanted& wanted) {
  Scored scored;
  scored.source = source;
  std::vector<bool> answered(wanted.prompts.size(), false);
  for (Answer& answer : answers) {
    const auto at = prompt_of(answer, wanted);
    if (at) answered[*at] = true;
    if (at && answer.instructions.empty()) answer.instructions = wanted.prompts[*at].instructions;
    if (answer.instructions.empty()) {
      const bool unknown = !at && !wanted.prompts.empty();
      ++(unknown ? scored.unknown : scored.without);
      if (unknown) scored.rows.push_back({{"id", answer.id}, {"absent", "it answers none of the prompts"}});
      continue;
    }
    if (!answer.missing.empty()) {
      ++scored.missing;
      scored.rows.push_back({{"id", answer.id}, {"absent", answer.missing}});
      continue;
    }
    const auto instructions = quality::parse_instructions(answer.instructions);
    if (!instructions) {
      Error error = instructions.error();
      error.where = source + ": " + printable(answer.id, 60);
      return Unexpected<Error>(error);
    }
    const quality::Judged judged = quality::judge(*instructions, answer.text);
    add(scored.accuracy, *instructions, judged);
    scored.rows.push_back(row_of(answer, *instructions, judged));
    ++scored.answers;
  }
  for (std::size_t i = 0; i < answered.size(); ++i)
    if (const Prompt& prompt = wanted.prompts[i]; !answered[i] && !prompt.instructions.empty()) {
      scored.unanswered.push_back(prompt.id);
      scored.rows.push_back({{"id", prompt.id}, {"absent", "there is no answer to it"}});
    }
  if (scored.answers + scored.missing == 0)
    return fail(ErrorCode::absent, "no answer has an instruction that it could be held to", source,
                "Name the file that was asked:  --prompts ifeval.jsonl");
  return scored;
}

std::string percent_text(const quality::Share& share) {
  if (share.of == 0) return "–";
  const auto percent = [](double value) { return format_number(std::round(value * 1000) / 10); };
  return percent(share.value()) + " % (" + percent(share.low()) + "…" + percent(share.high()) + "; " +
         std::to_string(share.yes) + " of " + std::to_string(share.of) + ")";
}

std::string list_of(const std::vector<std::string>& ids) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(ids.size(), most); ++i) text += (i > 0 ? ", " : "") + printable(ids[i], 40);
  return text + (ids.size() > most ? ", …" : "");
}

std::string text_of(const Scored& s) {
  std::string text = "prony quality · " + printable(s.source, 200) + " · " + std::to_string(s.answers) + " answers\n";
  const quality::Accuracy& a = s.accuracy;
  const auto line = [&](const std::string& name, const quality::Share& strict, const quality::Share& loose) {
    std::string left = " " + name;
    left.resize(std::max<std::size_t>(left.size() + 1, 46), ' ');
    std::string middle = percent_text(strict);
    // "–" and "…" are of three bytes and one column.
    const auto columns = static_cast<std::size_t>(
        std::ranges::count_if(middle, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
    middle.append(columns < 34 ? 34 - columns : 1, ' ');
    text += left + middle + percent_text(loose) + "\n";
  };
  text += "                                              strict                            loose\n";
  line("prompts, all that they were told", a.prompt_strict, a.prompt_loose);
  line("instructions", a.instruction_strict, a.instruction_loose);
  for (const auto& [kind, shares] : a.by_kind) line("  " + kind, shares.first, shares.second);
  for (const auto& [why, count] : a.unchecked)
    text += " not checked    " + std::to_string(count) + " × " + why + "; their prompts are in no share of prompts\n";
  if (s.missing > 0)
    text += " WARNING        " + std::to_string(s.missing) + " requests have no answer and are in no share\n";
  if (!s.unanswered.empty())
    text += " WARNING        " + std::to_string(s.unanswered.size()) +
            " prompts have no answer and are in no share: " + list_of(s.unanswered) + "\n";
  if (s.unknown > 0)
    text +=
        " WARNING        " + std::to_string(s.unknown) + " answers are to none of the prompts and are in no share\n";
  if (s.doubled > 0) text += " left out       " + std::to_string(s.doubled) + " answers that were there already\n";
  if (s.without > 0)
    text += " not judged     " + std::to_string(s.without) + " answers have no instruction of IFEval\n";
  return text + " (low…high) is Wilson's 95 % interval over prompts drawn like these\n";
}

ordered_json json_of(const quality::Share& share) {
  if (share.of == 0) return {{"absent", "nothing could be checked"}};
  return {{"value", share.value()},   {"low", share.low()},    {"high", share.high()},
          {"kind", "interval(0.95)"}, {"followed", share.yes}, {"of", share.of}};
}

ordered_json json_of(const Scored& s) {
  const quality::Accuracy& a = s.accuracy;
  ordered_json out{{"source", s.source},
                   {"answers", s.answers},
                   {"missing", s.missing},
                   {"without_instructions", s.without},
                   {"unanswered", s.unanswered.size()},
                   {"unknown", s.unknown},
                   {"doubled", s.doubled},
                   {"prompt_strict", json_of(a.prompt_strict)},
                   {"prompt_loose", json_of(a.prompt_loose)},
                   {"instruction_strict", json_of(a.instruction_strict)},
                   {"instruction_loose", json_of(a.instruction_loose)}};
  for (const auto& [kind, shares] : a.by_kind)
    out["by_kind"][kind] = {{"strict", json_of(shares.first)}, {"loose", json_of(shares.second)}};
  for (const auto& [why, count] : a.unchecked) out["unchecked"][why] = count;
  out["requests"] = s.rows;
  return out;
}

Result<std::vector<Scored>> score_all(const QualityOptions& options) {
  const auto wanted = wanted_from(options.prompts);
  if (!wanted) return Unexpected<Error>(wanted.error());
  std::vector<Scored> all;
  const auto take = [&](const std::string& source, Result<std::vector<Answer>> answers, bool file) -> Result<void> {
    if (!answers) return Unexpected<Error>(answers.error());
    const auto doubled = file ? leave_out_doubled(*answers, *wanted) : Result<std::size_t>(0);
    if (!doubled) return Unexpected<Error>(doubled.error());
    auto scored = score(source, std::move(*answers), *wanted);
    if (!scored) return Unexpected<Error>(scored.error());
    all.push_back(std::move(*scored));
    all.back().doubled = *doubled;
    return {};
  };
  for (const std::string& run : options.runs)
    if (auto taken = take(run, answers_of_run(run), false); !taken) return Unexpected<Error>(taken.error());
  if (!options.answers.empty())
    if (auto taken = take(options.answers, answers_of_file(options.answers), true); !taken)
      return Unexpected<Error>(taken.error());
  if (all.empty())
    return fail(ErrorCode::usage, "no answers given", "RUN",
                "A Run that was recorded with --keep-output, or  --answers FILE --prompts ifeval.jsonl");
  return all;
}

int quality_of_corpus(const QualityOptions& options, const CommandWords& words) {
  if (!options.runs.empty() || !options.answers.empty())
    return failed({ErrorCode::usage, "a corpus is scored by itself", "--perplexity", "Leave the answers out."});
  const auto score = score_corpus(options.corpus, words);
  if (!score) return failed(score.error());
  return print_result(options.json ? json_text_of(*score) : text_of(*score));
}

int quality_of(const QualityOptions& options) {
  const auto all = score_all(options);
  if (!all) return failed(all.error());
  std::string text;
  ordered_json list = ordered_json::array();
  bool whole = true;
  for (const Scored& one : *all) {
    text += (text.empty() ? "" : "\n") + text_of(one);
    list.push_back(json_of(one));
    whole = whole && one.whole();
  }
  if (options.json) text = list.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  const int printed = print_result(text);
  return printed != exit_code::ok ? printed : whole ? exit_code::ok : exit_code::failed_requests;
}

}  // namespace

std::function<int(const CommandWords&)> add_quality(CLI::App& command) {
  auto options = std::make_shared<QualityOptions>();
  command.add_option("RUN", options->runs, "Runs whose answers were kept (prony llm --keep-output)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--answers", options->answers, "JSON Lines of \"prompt\" or \"id\", and \"response\"")
      ->type_name("FILE");
  command
      .add_option("--prompts", options->prompts, "IFEval's file, where the answers do not bring what they were told")
      ->type_name("FILE");
  command.add_flag("--json", options->json, "Every verdict, as JSON");
  PerplexityOptions& corpus = options->corpus;
  command.add_option("--perplexity", corpus.corpus, "How well --model foretells this text")->type_name("CORPUS");
  command.add_option("--model", corpus.model, "The model file (GGUF), or a folder for transformers");
  command.add_option("--engine", corpus.engine, "llama (default) or transformers");
  command.add_option("--window", corpus.window, "Tokens computed at once (default 512)")
      ->check(CLI::Range(2, 1 << 24).description(""));
  command.add_option("--stride", corpus.stride, "New tokens in each window (default: all)")
      ->check(CLI::Range(1, 1 << 24).description(""));
  command.add_option("--most-tokens", corpus.most_tokens, "Only the first so many")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40U).description(""));
  command.add_option("--threads", corpus.threads, "Of the engine (default 1)")
      ->check(CLI::Range(1, 1024).description(""));
  command.add_option("--timeout", corpus.timeout, "For loading and for the corpus (default 1h)")->type_name("DURATION");
  TransformersOptions& bridge = corpus.transformers;
  command.add_option("--python", bridge.python, "transformers: an interpreter with torch")->type_name("PROGRAM");
  command.add_option("--dtype", bridge.dtype, "transformers: auto, float32, float16, bfloat16");
  command.add_flag("--random-weights", bridge.random_weights, "transformers: for a folder without weights");
  return [options](const CommandWords& words) {
    return options->corpus.corpus.empty() ? quality_of(*options) : quality_of_corpus(*options, words);
  };
}

}  // namespace prony::app
