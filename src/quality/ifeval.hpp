// Whether an answer does what it was told, where a program can tell: the 25 kinds of instruction of IFEval (Zhou et al.
// 2023, google-research/instruction_following_eval), strict and loose. Differences to the published scorer, which uses
// Python's nltk and langdetect, are in docs/quality.md. Thread promise: pure. Errors: malformed, for instructions that
// are not as the file has them; an instruction that cannot be checked is told by its reason, and never counted as
// followed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::quality {

// Its arguments by name, as numbers, texts or lists of texts; what the file has as null is left out.
struct Arguments {
  std::map<std::string, std::int64_t> numbers;
  std::map<std::string, std::string> texts;
  std::map<std::string, std::vector<std::string>> lists;
};
struct Instruction {
  std::string kind;  // "length_constraints:number_words"
  Arguments arguments;
};

// {"instruction_id_list": […], "kwargs": […]}, as Prompt::instructions has it.
[[nodiscard]] Result<std::vector<Instruction>> parse_instructions(std::string_view json);

// The kinds that are known, in the order of the published list.
[[nodiscard]] std::vector<std::string_view> instruction_kinds();

struct Verdict {
  bool followed = false;
  std::string unchecked;  // why it could not be told; empty: it could
};
// One answer as it is. An answer of nothing but white space follows nothing.
[[nodiscard]] Verdict check(const Instruction& instruction, std::string_view answer);

struct Judged {
  std::vector<Verdict> strict, loose;  // one for each instruction; loose: of eight readings of the answer any follows
  [[nodiscard]] bool all_strict() const;
  [[nodiscard]] bool all_loose() const;
};
[[nodiscard]] Judged judge(const std::vector<Instruction>& instructions, std::string_view answer);

// A share of yes among trials, with Wilson's 95 % interval.
struct Share {
  std::size_t yes = 0, of = 0;
  [[nodiscard]] double value() const;  // of > 0
  [[nodiscard]] double low() const;
  [[nodiscard]] double high() const;
};
struct Accuracy {
  Share prompt_strict, prompt_loose, instruction_strict, instruction_loose;
  std::map<std::string, std::pair<Share, Share>> by_kind;  // strict, loose
  std::map<std::string, std::size_t> unchecked;  // reason → how many; they are in no share, nor are their prompts
};
void add(Accuracy& sum, const std::vector<Instruction>& instructions, const Judged& judged);

}  // namespace prony::quality
