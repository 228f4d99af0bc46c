#include "clouds.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "remote_model.hpp"
#include "server.hpp"

namespace prony_proxy {

namespace {

constexpr std::size_t most_models = 1000;  // names come from clients
constexpr std::int64_t server_patience_ns = 1'500'000'000;

}  // namespace

std::string Clouds::by_name(const std::string& model) { return prony_http::cloud_by_name(model); }

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
  return prony_http::cloud_of(model, server.caller(), server_patience_ns);
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
