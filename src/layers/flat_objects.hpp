// An array of objects, one after the other: the numbers and texts of each by key; those of its member "args" too, as
// "args.key". Other members are passed over. Pure. Errors: those of JsonReader; malformed (no array of objects).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "layers/json_reader.hpp"

namespace prony::layers {

class FlatObjects {
 public:
  explicit FlatObjects(ByteSource& source) : json_(source) {}
  [[nodiscard]] Result<bool> next();  // false: there is none left
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  [[nodiscard]] std::string_view text(std::string_view key) const;  // "": not there

 private:
  Result<void> members(const std::string& prefix);
  Unexpected<Error> wrong(std::string what);

  JsonReader json_;
  std::map<std::string, double, std::less<>> numbers_;
  std::map<std::string, std::string, std::less<>> texts_;
  bool begun_ = false;
};

}  // namespace prony::layers
