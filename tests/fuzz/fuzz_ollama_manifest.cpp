// parts: complexity
// Any bytes as the name of a model of Ollama's and as its manifest: an error, or places that cannot leave the store.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "complexity/ollama_store.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony::complexity;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto place = ollama_manifest_place(text)) {
    if (place->front() == '/' || place->find("..") == 0 || place->find("/.") != std::string::npos) std::abort();
    if (place->find('\0') != std::string::npos) std::abort();
  }
  if (const auto layers = parse_ollama_manifest(text))
    for (const OllamaLayer& layer : *layers)
      if (layer.blob_name.size() != 71 || layer.blob_name.find_first_of("/.") != std::string::npos) std::abort();
  return 0;
}
