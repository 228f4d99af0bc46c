// Plugs: what they answer, what is made of it, and what happens when they do not.
#include <gtest/gtest.h>

#include "base/interruptible.hpp"
#include "machine/lines.hpp"
#include "machine/meter_port.hpp"
#include "machine/network.hpp"
#include "machine/simulated.hpp"
#include "sensors/meter_rows.hpp"
#include "sensors/plug_dialect.hpp"
#include "sensors/wall.hpp"

namespace prony {
namespace {

JsonNumbers json(std::string_view text) {
  auto numbers = JsonNumbers::parse(text);
  EXPECT_TRUE(numbers) << text;
  return numbers ? *numbers : JsonNumbers{};
}
double joules(const PlugQuantity& quantity, const JsonNumbers& answer) {
  return static_cast<double>(counts_of(quantity, answer).value_or(-1)) * quantity.scale;
}

// Kills: a unit of another kind; a total read as power.
TEST(PlugDialect, AWattMinuteIs60JoulesAWattHour3600AndAKilowattHour3600000) {
  const auto gen1_status = json(R"({"meters":[{"power":13.37,"is_valid":true,"total":100}]})");
  const auto gen1 = shelly_gen1_plan(gen1_status, {});
  ASSERT_TRUE(gen1);
  EXPECT_EQ(gen1->asks[0].path, "/meter/0");
  const auto meter = json(R"({"power":13.37,"is_valid":true,"total":100})");
  EXPECT_DOUBLE_EQ(joules(gen1->asks[0].quantities[0], meter), 13.37);
  EXPECT_DOUBLE_EQ(joules(gen1->asks[0].quantities[1], meter), 6000);

  const auto gen2 = shelly_gen2_plan(json(R"({"switch:0":{"apower":8.9,"aenergy":{"total":6.532}},"sys":{}})"), {});
  ASSERT_TRUE(gen2);
  EXPECT_EQ(gen2->asks[0].path, "/rpc/Switch.GetStatus?id=0");
  const auto state = json(R"({"apower":8.9,"aenergy":{"total":6.532}})");
  EXPECT_DOUBLE_EQ(joules(gen2->asks[0].quantities[0], state), 8.9);
  EXPECT_DOUBLE_EQ(joules(gen2->asks[0].quantities[1], state), 6.532 * 3600);

  const auto answer = json(R"({"StatusSNS":{"ENERGY":{"Total":1.234,"Power":27}}})");
  const auto tasmota = tasmota_plan(answer, {});
  ASSERT_TRUE(tasmota);
  EXPECT_DOUBLE_EQ(joules(tasmota->asks[0].quantities[0], answer), 27);
  EXPECT_DOUBLE_EQ(joules(tasmota->asks[0].quantities[1], answer), 1.234 * 3.6e6);

  const auto new_kasa = json(R"({"emeter":{"get_realtime":{"power_mw":12345,"total_wh":7,"err_code":0}}})");
  const auto kasa = kasa_plan(new_kasa);
  ASSERT_TRUE(kasa);
  EXPECT_DOUBLE_EQ(joules(kasa->asks[0].quantities[0], new_kasa), 12.345);
  EXPECT_DOUBLE_EQ(joules(kasa->asks[0].quantities[1], new_kasa), 7 * 3600.0);
  const auto old_kasa = json(R"({"emeter":{"get_realtime":{"power":12.5,"total":0.061,"err_code":0}}})");
  const auto older = kasa_plan(old_kasa);
  ASSERT_TRUE(older);
  EXPECT_DOUBLE_EQ(joules(older->asks[0].quantities[0], old_kasa), 12.5);
  EXPECT_NEAR(joules(older->asks[0].quantities[1], old_kasa), 0.061 * 3.6e6, 1e-6);
}

// Kills: a step that is only the documented one; a trailing zero that is lost with the text.
TEST(PlugDialect, AStepIsWhatTheDeviceWritesAndNeverCoarserThanIsDocumented) {
  const auto plain = json(R"({"StatusSNS":{"ENERGY":{"Total":1.2,"Power":27}}})");
  const auto fine = json(R"({"StatusSNS":{"ENERGY":{"Total":1.23450,"Power":27.130}}})");
  const auto plan = tasmota_plan(plain, {});
  ASSERT_TRUE(plan);
  const auto& [power, energy] = std::pair(plan->asks[0].quantities[0], plan->asks[0].quantities[1]);
  EXPECT_DOUBLE_EQ(step_of(power, plain), 1);
  EXPECT_DOUBLE_EQ(step_of(energy, plain), 3600);
  EXPECT_DOUBLE_EQ(step_of(power, fine), 0.001);
  EXPECT_DOUBLE_EQ(step_of(energy, fine), 36);
}

TEST(PlugDialect, ThreePhasesAreOneSumAndSeveralOutletsMustBeNamed) {
  const auto three = json(R"({"emeters":[{"power":1.5,"total":10},{"power":2.5,"total":20},{"power":3,"total":30}]})");
  const auto plan = shelly_gen1_plan(three, {});
  ASSERT_TRUE(plan);
  EXPECT_DOUBLE_EQ(joules(plan->asks[0].quantities[0], three), 7);
  EXPECT_DOUBLE_EQ(joules(plan->asks[0].quantities[1], three), 60 * 3600.0);
  const auto one = shelly_gen1_plan(three, 1);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->asks[0].path, "/emeter/1");

  const auto strip = json(R"({"switch:0":{"apower":1},"switch:1":{"apower":2},"input:0":{"state":true}})");
  const auto which = shelly_gen2_plan(strip, {});
  ASSERT_FALSE(which);
  EXPECT_NE(which.error().fix.find("#channel=0"), std::string::npos);
  ASSERT_TRUE(shelly_gen2_plan(strip, 1));
  EXPECT_EQ(shelly_gen2_plan(strip, 7).error().code, ErrorCode::usage);
  const auto phases = tasmota_plan(json(R"({"StatusSNS":{"ENERGY":{"Total":1.5,"Power":[10,20,30]}}})"), {});
  ASSERT_TRUE(phases);
  EXPECT_EQ(phases->asks[0].quantities[0].paths.size(), 3u);
}

TEST(PlugDialect, WhatMeasuresNothingSaysSoAndANumberThatIsNoneIsNoZero) {
  EXPECT_EQ(shelly_gen2_plan(json(R"({"switch:0":{"output":true}})"), {}).error().code, ErrorCode::absent);
  EXPECT_EQ(shelly_gen1_plan(json(R"({"relays":[{"ison":true}]})"), {}).error().code, ErrorCode::absent);
  EXPECT_EQ(tasmota_plan(json(R"({"StatusSNS":{"Time":"x"}})"), {}).error().code, ErrorCode::absent);
  EXPECT_EQ(tasmota_plan(json(R"({"WARNING":"Need user=<username>"})"), {}).error().code, ErrorCode::denied);
  EXPECT_EQ(kasa_plan(json(R"({"emeter":{"get_realtime":{"err_code":-1}}})")).error().code, ErrorCode::absent);
  const PlugQuantity power{"power", Measure::power, {"power"}, 1, 1e-3, 0.1};
  for (const char* answer : {"{}", R"({"power":null})", R"({"power":"12"})", R"({"power":1e300})", R"({"power":true})"})
    EXPECT_FALSE(counts_of(power, json(answer))) << answer;
}

TEST(PlugDialect, KasasCipherGoesBothWaysAndItsFirstByteIsTheOneThatIsKnown) {
  const std::string wire = kasa_wrapped(R"({"emeter":{"get_realtime":{}}})");
  EXPECT_EQ(kasa_length(wire), wire.size());
  EXPECT_EQ(kasa_length(wire.substr(0, 3)), 0u);
  EXPECT_EQ(static_cast<unsigned char>(wire[4]), '{' ^ 171);
  EXPECT_EQ(static_cast<unsigned char>(wire[5]), '"' ^ static_cast<unsigned char>(wire[4]));
  EXPECT_EQ(kasa_unwrapped(wire), R"({"emeter":{"get_realtime":{}}})");
}

TEST(JsonNumbersOf, DepthWidthAndRubbishAreRefusedAndPlacesAreNamed) {
  EXPECT_EQ(JsonNumbers::parse(std::string(100'000, '[')).error().code, ErrorCode::full);
  EXPECT_EQ(JsonNumbers::parse("<html>").error().code, ErrorCode::malformed);
  EXPECT_EQ(JsonNumbers::parse(R"({"a":1)").error().code, ErrorCode::malformed);
  std::string wide = "[0";
  for (int i = 0; i < 10'000; ++i) wide += ",0";
  EXPECT_EQ(JsonNumbers::parse(wide + "]").error().code, ErrorCode::full);
  const auto nested = json(R"({"a":[null,{"b":2.50}],"c":-3e2})");
  EXPECT_DOUBLE_EQ(nested.number("a.1.b").value(), 2.5);
  EXPECT_EQ(nested.find("a.1.b")->decimals, 2);
  EXPECT_DOUBLE_EQ(nested.number("c").value(), -300);
  EXPECT_FALSE(nested.number("a.0"));
}

TEST(Meters, AnAddressIsTakenApartAndWhatIsSecretInItIsRefused) {
  const auto meter = parse_meter("lab=shelly://192.0.2.7:8080/#channel=1,login=/x y");
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->name, "lab");
  EXPECT_EQ(meter->address, "http://192.0.2.7:8080");
  EXPECT_EQ(host_of(meter->address), "192.0.2.7");
  EXPECT_EQ(meter->option("channel"), "1");
  const auto program = parse_meter("exec:read-meter --tty=/dev/ttyUSB0 --n=6#watts=2");
  ASSERT_TRUE(program);
  EXPECT_EQ(program->name, "wall");
  EXPECT_EQ(program->address, "read-meter --tty=/dev/ttyUSB0 --n=6");
  for (const char* bad : {"", "x", "shelly:192.0.2.1", "ftp://a", "=shelly://a", "a b=shelly://c", "shelly://",
                          "http://u:secret@h", "shelly://h#chan=1", "shelly://h#channel=x", "exec:", "http://h/path?x"})
    EXPECT_FALSE(parse_meter(bad)) << bad;
  EXPECT_EQ(parse_meter("http://u:secret@h").error().what.find("secret"), std::string::npos);
  EXPECT_FALSE(parse_meters({"shelly://a", "shelly://b"}));
  EXPECT_TRUE(parse_meters({"a=shelly://a", "b=shelly://b"}));
}

TEST(Meters, ALoginIsTheOneOfItsHostOrTheDefaultAndRubbishIsNotRepeated) {
  const std::string file = "# plugs\nmachine 192.0.2.7 login admin\n password s3\nmachine b login c password d\n";
  EXPECT_EQ(login_of(file, "192.0.2.7")->value().password, "s3");
  EXPECT_EQ(login_of(file, "b")->value().user, "c");
  EXPECT_FALSE(login_of(file, "x")->has_value());
  EXPECT_EQ(login_of(file + "default login e password f", "x")->value().user, "e");
  const auto rubbish = login_of("hunter2", "x");
  ASSERT_FALSE(rubbish);
  EXPECT_EQ((rubbish.error().what + rubbish.error().fix).find("hunter2"), std::string::npos);
}

// A Shelly of the second generation on a simulated machine.
struct WithPlug final : SimulatedMachine, MeterPort {
  HttpFunction http;
  Result<std::unique_ptr<Network>> open_network() override {
    if (!http) return fail(ErrorCode::unavailable, "no network", {});
    return make_function_network(http);
  }
  Result<std::unique_ptr<LineSource>> open_lines(const LineRequest& /*request*/) override {
    return fail(ErrorCode::unavailable, "no lines", {});
  }
};
struct Room {
  WithPlug machine;
  std::string answer = R"({"apower":50.5,"aenergy":{"total":1.000}})";
  long status = 200;
  std::vector<std::string> asked;
  Room() {
    machine.set_now({1'000'000'000});
    machine.http = ([this](const HttpRequest& request) -> Result<HttpResponse> {
      asked.push_back(request.url);
      if (request.url.ends_with("/shelly")) return HttpResponse{200, R"({"id":"x","gen":2})", {}};
      if (request.url.ends_with("/rpc/Shelly.GetStatus"))
        return HttpResponse{200, R"({"switch:0":)" + answer + "}", {}};
      return HttpResponse{status, answer, {}};
    });
  }
  Probe open() {
    machine.name_meters({*parse_meter("shelly://192.0.2.7")});
    return make_plug(machine, {});
  }
};

TEST(Plug, ReadsWattsAndJoulesAndAFailureIsAGapWithItsReason) {
  Room room;
  auto probe = room.open();
  ASSERT_TRUE(probe.sensor);
  const auto channels = probe.sensor->channels();
  ASSERT_EQ(channels.size(), 2u);
  EXPECT_EQ(channels[0].name, "plug.wall.power");
  EXPECT_TRUE(channels[0].coverage_known);
  EXPECT_EQ(channels[1].kind, ChannelKind::counter);
  EXPECT_FALSE(channels[1].coverage_known);  // the same joules again
  EXPECT_EQ(probe.sensor->lane(), LaneKind::blocking);
  std::vector<Reading> readings(2);
  probe.sensor->read(readings);
  EXPECT_EQ(readings[0].raw, 50'500);
  EXPECT_EQ(readings[1].raw, 1000);
  EXPECT_EQ(readings[1].quality, Quality::ok);
  for (const char* bad : {"rubbish", "{}", R"({"apower":null,"aenergy":{}})"}) {
    room.answer = bad;
    room.machine.advance(milliseconds(60'000));
    probe.sensor->read(readings);
    EXPECT_EQ(readings[0].quality, Quality::gap) << bad;
    EXPECT_EQ(readings[1].quality, Quality::gap) << bad;
    EXPECT_EQ(probe.sensor->complaints().size(), 2u) << bad;
  }
}

// Kills: a plug that is gone asked at every tick; one that came back never asked again.
TEST(Plug, OneThatFailsIsAskedEverMoreRarelyAndAtOnceAgainWhenItAnswers) {
  Room room;
  auto probe = room.open();
  std::vector<Reading> readings(2);
  room.status = 500;
  room.asked.clear();
  for (int second = 0; second < 60; ++second) {
    probe.sensor->read(readings);
    room.machine.advance(milliseconds(1000));
  }
  EXPECT_LE(room.asked.size(), 10u);
  EXPECT_GE(room.asked.size(), 5u);
  room.status = 200;
  room.machine.advance(milliseconds(10'000));
  probe.sensor->read(readings);
  EXPECT_EQ(readings[0].quality, Quality::ok);
  room.asked.clear();
  for (int second = 0; second < 10; ++second) {
    room.machine.advance(milliseconds(1000));
    probe.sensor->read(readings);
  }
  EXPECT_EQ(room.asked.size(), 10u);
}

TEST(Plug, AMachineWithoutNetworkAndAnInterruptedPlugSayWhy) {
  SimulatedMachine nothing;
  EXPECT_FALSE(make_plug(nothing, {}).sensor);
  EXPECT_NE(make_plug(nothing, {}).unavailable.at(0).reason.find("--meter"), std::string::npos);
  WithPlug machine;
  machine.name_meters({*parse_meter("shelly://192.0.2.7")});
  const auto probe = make_plug(machine, {});
  EXPECT_FALSE(probe.sensor);
  EXPECT_EQ(probe.unavailable.at(0).subject, "plug.wall");
  Room room;
  auto opened = room.open();
  dynamic_cast<Interruptible&>(*opened.sensor).interrupt();
  std::vector<Reading> readings(2);
  room.asked.clear();
  opened.sensor->read(readings);
  EXPECT_TRUE(room.asked.empty());
  EXPECT_EQ(readings[0].quality, Quality::gap);
}

// Kills: a package added to the wall that it draws from; a battery or a model taken for a part of it.
TEST(Wall, WhatTheMachineMeasuresIsPartOfTheOneMeterAndOfNoneWhereThereAreTwo) {
  const auto channel = [](std::uint32_t id, std::string sensor, std::string domain) {
    Channel c;
    c.id = {id};
    c.sensor = std::move(sensor);
    c.domain = std::move(domain);
    c.name = c.sensor + "." + c.domain;
    c.measure = Measure::power;
    return c;
  };
  std::vector<Channel> all{
      channel(0, "rapl", "package-0"), channel(1, "rapl", "core-0"), channel(2, "power_supply", "supply-BAT0"),
      channel(3, "cpu-model", "cpu"),  channel(4, "thermal", "cpu"), channel(5, "plug", "wall"),
      channel(6, "plug", "wall")};
  all[1].part_of = all[0].id;
  all[3].origin = Origin::modelled;
  all[4].measure = Measure::temperature;
  all[6].coverage_known = false;  // its counter
  auto two = all;
  two[6].coverage_known = true;
  place_behind_the_wall(all);
  EXPECT_EQ(all[0].part_of, all[5].id);
  EXPECT_EQ(all[1].part_of, all[0].id);
  for (const std::size_t none : {2u, 3u, 4u, 5u, 6u}) EXPECT_FALSE(all[none].part_of) << none;
  place_behind_the_wall(two);
  EXPECT_FALSE(two[0].part_of);
}

}  // namespace
}  // namespace prony
