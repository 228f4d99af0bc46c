#include "app/model_source.hpp"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "complexity/ollama_store.hpp"

namespace prony::app {

namespace {

// Where Ollama keeps its models: what it was told, the user's folder, that of the service.
std::vector<std::string> ollama_stores() {
  if (const char* told = std::getenv("OLLAMA_MODELS"); told != nullptr && *told != '\0') return {told};
  std::vector<std::string> stores;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    stores.push_back(std::string(home) + "/.ollama/models");
  stores.emplace_back("/usr/share/ollama/.ollama/models");
  return stores;
}

Result<complexity::OllamaModel> find_in_stores(std::string_view name) {
  const std::vector<std::string> stores = ollama_stores();
  auto first = complexity::find_ollama_model(stores.front(), name);
  if (first || first.error().code != ErrorCode::absent) return first;
  for (std::size_t i = 1; i < stores.size(); ++i)
    if (auto other = complexity::find_ollama_model(stores[i], name); other || other.error().code != ErrorCode::absent)
      return other;
  return first;
}

}  // namespace

Result<NamedModel> read_named_model(const std::string& source) {
  NamedModel named;
  if (!source.starts_with(ollama_prefix)) {
    auto model = complexity::read_model(source);
    if (!model) return Unexpected<Error>(model.error());
    named.model = std::move(*model);
    return named;
  }
  auto found = find_in_stores(std::string_view(source).substr(std::string_view(ollama_prefix).size()));
  if (!found) return Unexpected<Error>(found.error());
  auto files = found->weights.size() == 1 ? complexity::read_gguf_files(found->weights.front())
                                          : complexity::read_gguf_files(found->weights);
  if (!files) return Unexpected<Error>(files.error());
  named.model = complexity::model_of(std::move(*files));
  named.beside = std::move(found->beside);
  return named;
}

}  // namespace prony::app
