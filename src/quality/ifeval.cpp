#include "quality/ifeval.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "quality/language.hpp"
#include "quality/text_units.hpp"

namespace prony::quality {

namespace {

using nlohmann::json;
using Text = std::string_view;

Verdict told(bool followed) { return {followed, {}}; }
Verdict untold(std::string why) { return {false, std::move(why)}; }

// What a check needs of its arguments; the first that is missing is named.
class Needed {
 public:
  explicit Needed(const Arguments& arguments) : arguments_(arguments) {}
  std::int64_t number(const char* name) { return found(arguments_.numbers, name); }
  std::string text(const char* name) { return found(arguments_.texts, name); }
  std::vector<std::string> list(const char* name) { return found(arguments_.lists, name); }
  [[nodiscard]] const std::string& missing() const { return missing_; }

 private:
  template <class Value>
  Value found(const std::map<std::string, Value>& values, const char* name) {
    const auto at = values.find(name);
    if (at != values.end()) return at->second;
    if (missing_.empty()) missing_ = std::string("its argument ") + name + " is missing";
    return {};
  }
  const Arguments& arguments_;
  std::string missing_;
};

// "at least" and "less than" are the two relations that there are.
Verdict related(std::size_t count, std::int64_t wanted, const std::string& relation, const Needed& needed) {
  if (!needed.missing().empty()) return untold(needed.missing());
  const auto have = static_cast<std::int64_t>(count);
  if (relation == "at least") return told(have >= wanted);
  if (relation == "less than") return told(have < wanted);
  return untold("its relation is neither \"at least\" nor \"less than\"");
}
Verdict when_complete(const Needed& needed, bool followed) {
  return needed.missing().empty() ? told(followed) : untold(needed.missing());
}

bool blank_line(Text line) { return stripped(line).empty(); }
Text before_blank(Text text) {  // without white space at its begin
  const Text rest = stripped(text);
  return rest.empty() ? rest : text.substr(static_cast<std::size_t>(rest.data() - text.data()));
}
bool starts(Text text, Text with) { return text.substr(0, with.size()) == with; }
bool ends(Text text, Text with) { return text.size() >= with.size() && text.substr(text.size() - with.size()) == with; }

// --- keywords
// ---------------------------------------------------------------------------------------------------------

Verdict existence(Needed& need, Text answer) {
  const auto words = need.list("keywords");
  return when_complete(need, std::ranges::all_of(words, [&](const auto& w) { return count_of(answer, w, false) > 0; }));
}
Verdict frequency(Needed& need, Text answer) {
  const std::string word(stripped(need.text("keyword"))), relation = need.text("relation");
  return related(count_of(answer, word, false), need.number("frequency"), relation, need);
}
Verdict forbidden(Needed& need, Text answer) {
  const auto words = need.list("forbidden_words");
  return when_complete(need, std::ranges::none_of(words, [&](const auto& w) { return count_of(answer, w, true) > 0; }));
}
Verdict letters(Needed& need, Text answer) {
  const std::string letter = need.text("letter"), relation = need.text("let_relation");
  return related(count_of(answer, letter, false), need.number("let_frequency"), relation, need);
}

// --- language
// ---------------------------------------------------------------------------------------------------------

Verdict in_language(Text answer, const std::string& code) {
  if (!knows_language(code)) return untold("the language " + printable(code, 20) + " is not known here");
  const auto found = language_of(answer);
  return told(!found || *found == code);  // as published: a text of which nobody can tell is none of another language
}
Verdict language(Needed& need, Text answer) {
  const std::string code = need.text("language");
  return need.missing().empty() ? in_language(answer, code) : untold(need.missing());
}

// --- length
// -----------------------------------------------------------------------------------------------------------

Verdict sentences(Needed& need, Text answer) {
  const std::string relation = need.text("relation");
  return related(count_sentences(answer), need.number("num_sentences"), relation, need);
}
Verdict words(Needed& need, Text answer) {
  const std::string relation = need.text("relation");
  return related(count_words(answer), need.number("num_words"), relation, need);
}
// Paragraphs stand between lines of ***; an empty one counts at neither end, and is wrong between others.
Verdict paragraphs(Needed& need, Text answer) {
  const auto pieces = cut(answer, "***");
  auto count = static_cast<std::int64_t>(pieces.size());
  bool gap = false;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (!blank_line(pieces[i])) continue;
    gap = gap || (i != 0 && i + 1 != pieces.size());
    --count;
  }
  const std::int64_t wanted = need.number("num_paragraphs");
  return when_complete(need, !gap && count == wanted);
}
// Here paragraphs stand between blank lines.
Verdict nth_paragraph(Needed& need, Text answer) {
  const std::int64_t wanted = need.number("num_paragraphs"), nth = need.number("nth_paragraph");
  const std::string first = lower_case(need.text("first_word"));
  if (!need.missing().empty()) return untold(need.missing());
  const auto pieces = cut(answer, "\n\n");
  std::int64_t count = 0;
  for (const Text piece : pieces) count += blank_line(piece) ? 0 : 1;
  if (nth < 1 || nth > count) return told(false);
  Text paragraph = stripped(pieces[static_cast<std::size_t>(nth - 1)]);
  if (paragraph.empty()) return told(false);
  paragraph = paragraph.substr(0, paragraph.find_first_of(" \t\n\r\f\v"));
  paragraph.remove_prefix(std::min(paragraph.size(), paragraph.find_first_not_of('\'')));
  paragraph.remove_prefix(std::min(paragraph.size(), paragraph.find_first_not_of('"')));
  const std::string word = lower_case(paragraph.substr(0, paragraph.find_first_of(".,?!'\"")));
  return told(count == wanted && word == first);
}

// --- content and format
// -----------------------------------------------------------------------------------------------

Verdict placeholders(Needed& need, Text answer) {
  std::size_t count = 0;
  for (const Text line : lines(answer))
    for (std::size_t at = line.find('['); at != Text::npos;) {
      const std::size_t end = line.find(']', at);
      if (end == Text::npos) break;
      ++count;
      at = line.find('[', end);
    }
  const std::int64_t wanted = need.number("num_placeholders");
  return when_complete(need, static_cast<std::int64_t>(count) >= wanted);
}

// "p.s." with a space allowed between: the published expressions p\.\s?s\. and p\.\s?p\.\s?s.
bool has_initials(Text lowered, Text initials, bool last_dot) {
  for (std::size_t begin = 0; begin < lowered.size(); ++begin) {
    std::size_t at = begin;
    bool all = true;
    for (std::size_t i = 0; all && i < initials.size(); ++i) {
      if (i > 0 && at < lowered.size() && (lowered[at] == ' ' || lowered[at] == '\t')) ++at;
      all = at < lowered.size() && lowered[at] == initials[i];
      ++at;
      const bool last = i + 1 == initials.size();
      if (all && (!last || last_dot)) all = at < lowered.size() && lowered[at++] == '.';
    }
    if (all) return true;
  }
  return false;
}
Verdict postscript(Needed& need, Text answer) {
  const std::string marker = need.text("postscript_marker"), lowered = lower_case(answer);
  if (!need.missing().empty()) return untold(need.missing());
  const Text trimmed = stripped(marker);
  if (trimmed == "P.P.S") return told(has_initials(lowered, "pps", false));
  if (trimmed == "P.S.") return told(has_initials(lowered, "ps", true));
  return told(lowered.find(lower_case(trimmed)) != std::string::npos);
}

Verdict bullets(Needed& need, Text answer) {
  std::int64_t count = 0;
  for (const Text line : lines(answer)) {
    const Text item = before_blank(line);
    const bool star = item.size() > 1 && item[0] == '*' && item[1] != '*';
    count += star || starts(item, "-") ? 1 : 0;
  }
  const std::int64_t wanted = need.number("num_bullets");
  return when_complete(need, count == wanted);
}
Verdict constrained(Needed& /*need*/, Text answer) {
  constexpr std::array<Text, 3> allowed{"My answer is yes.", "My answer is no.", "My answer is maybe."};
  return told(std::ranges::any_of(allowed, [&](Text one) { return answer.find(one) != Text::npos; }));
}

// How many stretches between `mark` and `mark` on a line hold something beside stars and white space.
std::int64_t highlights(Text answer, Text mark) {
  std::int64_t count = 0;
  for (const Text line : lines(answer))
    for (std::size_t at = line.find(mark); at != Text::npos;) {
      const std::size_t begin = at + mark.size();
      const std::size_t end = line.find('*', begin);
      if (end == Text::npos) break;
      if (line.substr(end, mark.size()) != mark) {  // a lone star inside a pair of two
        at = line.find(mark, at + 1);
        continue;
      }
      count += stripped(line.substr(begin, end - begin)).empty() ? 0 : 1;
      at = line.find(mark, end + mark.size());
    }
  return count;
}
Verdict highlighted(Needed& need, Text answer) {
  const std::int64_t wanted = need.number("num_highlights");
  return when_complete(need, highlights(answer, "*") + highlights(answer, "**") >= wanted);
}
// "Section 1": the splitter, a number behind it, perhaps a space between.
Verdict sections(Needed& need, Text answer) {
  const std::string splitter(stripped(need.text("section_spliter")));
  const std::int64_t wanted = need.number("num_sections");
  if (!need.missing().empty()) return untold(need.missing());
  if (splitter.empty()) return untold("its argument section_spliter is empty");
  std::int64_t count = 0;
  for (std::size_t at = answer.find(splitter); at != Text::npos;) {
    std::size_t end = at + splitter.size();
    if (end < answer.size() && is_blank(static_cast<unsigned char>(answer[end]))) ++end;
    const bool number = end < answer.size() && answer[end] >= '0' && answer[end] <= '9';
    count += number ? 1 : 0;
    at = answer.find(splitter, at + splitter.size());
  }
  return told(count >= wanted);
}
Verdict json_format(Needed& /*need*/, Text answer) {
  Text text = stripped(answer);
  for (const Text fence : {"```json", "```Json", "```JSON", "```"})
    if (starts(text, fence)) text.remove_prefix(fence.size());
  if (ends(text, "```")) text.remove_suffix(3);
  text = stripped(text);
  // Nesting without end would take a stack without end.
  std::size_t deep = 0, most = 0;
  for (const char c : text) {
    deep += c == '[' || c == '{' ? 1 : 0;
    most = std::max(most, deep);
    if ((c == ']' || c == '}') && deep > 0) --deep;
  }
  return told(most < 500 && json::accept(text));
}
Verdict title(Needed& /*need*/, Text answer) {
  for (const Text line : lines(answer)) {
    const std::size_t begin = line.find("<<"), end = line.rfind(">>");
    if (begin == Text::npos || end == Text::npos || end < begin + 3) continue;
    Text inside = line.substr(begin + 2, end - begin - 2);
    while (starts(inside, "<")) inside.remove_prefix(1);
    while (ends(inside, ">")) inside.remove_suffix(1);
    if (!stripped(inside).empty()) return told(true);
  }
  return told(false);
}

// --- combination, begin and end, case, punctuation
// ---------------------------------------------------------------------

Verdict two_responses(Needed& /*need*/, Text answer) {
  const auto pieces = cut(answer, "******");
  std::vector<Text> responses;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Text response = stripped(pieces[i]);
    if (!response.empty())
      responses.push_back(response);
    else if (i != 0 && i + 1 != pieces.size())
      return told(false);
  }
  return told(responses.size() == 2 && responses[0] != responses[1]);
}
Verdict repeat_prompt(Needed& need, Text answer) {
  const std::string prompt = need.text("prompt_to_repeat");
  return when_complete(need, starts(lower_case(stripped(answer)), lower_case(stripped(prompt))));
}
Verdict end_checker(Needed& need, Text answer) {
  const std::string phrase = lower_case(stripped(need.text("end_phrase")));
  Text text = stripped(answer);
  while (starts(text, "\"")) text.remove_prefix(1);
  while (ends(text, "\"")) text.remove_suffix(1);
  return when_complete(need, ends(lower_case(text), phrase));
}
Verdict quotation(Needed& /*need*/, Text answer) {
  const Text text = stripped(answer);
  return told(text.size() > 1 && text.front() == '"' && text.back() == '"');
}
Verdict capital_words(Needed& need, Text answer) {
  const std::string relation = need.text("capital_relation");
  return related(count_capital_words(answer), need.number("capital_frequency"), relation, need);
}
Verdict english_capital(Needed& /*need*/, Text answer) {
  return all_upper(answer) ? in_language(lower_case(answer), "en") : told(false);
}
Verdict english_lowercase(Needed& /*need*/, Text answer) {
  return all_lower(answer) ? in_language(answer, "en") : told(false);
}
Verdict no_comma(Needed& /*need*/, Text answer) { return told(answer.find(',') == Text::npos); }

struct Kind {
  Text name;
  Verdict (*check)(Needed&, Text);
};
constexpr std::array<Kind, 25> kinds{{{"keywords:existence", existence},
                                      {"keywords:frequency", frequency},
                                      {"keywords:forbidden_words", forbidden},
                                      {"keywords:letter_frequency", letters},
                                      {"language:response_language", language},
                                      {"length_constraints:number_sentences", sentences},
                                      {"length_constraints:number_paragraphs", paragraphs},
                                      {"length_constraints:number_words", words},
                                      {"length_constraints:nth_paragraph_first_word", nth_paragraph},
                                      {"detectable_content:number_placeholders", placeholders},
                                      {"detectable_content:postscript", postscript},
                                      {"detectable_format:number_bullet_lists", bullets},
                                      {"detectable_format:constrained_response", constrained},
                                      {"detectable_format:number_highlighted_sections", highlighted},
                                      {"detectable_format:multiple_sections", sections},
                                      {"detectable_format:json_format", json_format},
                                      {"detectable_format:title", title},
                                      {"combination:two_responses", two_responses},
                                      {"combination:repeat_prompt", repeat_prompt},
                                      {"startend:end_checker", end_checker},
                                      {"change_case:capital_word_frequency", capital_words},
                                      {"change_case:english_capital", english_capital},
                                      {"change_case:english_lowercase", english_lowercase},
                                      {"punctuation:no_comma", no_comma},
                                      {"startend:quotation", quotation}}};

void take_argument(Arguments& arguments, const std::string& name, const json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::abs(number) < 1e15) arguments.numbers[name] = static_cast<std::int64_t>(std::llround(number));
  } else if (value.is_number_unsigned()) {
    arguments.numbers[name] =
        static_cast<std::int64_t>(std::min<std::uint64_t>(value.get<std::uint64_t>(), 1ULL << 50U));
  } else if (value.is_number()) {
    arguments.numbers[name] = value.get<std::int64_t>();
  } else if (value.is_string()) {
    arguments.texts[name] = value.get<std::string>();
  } else if (value.is_array()) {
    auto& list = arguments.lists[name];
    for (const json& one : value)
      if (one.is_string()) list.push_back(one.get<std::string>());
  }
}

// The answer without its first line, without its last, without both; each also without stars.
std::vector<std::string> readings(Text answer) {
  std::vector<std::string> all;
  const std::size_t first = answer.find('\n'), last = answer.rfind('\n');
  const Text no_first = first == Text::npos ? Text() : answer.substr(first + 1);
  const Text no_last = last == Text::npos ? Text() : answer.substr(0, last);
  const Text neither = first == last ? Text() : answer.substr(first + 1, last - first - 1);
  for (const Text text : {answer, stripped(no_first), stripped(no_last), stripped(neither)}) {
    all.emplace_back(text);
    std::string plain(text);
    std::erase(plain, '*');
    all.push_back(std::move(plain));
  }
  return all;
}

double wilson(std::size_t yes, std::size_t of, double side) {
  constexpr double z = 1.959963984540054;
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(yes) / n, denominator = 1 + z * z / n;
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return std::clamp((p + z * z / (2 * n) + side * half) / denominator, 0.0, 1.0);
}

}  // namespace

Result<std::vector<Instruction>> parse_instructions(std::string_view text) {
  const json all = json::parse(text, nullptr, false);
  const auto wrong = [](const char* what) { return fail(ErrorCode::malformed, what, "instructions"); };
  if (!all.is_object() || !all.contains("instruction_id_list") || !all.contains("kwargs"))
    return wrong("this is no object with instruction_id_list and kwargs");
  const json &ids = all["instruction_id_list"], &kwargs = all["kwargs"];
  if (!ids.is_array() || !kwargs.is_array() || ids.size() != kwargs.size())
    return wrong("instruction_id_list and kwargs are no lists of one length");
  std::vector<Instruction> made;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!ids[i].is_string()) return wrong("instruction_id_list holds something else than texts");
    Instruction instruction{ids[i].get<std::string>(), {}};
    if (kwargs[i].is_object())
      for (const auto& [name, value] : kwargs[i].items()) take_argument(instruction.arguments, name, value);
    made.push_back(std::move(instruction));
  }
  return made;
}

std::vector<std::string_view> instruction_kinds() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kinds) names.push_back(kind.name);
  return names;
}

Verdict check(const Instruction& instruction, std::string_view answer) {
  const auto kind = std::ranges::find(kinds, instruction.kind, &Kind::name);
  if (kind == kinds.end()) return untold("no instruction of IFEval is called " + printable(instruction.kind, 60));
  Needed needed(instruction.arguments);
  Verdict verdict = kind->check(needed, answer);
  if (verdict.unchecked.empty() && stripped(answer).empty()) verdict.followed = false;
  return verdict;
}

bool Judged::all_strict() const { return std::ranges::all_of(strict, &Verdict::followed); }
bool Judged::all_loose() const { return std::ranges::all_of(loose, &Verdict::followed); }

Judged judge(const std::vector<Instruction>& instructions, std::string_view answer) {
  Judged judged;
  const std::vector<std::string> read = readings(answer);
  for (const Instruction& instruction : instructions) {
    judged.strict.push_back(check(instruction, answer));
    Verdict loose = judged.strict.back();
    if (loose.unchecked.empty())
      loose.followed =
          std::ranges::any_of(read, [&](const std::string& text) { return check(instruction, text).followed; });
    judged.loose.push_back(std::move(loose));
  }
  return judged;
}

double Share::value() const { return static_cast<double>(yes) / static_cast<double>(of); }
double Share::low() const { return wilson(yes, of, -1); }
double Share::high() const { return wilson(yes, of, 1); }

void add(Accuracy& sum, const std::vector<Instruction>& instructions, const Judged& judged) {
  const auto count = [](Share& share, bool yes) {
    ++share.of;
    share.yes += yes ? 1 : 0;
  };
  bool complete = !instructions.empty();
  for (std::size_t i = 0; i < instructions.size(); ++i) {
    if (!judged.strict[i].unchecked.empty()) {
      ++sum.unchecked[instructions[i].kind + ": " + judged.strict[i].unchecked];
      complete = false;
      continue;
    }
    auto& [strict, loose] = sum.by_kind[instructions[i].kind];
    count(sum.instruction_strict, judged.strict[i].followed);
    count(sum.instruction_loose, judged.loose[i].followed);
    count(strict, judged.strict[i].followed);
    count(loose, judged.loose[i].followed);
  }
  if (!complete) return;
  count(sum.prompt_strict, judged.all_strict());
  count(sum.prompt_loose, judged.all_loose());
}

}  // namespace prony::quality
