// Networks: what a Machine without one says, and functions in the place of devices.
#include "machine/network.hpp"

#include <atomic>

namespace prony {

namespace {

class FunctionNetwork final : public Network {
 public:
  FunctionNetwork(HttpFunction http, TcpFunction tcp) : http_(std::move(http)), tcp_(std::move(tcp)) {}
  [[nodiscard]] Result<HttpResponse> http(const HttpRequest& request) override {
    if (interrupted_) return fail(ErrorCode::gone, "interrupted", request.url);
    if (!http_) return fail(ErrorCode::absent, "no such host on this machine", request.url);
    return http_(request);
  }
  [[nodiscard]] Result<std::string> tcp(const TcpRequest& request) override {
    if (interrupted_) return fail(ErrorCode::gone, "interrupted", request.host);
    if (!tcp_) return fail(ErrorCode::absent, "no such host on this machine", request.host);
    return tcp_(request);
  }
  void interrupt() noexcept override { interrupted_ = true; }

 private:
  HttpFunction http_;
  TcpFunction tcp_;
  std::atomic<bool> interrupted_ = false;
};

}  // namespace

std::string HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::unique_ptr<Network> make_function_network(HttpFunction http, TcpFunction tcp) {
  return std::make_unique<FunctionNetwork>(std::move(http), std::move(tcp));
}

}  // namespace prony
