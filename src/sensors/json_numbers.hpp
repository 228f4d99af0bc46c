// JsonNumbers: the numbers, truths and texts of a JSON document by where they stand ("StatusSNS.ENERGY.Power",
// "meters.0.total"), with the decimal places that a number was written with: what a device writes is its step.
// Bounded: documents of up to 4096 such values, nested up to 32 deep. Pure; any thread. Errors: malformed, full.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct JsonScalar {
  enum class Kind { number, truth, text } kind = Kind::number;
  double number = 0;  // of a truth: 0 or 1
  int decimals = 0;   // of a number as it was written; a negative one: it was written with an exponent
  std::string text = {};
};

class JsonNumbers {
 public:
  [[nodiscard]] static Result<JsonNumbers> parse(std::string_view text);

  [[nodiscard]] const JsonScalar* find(std::string_view path) const;
  [[nodiscard]] std::optional<double> number(std::string_view path) const;  // absent, null or no number: empty
  [[nodiscard]] std::string text(std::string_view path) const;              // "": there is none
  // Keys right below `path` ("": the top), in their order by name; places of an array are "0", "1", …
  [[nodiscard]] std::vector<std::string> below(std::string_view path) const;

 private:
  std::map<std::string, JsonScalar, std::less<>> values_;
};

}  // namespace prony
