// A management controller: where its power is found, sessions, and what is secret.
#include <gtest/gtest.h>

#include <map>

#include "machine/lines.hpp"
#include "machine/meter_port.hpp"
#include "machine/network.hpp"
#include "machine/simulated.hpp"
#include "sensors/meter_rows.hpp"

namespace prony {
namespace {

struct Bmc final : SimulatedMachine, MeterPort {
  std::map<std::string, std::string> pages{
      {"/redfish/v1/", R"({"Chassis":{"@odata.id":"/redfish/v1/Chassis"}})"},
      {"/redfish/v1/Chassis",
       R"({"Members":[{"@odata.id":"/redfish/v1/Chassis/Box"},{"@odata.id":"/redfish/v1/Chassis/1"}]})"},
      {"/redfish/v1/Chassis/Box", R"({"Id":"Box"})"},
      {"/redfish/v1/Chassis/1", R"({"Power":{"@odata.id":"/redfish/v1/Chassis/1/Power"}})"},
      {"/redfish/v1/Chassis/1/Power", R"({"PowerControl":[{"PowerConsumedWatts":344},{"PowerConsumedWatts":9}]})"}};
  std::string password, token = "t1";
  int logins = 0, farewells = 0;
  bool leaked = false;

  Result<std::unique_ptr<LineSource>> open_lines(const LineRequest& /*request*/) override {
    return fail(ErrorCode::unavailable, "no lines", {});
  }
  Result<std::unique_ptr<Network>> open_network() override {
    return make_function_network([this](const HttpRequest& request) { return answer(request); });
  }
  Result<HttpResponse> answer(const HttpRequest& request) {
    const std::string path = request.url.substr(request.url.find('/', 8));
    leaked = leaked || (!password.empty() && request.url.find(password) != std::string::npos);
    if (request.method == "POST") {
      ++logins;
      if (request.body.find("\"Password\":\"" + password + "\"") == std::string::npos) return HttpResponse{401, "", {}};
      return HttpResponse{201, "{}", {{"x-auth-token", token}, {"location", "https://bmc/redfish/v1/Sessions/7"}}};
    }
    if (request.method == "DELETE") return farewells += path == "/redfish/v1/Sessions/7", HttpResponse{204, "", {}};
    const bool in = !request.headers.empty() && request.headers[0] == "X-Auth-Token: " + token;
    if (!password.empty() && path != "/redfish/v1/" && !in) return HttpResponse{401, "", {}};
    const auto page = pages.find(path);
    return page == pages.end() ? HttpResponse{404, "", {}} : HttpResponse{200, page->second, {}};
  }
  Probe probe(std::string user = {}, std::string secret = {}) {
    auto meter = *parse_meter("redfish://192.0.2.9");
    meter.user = std::move(user), meter.password = std::move(secret);
    name_meters({std::move(meter)});
    return make_redfish(*this, {});
  }
};

// Kills: the power of a second, smaller control taken or added; EnvironmentMetrics passed over.
TEST(Redfish, ItsPowerIsThatOfTheChassisThatTellsOneAndTheBestFormWins) {
  Bmc bmc;
  auto probe = bmc.probe();
  ASSERT_TRUE(probe.sensor) << probe.unavailable.at(0).reason;
  std::vector<Reading> readings(1);
  probe.sensor->read(readings);
  EXPECT_EQ(readings[0].raw, 344'000);
  EXPECT_EQ(probe.sensor->channels()[0].name, "redfish.wall.power");
  EXPECT_EQ(probe.sensor->channels()[0].resolution, 1000);  // it writes whole watts
  bmc.pages["/redfish/v1/Chassis/1"] =
      R"({"Power":{"@odata.id":"/redfish/v1/Chassis/1/Power"},"EnvironmentMetrics":{"@odata.id":"/m"}})";
  bmc.pages["/m"] = R"({"PowerWatts":{"Reading":345.5},"EnergykWh":{"Reading":1.5}})";
  probe = bmc.probe();
  ASSERT_TRUE(probe.sensor);
  readings.resize(2);
  probe.sensor->read(readings);
  EXPECT_EQ(readings[0].raw, 345'500);
  const Channel& energy = probe.sensor->channels()[1];
  EXPECT_DOUBLE_EQ(static_cast<double>(readings[1].raw) * energy.scale, 1.5 * 3.6e6);
  EXPECT_FALSE(energy.coverage_known);
}

TEST(Redfish, OneSessionServesAllRequestsIsMadeAnewWhenItEndsAndIsClosedAtTheEnd) {
  Bmc bmc;
  bmc.password = "hunter2";
  {
    const auto probe = bmc.probe("root", "hunter2");
    ASSERT_TRUE(probe.sensor) << probe.unavailable.at(0).reason;
    EXPECT_EQ(bmc.logins, 1);
    std::vector<Reading> readings(1);
    bmc.token = "t2";  // the old session has ended
    probe.sensor->read(readings);
    EXPECT_EQ(readings[0].quality, Quality::ok);
    EXPECT_EQ(bmc.logins, 2);
  }
  EXPECT_EQ(bmc.farewells, 1);
  EXPECT_FALSE(bmc.leaked);
}

// Kills: a wrong password that is tried until the controller locks the user out.
TEST(Redfish, AWrongPasswordIsTriedOnceAndNamedWithoutIt) {
  Bmc bmc;
  bmc.password = "hunter2";
  const auto probe = bmc.probe("root", "wrong1");
  ASSERT_FALSE(probe.sensor);
  EXPECT_EQ(bmc.logins, 1);
  const Unavailable& told = probe.unavailable.at(0);
  EXPECT_NE(told.reason.find("refused"), std::string::npos);
  EXPECT_EQ((told.reason + told.remedy).find("wrong1"), std::string::npos);
}

TEST(Redfish, WhatIsNoServiceAndLinksThatLeadElsewhereAreToldAndNotFollowed) {
  Bmc bmc;
  bmc.pages["/redfish/v1/"] = R"({"Chassis":{"@odata.id":"http://elsewhere/x"}})";
  EXPECT_FALSE(bmc.probe().sensor);
  bmc.pages["/redfish/v1/"] = "<html>";
  EXPECT_NE(bmc.probe().unavailable.at(0).reason.find("no JSON"), std::string::npos);
  bmc.pages.clear();
  EXPECT_NE(bmc.probe().unavailable.at(0).reason.find("404"), std::string::npos);
}

}  // namespace
}  // namespace prony
