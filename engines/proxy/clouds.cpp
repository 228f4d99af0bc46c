#include "clouds.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "interface.hpp"
#include "server.hpp"

namespace prony_proxy {

using prony_http::json;

namespace {

constexpr std::size_t most_models = 1000;  // names come from clients
constexpr std::int64_t server_patience_ns = 1'500'000'000;

bool same_model(const std::string& asked, const std::string& listed) {
  return asked == listed || asked + ":latest" == listed || asked == listed + ":latest";
}

}  // namespace

std::string Clouds::by_name(const std::string& model) {
  return model.ends_with("-cloud") || model.ends_with(":cloud") ? "a cloud (by its name)" : "";
}

Clouds::Clouds(prony_http::Url url, std::string ca_file)
    : url_(std::move(url)), ca_file_(std::move(ca_file)), told_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { ask(stop); });
}

Clouds::~Clouds() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  if (told_ >= 0) ::close(told_);
}

void Clouds::forget_told() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(told_, &count, sizeof count);
}

std::optional<std::string> Clouds::of(const std::string& model) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(model);
  if (found != known_.end()) return found->second;
  if (known_.size() >= most_models) return by_name(model);
  known_.emplace(model, std::nullopt);
  wanted_.push_back(model);
  wake_.notify_one();
  return std::nullopt;
}

std::string Clouds::look_up(const std::string& model) {
  prony_http::Input nobody(-1);
  prony_http::Server server({url_, "", ca_file_, server_patience_ns, server_patience_ns}, nobody);
  const auto call = server.caller();
  const auto tags = prony_http::get_json(call, "/api/tags", server_patience_ns);
  if (!tags || !prony_http::member(*tags, "models").is_array()) return by_name(model);
  for (const json& row : prony_http::member(*tags, "models")) {
    if (!same_model(model, prony_http::text_of(row, "name")) && !same_model(model, prony_http::text_of(row, "model")))
      continue;
    return elsewhere_in(row);
  }
  const auto show = prony_http::post_json(call, "/api/show", {{"model", model}}, server_patience_ns);
  if (show)
    if (const std::string told = elsewhere_in(*show); !told.empty()) return told;
  return by_name(model);
}

void Clouds::ask(const std::stop_token& stop) {
  while (true) {
    std::string model;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return !wanted_.empty(); })) return;
      model = std::move(wanted_.front());
      wanted_.pop_front();
    }
    std::string where = look_up(model);
    const std::lock_guard lock(mutex_);
    known_[model] = std::move(where);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = ::write(told_, &one, sizeof one);
  }
}

}  // namespace prony_proxy
