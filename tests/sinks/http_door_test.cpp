// A door, clients that are slow, and strangers. Bugs in mind: one who guesses passwords and so keeps those out who know
// them, by the rate of all or by the time that a hash takes; an answer that throws and takes the program with it; a
// page in a browser that reads or writes what listens on the loopback. Other requests are met in
// tests/e2e/test_monitor.py.
#include "sinks/http_door.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../support/wall_times.hpp"
#include "base/fd.hpp"
#include "sinks/door_keeper.hpp"
#include "sinks/door_names.hpp"

namespace prony {
namespace {

using ::testing::HasSubstr;

// A client on the loopback; its reads wait until something comes or the other side has closed.
class Client {
 public:
  // `from`: the last number of the loopback address that it comes from.
  explicit Client(std::uint16_t port, std::uint32_t from = 1)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + from);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
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

  // Whether anything has come back yet.
  [[nodiscard]] bool heard() const {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
  }

 private:
  Fd socket_;
};

constexpr const char* token = "0123456789abcdef0123456789abcdef";

// The first line of the answer.
std::string asked(std::uint16_t port, const std::string& headers, std::uint32_t from = 1,
                  const std::string& request = "GET / HTTP/1.1") {
  const Client client(port, from);
  client.say(request + "\r\n" + headers + "Connection: close\r\n\r\n");
  const std::string all = client.hear();
  return all.substr(0, all.find('\r'));
}

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
  one.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
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

  auto patient = door_with(3600 * second_ns);
  ASSERT_TRUE(patient);
  const Client other((*patient)->port());
  other.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
  (*patient)->sweep();
  other.say("Connection: close\r\n\r\n");
  EXPECT_THAT(other.hear(), HasSubstr("told\n"));
}

// Kills: one rate for all, which whoever knows nothing uses up for those who do.
TEST(Doors, StrangersWhoAskTooOftenKeepNobodyOutWhoComesFromElsewhereOrMayAsk) {
  DoorPlan plan;
  plan.tokens = {token};
  plan.requests = {1, 5};
  plan.requests_of_an_address = {1, 20};
  const auto door = HttpDoor::open(plan, [](const HttpQuestion&) { return HttpAnswer{200, "text/plain", "told\n"}; });
  if (!door) GTEST_SKIP() << door.error().what;
  unsigned unknown = 0, later = 0;
  for (int n = 0; n < 40; ++n) {
    const std::string said = asked((*door)->port(), "Host: localhost\r\n", 2);
    unknown += said.find(" 401 ") != std::string::npos ? 1 : 0;
    later += said.find(" 429 ") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(unknown + later, 40u);
  EXPECT_GE(unknown, 20u);
  EXPECT_GT(later, 0u);
  EXPECT_THAT(asked((*door)->port(), "Host: localhost\r\nAuthorization: Bearer " + std::string(token) + "\r\n", 3),
              HasSubstr(" 200 "));
}

// Kills: an exception that leaves through libmicrohttpd's C and ends the program.
TEST(Doors, AnAnswerThatThrowsIsSaidToBeAMistakeAndTheNextIsAnswered) {
  std::atomic<int> questions = 0;
  const auto door = HttpDoor::open({}, [&](const HttpQuestion&) -> HttpAnswer {
    if (questions++ == 0) throw std::runtime_error("not UTF-8");
    return {200, "text/plain", "told\n"};
  });
  if (!door) GTEST_SKIP() << door.error().what;
  EXPECT_THAT(asked((*door)->port(), "Host: localhost\r\n"), HasSubstr(" 500 "));
  EXPECT_THAT(asked((*door)->port(), "Host: localhost\r\n"), HasSubstr(" 200 "));
}

// Kills: pages that have a name of their own resolve to 127.0.0.1, or post there from elsewhere.
TEST(Doors, OnTheLoopbackItIsAskedForByItsOwnNamesAndNotFromPagesOfOthers) {
  DoorPlan plan;
  plan.names = {"prony.lan"};
  plan.most_body_bytes = 100;
  plan.requests_of_an_address = {};
  const auto door = HttpDoor::open(plan, [](const HttpQuestion&) { return HttpAnswer{200, "text/plain", "told\n"}; });
  if (!door) GTEST_SKIP() << door.error().what;
  const std::uint16_t port = (*door)->port();
  for (const char* own :
       {"localhost", "LOCALHOST:1", "127.0.0.1:9788", "127.1.2.3", "[::1]:9788", "prony.lan", "localhost."})
    EXPECT_THAT(asked(port, "Host: " + std::string(own) + "\r\n"), HasSubstr(" 200 ")) << own;
  for (const char* other : {"evil.org", "evil.org:9788", "127.evil.org", "localhost.evil.org", "10.0.0.1", "0.0.0.0",
                            "[::]", "x@localhost", "127.0.0.1:x"})
    EXPECT_THAT(asked(port, "Host: " + std::string(other) + "\r\n"), HasSubstr(" 421 ")) << other;
  const auto from = [&](const std::string& origin) {
    return asked(port, "Host: localhost:1\r\nOrigin: " + origin + "\r\nContent-Length: 0\r\n", 1, "POST / HTTP/1.1");
  };
  EXPECT_THAT(from("http://localhost:1"), HasSubstr(" 200 "));
  for (const char* other : {"https://evil.org", "null", "http://localhost.evil.org", "http://"})
    EXPECT_THAT(from(other), HasSubstr(" 403 ")) << other;
}

TEST(DoorNames, BeyondTheLoopbackAnyNameWillDoUnlessSomeAreNamed) {
  DoorNames names{false, "box", {}};
  EXPECT_TRUE(names.answer_to("evil.org"));
  EXPECT_FALSE(names.foreign("https://box.lan", "box.lan:9788"));
  EXPECT_TRUE(names.foreign("https://evil.org", "box.lan:9788"));
  EXPECT_TRUE(names.foreign("http://localhost", "box.lan:9788"));  // a page of the browser's own machine
  names.more = {"Box.lan"};
  EXPECT_TRUE(names.answer_to("box.LAN:9788"));
  EXPECT_TRUE(names.answer_to("box"));
  EXPECT_TRUE(names.answer_to("10.0.0.1"));
  EXPECT_FALSE(names.answer_to("evil.org"));
  names.more = {"*"};
  EXPECT_TRUE(names.answer_to("evil.org"));
  EXPECT_FALSE(names.foreign("https://evil.org", "box.lan"));
  EXPECT_EQ(asked_host("[::1"), std::nullopt);
  EXPECT_EQ(asked_host(""), std::nullopt);
  EXPECT_EQ(asked_host("[FE80::1]:1"), "fe80::1");
}

struct Keepers : ::testing::Test {
  std::mutex mutex;
  std::condition_variable changed;
  bool compares = false, goes_on = false;
  std::vector<bool> told;
  // Compares one until it is let go on; the password "right" is.
  DoorKeeper keeper{[this](const Guess& guess) {
                      std::unique_lock lock(mutex);
                      compares = true;
                      changed.notify_all();
                      changed.wait(lock, [&] { return goes_on; });
                      return guess.password == "right";
                    },
                    [] {}, std::chrono::hours(1)};
  void TearDown() override { let_go(); }
  bool ask(const std::string& password) {
    return keeper.ask(
        {"a", password}, [] {},
        [this](bool right) {
          const std::scoped_lock lock(mutex);
          told.push_back(right);
          changed.notify_all();
        });
  }
  void let_go() {
    const std::scoped_lock lock(mutex);
    goes_on = true;
    changed.notify_all();
  }
  void wait_for(const std::function<bool()>& what) {
    std::unique_lock lock(mutex);
    changed.wait(lock, what);
  }
};

TEST_F(Keepers, AFewMayWaitAndEachIsToldOnceWhatIsTrueOfIt) {
  ASSERT_TRUE(ask("wrong"));
  wait_for([&] { return compares; });
  std::size_t taken = 0;
  while (taken < 100 && ask(taken % 2 == 0 ? "right" : "wrong")) ++taken;
  EXPECT_EQ(taken, DoorKeeper::places);
  let_go();
  wait_for([&] { return told.size() == 1 + taken; });
  for (std::size_t n = 0; n < told.size(); ++n) EXPECT_EQ(told[n], n % 2 == 1) << n;
}

// Kills: a held connection that nobody lets go, for which libmicrohttpd ends the whole program at its stop.
TEST_F(Keepers, WhoeverStillWaitsAtTheEndIsToldThatItWasWrong) {
  ASSERT_TRUE(ask("right"));
  wait_for([&] { return compares; });
  ASSERT_TRUE(ask("right"));
  std::thread closes([&] { keeper.close(); });
  let_go();
  closes.join();
  EXPECT_EQ(told.size(), 2u);
  EXPECT_FALSE(ask("right"));
}

// Of "pass word:1": 2^5 rounds, and 2^14, which take a second or so.
constexpr const char* quick_hash = "$2b$05$ujSmYdI8vqtwuebJJoS.DOu.0Apl98/LOKtjAgWv0W7lYqPrIyPr6";
constexpr const char* slow_hash = "$2b$14$ujSmYdI8vqtwuebJJoS.DOW6MMSQt/DYmY1cIbIMKk2pZZ.joDDKW";
const std::string right = "Host: localhost\r\nAuthorization: Basic YWxpY2U6cGFzcyB3b3JkOjE=\r\n";

// Kills: a hash that is compared where requests are answered; an answer for who is held that never comes.
TEST(Doors, WhileAPasswordIsComparedOthersAreAnswered) {
  DoorPlan plan;
  plan.tokens = {token};
  plan.web.users = {{"alice", quick_hash}, {"bob", slow_hash}};
  const auto door = HttpDoor::open(plan, [](const HttpQuestion&) { return HttpAnswer{200, "text/plain", "told\n"}; });
  if (!door) GTEST_SKIP() << door.error().what;
  const std::uint16_t port = (*door)->port();
  EXPECT_THAT(asked(port, right), HasSubstr(" 200 "));
  const Client guesses(port, 2);
  guesses.say("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Ym9iOng=\r\nConnection: close\r\n\r\n");
  for (int n = 0; n < 3; ++n) {
    EXPECT_THAT(asked(port, right), HasSubstr(" 200 "));  // known by now
    EXPECT_THAT(asked(port, "Host: localhost\r\nAuthorization: Bearer " + std::string(token) + "\r\n"),
                HasSubstr(" 200 "));
  }
  EXPECT_FALSE(guesses.heard()) << "its hash was compared before the others were answered";
  EXPECT_THAT(guesses.hear(), HasSubstr(" 401 "));
}

TEST(Doors, ABodyIsReadAfterThePasswordWasFoundRightAndNotAfterAWrongOne) {
  DoorPlan plan;
  plan.web.users = {{"alice", quick_hash}};
  plan.most_body_bytes = 100;
  std::string body;
  const auto door = HttpDoor::open(plan, [&](const HttpQuestion& question) {
    body = question.body;
    return HttpAnswer{200, "text/plain", "told\n"};
  });
  if (!door) GTEST_SKIP() << door.error().what;
  const auto post = [&](const std::string& headers) {
    const Client client((*door)->port());
    client.say("POST / HTTP/1.1\r\n" + headers + "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
    return client.hear();
  };
  EXPECT_THAT(post("Host: localhost\r\nAuthorization: Basic YWxpY2U6eHg=\r\n"), HasSubstr(" 401 "));
  EXPECT_EQ(body, "");
  EXPECT_THAT(post(right), HasSubstr(" 200 "));
  EXPECT_EQ(body, "hello");
}

// Kills: a stop that waits for ever for who is held, or ends the program because of them.
TEST(Doors, AStopWhilePasswordsAreComparedEndsInOrder) {
  DoorPlan plan;
  plan.web.users = {{"bob", slow_hash}};
  auto door = HttpDoor::open(plan, [](const HttpQuestion&) { return HttpAnswer{200, "text/plain", "told\n"}; });
  if (!door) GTEST_SKIP() << door.error().what;
  std::vector<std::unique_ptr<Client>> guessing;
  for (std::uint32_t n = 0; n < 3; ++n) {
    guessing.push_back(std::make_unique<Client>((*door)->port(), 2 + n));
    guessing.back()->say("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Ym9iOng=\r\n\r\n");
  }
  EXPECT_THAT(asked((*door)->port(), "Host: localhost\r\n"), HasSubstr(" 401 "));  // they were met before
  door->reset();
  for (const auto& one : guessing) EXPECT_THAT(one->hear(), ::testing::Not(HasSubstr(" 200 ")));
}

// From here on this thread's kernel has no IPv6: socket(AF_INET6, …) fails as there.
bool forget_ipv6() {
  const auto type = static_cast<std::uint32_t>(offsetof(struct seccomp_data, args[0]));
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, type),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{6, rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
         ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

TEST(Doors, EveryAddressIsThatOfVersionFourWhereTheKernelHasNoOther) {
  bool forgotten = false;
  Result<Fd> listener = fail(ErrorCode::unavailable, "not tried");
  std::thread([&] {
    forgotten = forget_ipv6();
    if (forgotten) listener = listen_on({"", 0}, "");
  }).join();
  if (!forgotten) GTEST_SKIP() << "no seccomp filter here";
  ASSERT_TRUE(listener) << listener.error().what;
  const Client client(port_of(listener->get()));  // expects that it gets through
}

}  // namespace
}  // namespace prony
