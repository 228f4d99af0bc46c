// Where a model runs that an Ollama lists: its cloud models are another host's, whoever asks for them and in which
// interface. Errors: none: what is not told within patience is taken for this host's, but for a name that ends in
// "-cloud" or ":cloud". Thread promise: as the caller's. Source: Ollama docs/api.md, docs/cloud.mdx.
#pragma once

#include <cstdint>
#include <string>

#include "dialect.hpp"

namespace prony_http {

[[nodiscard]] bool same_model(const std::string& asked, const std::string& listed);  // ":latest" need not be said
// Where the model of a row of /api/tags, of /api/show or of an answer runs; "": on the server's own host.
[[nodiscard]] std::string elsewhere_in(const json& message);
[[nodiscard]] std::string cloud_by_name(const std::string& model);
// Asks: one call where the server is no Ollama, two at most.
[[nodiscard]] std::string cloud_of(const std::string& model, const Caller& call, std::int64_t patience_ns);

}  // namespace prony_http
