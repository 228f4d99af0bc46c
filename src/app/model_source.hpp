// A model as the user names it: a file, a folder, or ollama:NAME of a store on this machine. Thread promise: one
// thread. Errors: as of complexity's readers.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "complexity/model_files.hpp"

namespace prony::app {

inline constexpr const char* ollama_prefix = "ollama:";

struct NamedModel {
  complexity::ModelFiles model;
  std::vector<std::string> beside;  // kinds of further weights that are not counted
};
[[nodiscard]] Result<NamedModel> read_named_model(const std::string& source);

}  // namespace prony::app
