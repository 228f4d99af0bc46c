// A door and clients that are slow; other requests are met in tests/e2e/test_monitor.py.
#include "sinks/http_door.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>

#include "base/fd.hpp"

namespace prony {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t second = 1'000'000'000;

// A client on the loopback; its reads wait until something comes or the other side has closed.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Until the connection is closed.
  [[nodiscard]] std::string hear() const {
    std::string heard;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 1; got > 0;) {
      got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (got > 0) heard.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return heard;
  }

  // A byte after the other, never idle, until the connection is closed; what came back.
  [[nodiscard]] std::string drip() const {
    std::string heard;
    std::array<char, 4096> buffer{};
    while (true) {
      (void)::send(socket_.get(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      const auto got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got > 0) heard.append(buffer.data(), static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return heard;
      std::this_thread::yield();
    }
  }

 private:
  Fd socket_;
};

Result<std::unique_ptr<HttpDoor>> door_with(std::int64_t most_request_ns) {
  DoorPlan plan;
  plan.most_request_ns = most_request_ns;
  return HttpDoor::open(plan, [](const HttpQuestion&) { return HttpAnswer{200, "text/plain", "told\n"}; });
}

// Kills: a request that is sent a byte a minute and holds its connection for ever; a limit that cuts whoever is there.
TEST(Doors, ARequestThatDoesNotComeToAnEndIsCutAndOneThatCameIsNot) {
  auto slow = door_with(1);
  if (!slow) GTEST_SKIP() << slow.error().what;
  const Client one((*slow)->port());
  one.say("GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  // The door hears of the connection on a thread of its own: swept until it is cut.
  std::jthread sweeper([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      (*slow)->sweep();
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(one.drip(), "") << "it was not the time that ended it but the size";
  sweeper.request_stop();
  sweeper.join();

  auto patient = door_with(3600 * second);
  ASSERT_TRUE(patient);
  const Client other((*patient)->port());
  other.say("GET /metrics HTTP/1.1\r\nHost: a\r\n");
  (*patient)->sweep();
  other.say("Connection: close\r\n\r\n");
  EXPECT_THAT(other.hear(), HasSubstr("told\n"));
}

}  // namespace
}  // namespace prony
