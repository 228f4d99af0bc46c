#include "remote_model.hpp"

namespace prony_http {

bool same_model(const std::string& asked, const std::string& listed) {
  return asked == listed || asked + ":latest" == listed || asked == listed + ":latest";
}

std::string elsewhere_in(const json& message) {
  const std::string host = text_of(message, "remote_host");
  if (!host.empty()) return one_line(host, 120);
  return text_of(message, "remote_model").empty() ? std::string() : std::string("a cloud");
}

std::string cloud_by_name(const std::string& model) {
  return model.ends_with("-cloud") || model.ends_with(":cloud") ? "a cloud (by its name)" : "";
}

std::string cloud_of(const std::string& model, const Caller& call, std::int64_t patience_ns) {
  const auto tags = get_json(call, "/api/tags", patience_ns);
  if (!tags || !member(*tags, "models").is_array()) return cloud_by_name(model);
  for (const json& row : member(*tags, "models"))
    if (same_model(model, text_of(row, "name")) || same_model(model, text_of(row, "model"))) return elsewhere_in(row);
  const auto show = post_json(call, "/api/show", {{"model", model}}, patience_ns);
  if (show)
    if (const std::string told = elsewhere_in(*show); !told.empty()) return told;
  return cloud_by_name(model);
}

}  // namespace prony_http
