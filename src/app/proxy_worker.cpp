#include "app/proxy_worker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "app/beside.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr std::string_view program = "prony-proxy";
constexpr auto hello_patience = std::chrono::seconds(10);
constexpr std::int64_t stop_patience_ns = 10'000'000'000;
constexpr std::size_t longest_line = std::size_t{1} << 20;

}  // namespace

Result<std::unique_ptr<ProxyWorker>> ProxyWorker::start(const std::vector<std::string>& arguments) {
  const auto found = find_beside_or_in_path(program);
  if (!found)
    return fail(ErrorCode::absent, "the process that passes requests on is not installed", std::string(program),
                "It is built and installed beside prony:  make build");
  SpawnOptions options;
  options.arguments = {*found};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  // Sockets, not pipes: whoever writes to one that nobody reads any more gets an error, never a signal.
  std::array<int, 2> to{-1, -1}, from{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to.data()) != 0 ||
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, from.data()) != 0)
    return Unexpected<Error>(error_from_errno(errno, *found, "cannot connect to the proxy"));
  const Fd its_input(to[1]), its_output(from[1]);
  Fd to_it(to[0]), from_it(from[0]);
  options.stdin_fd = its_input.get();
  options.stdout_fd = its_output.get();
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  std::unique_ptr<ProxyWorker> worker(new ProxyWorker(std::move(*child), std::move(to_it), std::move(from_it)));
  if (auto hello = worker->take_hello(); !hello) {
    worker->child_.signal(SIGKILL);
    (void)worker->child_.wait();
    return Unexpected<Error>(hello.error());
  }
  return worker;
}

ProxyWorker::~ProxyWorker() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  (void)::shutdown(from_.get(), SHUT_RD);
}

// False: it has said all, or it took too long.
bool ProxyWorker::read_some(int patience_ms) {
  pollfd ready{from_.get(), POLLIN, 0};
  if (::poll(&ready, 1, patience_ms) <= 0) return false;
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(from_.get(), buffer.data(), buffer.size());
  if (got <= 0) return got < 0 && errno == EINTR;
  read_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

Result<void> ProxyWorker::take_hello() {
  const auto deadline = std::chrono::steady_clock::now() + hello_patience;
  while (read_.find('\n') == std::string::npos) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !read_some(static_cast<int>(left.count())) || read_.size() > longest_line)
      return fail(ErrorCode::unavailable, "the proxy did not begin", std::string(program), "What it said is above.");
  }
  const std::size_t end = read_.find('\n');
  const auto told = nlohmann::json::parse(read_.substr(0, end), nullptr, false);
  read_.erase(0, end + 1);
  if (!told.is_object())
    return fail(ErrorCode::malformed, "the proxy begins with what is no JSON", std::string(program));
  if (const auto error = told.find("error"); error != told.end() && error->is_object())
    return fail(error->value("code", "") == "usage" ? ErrorCode::usage : ErrorCode::unavailable,
                printable(error->value("message", ""), 600), {},
                "An address is written as HOST:PORT, the server as http://HOST:PORT or https://HOST:PORT.");
  hello_.listening = told.value("listening", "");
  hello_.to = told.value("to", "");
  hello_.elsewhere = told.value("elsewhere", "");
  hello_.port = told.value("port", std::uint16_t{0});
  hello_.server_port = told.value("server_port", std::uint16_t{0});
  hello_.taken_over = told.value("taken_over", false);
  return {};
}

void ProxyWorker::listen(std::function<void(const nlohmann::json&)> line, std::function<void()> gone) {
  thread_ = std::jthread([this, line = std::move(line), gone = std::move(gone)](const std::stop_token& stop) {
    do {
      std::size_t from = 0;
      for (std::size_t end = read_.find('\n'); end != std::string::npos; end = read_.find('\n', from)) {
        const auto told = nlohmann::json::parse(read_.substr(from, end - from), nullptr, false);
        if (told.is_object()) line(told);
        from = end + 1;
      }
      read_.erase(0, from);
      if (read_.size() > longest_line) read_.clear();
    } while (!stop.stop_requested() && read_some(-1));
    gone();
  });
}

void ProxyWorker::say(const nlohmann::json& message) {
  const std::string line = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::scoped_lock lock(say_mutex_);
  (void)::send(to_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ProxyWorker::stop() {
  say({{"type", "stop"}});
  auto ended = child_.wait(stop_patience_ns);
  if (ended && !*ended) {
    child_.signal(SIGKILL);
    (void)child_.wait();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace prony::app
