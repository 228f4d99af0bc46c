// What strangers meet: the text that Prometheus scrapes, the web configuration, the gate. Bugs in mind: a lock that is
// not understood and left open, a prefix of a password that passes, a label that breaks out of its quotes, an absent
// value told as 0, gauges named as counters. HTTP itself is met in tests/e2e/test_monitor.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sinks/http_door.hpp"
#include "sinks/microhttpd.hpp"
#include "sinks/open_metrics.hpp"
#include "sinks/web_config.hpp"

#if __has_include(<microhttpd.h>)
#include <microhttpd.h>
#endif

namespace prony {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

#if __has_include(<microhttpd.h>)
static_assert(microhttpd::use_tls == MHD_USE_TLS && microhttpd::use_auto == MHD_USE_AUTO &&
              microhttpd::use_internal_polling_thread == MHD_USE_INTERNAL_POLLING_THREAD &&
              microhttpd::allow_suspend_resume == MHD_ALLOW_SUSPEND_RESUME);
static_assert(microhttpd::option_memory_limit == MHD_OPTION_CONNECTION_MEMORY_LIMIT &&
              microhttpd::option_connection_limit == MHD_OPTION_CONNECTION_LIMIT &&
              microhttpd::option_timeout == MHD_OPTION_CONNECTION_TIMEOUT &&
              microhttpd::option_notify_completed == MHD_OPTION_NOTIFY_COMPLETED &&
              microhttpd::option_per_ip_limit == MHD_OPTION_PER_IP_CONNECTION_LIMIT &&
              microhttpd::option_https_key == MHD_OPTION_HTTPS_MEM_KEY &&
              microhttpd::option_https_certificate == MHD_OPTION_HTTPS_MEM_CERT &&
              microhttpd::option_https_priorities == MHD_OPTION_HTTPS_PRIORITIES &&
              microhttpd::option_listen_socket == MHD_OPTION_LISTEN_SOCKET &&
              microhttpd::option_notify_connection == MHD_OPTION_NOTIFY_CONNECTION &&
              microhttpd::option_end == MHD_OPTION_END);
static_assert(microhttpd::kind_header == MHD_HEADER_KIND && microhttpd::respmem_must_copy == MHD_RESPMEM_MUST_COPY &&
              microhttpd::feature_tls == MHD_FEATURE_TLS && microhttpd::notify_closed == MHD_CONNECTION_NOTIFY_CLOSED &&
              microhttpd::info_connection_fd == MHD_CONNECTION_INFO_CONNECTION_FD);
#endif

constexpr const char* hash = "$2b$05$ujSmYdI8vqtwuebJJoS.DOu.0Apl98/LOKtjAgWv0W7lYqPrIyPr6";  // of "pass word:1"

StreamHead labelled_head() {
  StreamHead made;
  made.host = "box";
  made.version = "1";
  Series series;
  series.name = "rapl.package-0.gross_j";
  series.kind = SeriesKind::gross;
  series.channel.name = "rapl.package-0.energy";
  series.channel.sensor = "rapl";
  series.channel.device = "intel-rapl:0";
  series.channel.domain = "package-0";
  series.channel.measure = Measure::energy;
  series.channel.kind = ChannelKind::counter;
  made.series.push_back(series);
  series.kind = SeriesKind::charged;
  series.target = "a\"b\\c\nd\xFF";
  made.series.push_back(series);
  Series warm;
  warm.channel.measure = Measure::temperature;
  warm.channel.domain = "cpu";
  made.series.push_back(warm);
  return made;
}

TEST(Prometheus, CountersEndInTotalAndCarryTheirLabelsInBothFormats) {
  const StreamHead h = labelled_head();
  const auto families = metric_families(h);
  const Frame frame{Instant{1}, 1'500'000'000, 0, {0.1, 2e9, std::nullopt}};
  const std::string old = exposition({h, families, &frame, false});
  const std::string labels =
      "{host=\"box\",sensor=\"rapl\",channel=\"rapl.package-0.energy\",device=\"intel-rapl:0\",domain=\"package-0\","
      "origin=\"measured\"";
  EXPECT_THAT(old,
              HasSubstr("# TYPE prony_energy_joules_total counter\nprony_energy_joules_total" + labels + "} 0.1\n"));
  EXPECT_THAT(old,
              HasSubstr("prony_charged_energy_joules_total" + labels + ",target=\"a\\\"b\\\\c\\nd\uFFFD\"} 2e+09\n"));
  EXPECT_THAT(old, HasSubstr("prony_frame_timestamp_seconds{host=\"box\"} 1.5\n"));
  EXPECT_THAT(old, Not(HasSubstr("EOF")));
  EXPECT_THAT(old, Not(HasSubstr("celsius")));  // absent is absent, its family too
  const std::string open = exposition({h, families, &frame, true});
  EXPECT_THAT(open, HasSubstr("# TYPE prony_energy_joules counter\n# UNIT prony_energy_joules joules\n"
                              "prony_energy_joules_total" +
                              labels + "} 0.1\n"));
  EXPECT_TRUE(open.ends_with("# EOF\n"));
}

TEST(Prometheus, WithoutAFreshFrameNothingIsTold) {
  const StreamHead h = labelled_head();
  const std::string text = exposition({h, metric_families(h), nullptr, false});
  EXPECT_THAT(text, HasSubstr("prony_build_info"));
  EXPECT_THAT(text, Not(HasSubstr("prony_energy")));
  EXPECT_THAT(text, Not(HasSubstr("timestamp")));
}

TEST(WebConfigs, OfPrometheusAreReadAndWhatIsNotUnderstoodIsRefused) {
  const auto config = parse_web_config(
      "# ours\ntls_server_config:\n  cert_file: 'c.pem'  # beside\n  key_file: \"k.pem\"\n"
      "  min_version: TLS13\n\nbasic_auth_users:\n  alice: " +
          std::string(hash) + "\n  \"bob b\": " + hash + "\n",
      "web.yml");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->certificate_file, "c.pem");
  EXPECT_EQ(config->key_file, "k.pem");
  EXPECT_TRUE(config->tls13_only);
  EXPECT_EQ(config->users.size(), 2u);
  EXPECT_EQ(config->users.at("bob b"), hash);
  const std::string alice = "  alice: " + std::string(hash) + "\n";
  for (const std::string& wrong :
       {std::string(), std::string("basic_auth_users:\n"), "basic_auth_users:\n" + alice + alice,
        std::string("basic_auth_users:\n  alice: secret\n"), "basic_auth_users: {}\n" + alice,
        std::string("tls_server_config:\n  cert_file: c\n"),
        "basic_auth_users:\n" + alice + "tls_server_config:\n  cert_file: c\n  key_file: k\n  client_ca_file: ca\n",
        "basic_auth_users:\n" + alice + "http_server_config:\n  headers: x\n", "basic_auth_users:\n- " + alice,
        "\tbasic_auth_users:\n" + alice, "basic_auth_users:\n  alice: &a " + std::string(hash) + "\n", alice})
    EXPECT_FALSE(parse_web_config(wrong, "web.yml")) << wrong;
}

TEST(WebConfigs, ThePasswordsOfAGateAreWholeOnesAndOneThatWasRightIsKnownAgain) {
  auto gate = Gate::make({{}, {}, false, {{"alice", hash}}});
  if (!gate) GTEST_SKIP() << gate.error().what;
  using Answer = Gate::Answer;
  // Also by comparing, where it has to be.
  const auto passes = [&](const char* header) {
    const Gate::Look look = gate->look(header);
    return look.answer == Answer::pass || (look.answer == Answer::compare && gate->compare(look.guess));
  };
  EXPECT_TRUE(passes("Basic YWxpY2U6cGFzcyB3b3JkOjE="));   // alice:pass word:1
  EXPECT_TRUE(passes("basic YWxpY2U6cGFzcyB3b3JkOjE="));   // the scheme has no case
  EXPECT_FALSE(passes("Basic YWxpY2U6cGFzcyB3b3JkOg=="));  // one letter less
  EXPECT_FALSE(passes("Basic bWFsOnBhc3Mgd29yZDox"));      // mal:pass word:1
  for (const char* wrong :
       {static_cast<const char*>(nullptr), "Basic YWxpY2U=", "Basic !!!!", "Bearer YWxpY2U6cGFzcyB3b3JkOjE="})
    EXPECT_EQ(gate->look(wrong).answer, Answer::refuse);
  EXPECT_EQ(gate->look("Basic YWxpY2U6cGFzcyB3b3JkOjE=").answer, Answer::compare);
  gate->remember({"alice", "pass word:1"});
  EXPECT_EQ(gate->look("Basic YWxpY2U6cGFzcyB3b3JkOjE=").answer, Answer::pass);
  EXPECT_EQ(gate->look("Basic YWxpY2U6cGFzcyB3b3JkOg==").answer, Answer::compare);
  EXPECT_EQ(gate->look("Basic bWFsOnBhc3Mgd29yZDox").answer, Answer::compare);
}

TEST(WebConfigs, SecretsAreTheSameOnlyAsAWhole) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* other : {"", "a", "ab", "abd", "abcabc", "abca"}) EXPECT_FALSE(same_secret("abc", other)) << other;
  EXPECT_FALSE(same_secret("", "a"));
  EXPECT_TRUE(same_secret("", ""));
}

TEST(WebConfigs, Base64IsReadWholeOrNotAtAll) {
  EXPECT_EQ(from_base64("YTpi"), "a:b");
  EXPECT_EQ(from_base64("YTo="), "a:");
  EXPECT_EQ(from_base64(""), "");
  for (const char* wrong : {"YTp", "YT=p", "Y===", "YTp i", "YTp\n"})
    EXPECT_EQ(from_base64(wrong), std::nullopt) << wrong;
}

TEST(Doors, ListenOnTheLoopbackUnlessTold) {
  EXPECT_EQ(parse_door_address("", 9788)->address, "127.0.0.1");
  EXPECT_EQ(parse_door_address("9100", 9788)->address, "127.0.0.1");
  EXPECT_EQ(parse_door_address("9100", 9788)->port, 9100);
  EXPECT_EQ(parse_door_address("[::1]:9100", 9788)->address, "::1");
  EXPECT_TRUE(parse_door_address("localhost:1", 9788)->loopback());
  EXPECT_EQ(parse_door_address(":9100", 9788)->address, "");
  EXPECT_FALSE(parse_door_address(":9100", 9788)->loopback());
  EXPECT_FALSE(parse_door_address("0.0.0.0:9100", 9788)->loopback());
  for (const char* wrong : {"x", "1.2.3:9100", "host:9100", "1.2.3.4:", "1.2.3.4:70000", "-1", "+1", ":"})
    EXPECT_FALSE(parse_door_address(wrong, 9788)) << wrong;
}

}  // namespace
}  // namespace prony
