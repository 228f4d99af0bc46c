// KLAP: what is sent and understood, byte for byte. The vectors were made with Python's hashlib and the program openssl
// from seeds 00…0f (ours) and 10…1f (the plug's), user me@example.org, password secret.
#include "sensors/klap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "sensors/plug_dialect.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string bytes(std::string_view hexadecimal) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hexadecimal.substr(i, 2)), nullptr, 16));
  return out;
}

const std::string ours = bytes("000102030405060708090a0b0c0d0e0f");
const std::string theirs = bytes("101112131415161718191a1b1c1d1e1f");

// The live one, but for what must be known here.
class FixedCrypto final : public Crypto {
 public:
  explicit FixedCrypto(std::unique_ptr<Crypto> live) : live_(std::move(live)) {}
  std::string digest(DigestKind kind, std::string_view text) override { return live_->digest(kind, text); }
  Result<std::string> encrypt(std::string_view key, std::string_view block, std::string_view text) override {
    return live_->encrypt(key, block, text);
  }
  Result<std::string> decrypt(std::string_view key, std::string_view block, std::string_view text) override {
    return live_->decrypt(key, block, text);
  }
  Result<std::string> random(std::size_t) override { return ours; }

 private:
  std::unique_ptr<Crypto> live_;
};

struct Form {
  std::string proof, second, path, question, answer;
  bool is_second;
};
const Form second_form{bytes("12b9e47f511b792c9adb95762ea300d36d69713b973fe4fab19a4d6d24599414"),
                       bytes("5814fcf1d45f1dc39779290afc052cfdc27a04c432ec1d06a562529a28c186bc"),
                       "/app/request?seq=1814322812",
                       bytes("e2ee2ed4a7433457da073a9c589f9d344fb5bafc7821a7db3e2fa61e3b7c37f9"
                             "425dfc96c03802a378b10a3a83a3e081"),
                       bytes("9f4b2b71c3e813476c9985b0d6a479170efed4dedae1aeb7d97cddc9f7c3f49d"
                             "8b68c0bf6d692cdc384fa46fb2fbebbe"),
                       true};
// Its number is negative, as half of them are.
const Form first_form{bytes("f701a47557a41b752858780bf8294caf9b918dfad557f3bf31ff9e81bd8d1042"),
                      bytes("e7947adf653ee1cd932786b7bffd5f1c4499050bff50b4c5c9676b091e5955ce"),
                      "/app/request?seq=-644303743",
                      bytes("50b6082dc1b7ae6241524ab14e3311214fb36a73e72d4498dcfc4c15ea1df74d"
                            "fec252d322799d337a4399f4a92d608c"),
                      bytes("d80f8394877c8e75143b26a9b46e7a9beb687f5fd360bd05d541a0223d2610b9"
                            "9875a32e8c491ccb7846e0b39fa6c70b"),
                      false};

// A plug that answers from a script, and what it was asked.
struct Plug {
  std::vector<HttpRequest> asked = {};
  std::vector<HttpResponse> answers = {};
  std::unique_ptr<Network> network() {
    return make_function_network([this](const HttpRequest& request) -> Result<HttpResponse> {
      asked.push_back(request);
      if (answers.empty()) return fail(ErrorCode::transient, "no answer in time", request.url);
      auto answer = answers.front();
      answers.erase(answers.begin());
      return answer;
    });
  }
};

HttpResponse hello(const Form& form) {
  return {200, theirs + form.proof, {{"set-cookie", "TP_SESSIONID=ABC123;TIMEOUT=86400"}}};
}

class Klap : public ::testing::Test {
 protected:
  void SetUp() override {
    auto crypto = open_live_crypto();
    if (!crypto) GTEST_SKIP() << crypto.error().what << ": " << crypto.error().where;
    crypto_ = std::move(*crypto);
  }
  KlapSession session(std::string user = "me@example.org", std::string password = "secret") {
    return {"http://192.0.2.7", std::move(user), std::move(password),
            std::make_unique<FixedCrypto>(std::move(crypto_))};
  }
  std::unique_ptr<Crypto> crypto_;
};

// Kills: seeds in another order, MD5 where SHA-1 belongs, a number that is not counted on or is written unsigned.
TEST_F(Klap, BothFormsAreSpokenByteForByte) {
  for (const Form& form : {second_form, first_form}) {
    auto crypto = open_live_crypto();
    ASSERT_TRUE(crypto);
    crypto_ = std::move(*crypto);
    Plug plug{{}, {hello(form), {200, "", {}}, {200, form.answer, {}}}};
    const auto network = plug.network();
    auto klap = session();
    const auto answer = klap.ask(*network, R"({"a":1})");
    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(*answer, R"({"b":2})");
    EXPECT_EQ(klap.second_form(), form.is_second);
    ASSERT_EQ(plug.asked.size(), 3u);
    EXPECT_EQ(plug.asked[0].url, "http://192.0.2.7/app/handshake1");
    EXPECT_EQ(plug.asked[0].body, ours);
    EXPECT_EQ(plug.asked[1].body, form.second);
    EXPECT_EQ(plug.asked[2].url, "http://192.0.2.7" + form.path);
    EXPECT_EQ(plug.asked[2].body, form.question);
    for (const auto& request : plug.asked) EXPECT_EQ(request.method, "POST");
    // The plug does not like to get TIMEOUT back.
    EXPECT_THAT(plug.asked[2].headers,
                ElementsAre("Content-Type: application/octet-stream", "Cookie: TP_SESSIONID=ABC123"));
  }
}

// Kills: a proof that is not looked at, a password that is tried on the plug itself, one that stands in an error.
TEST_F(Klap, WhoCannotProveItselfIsToldOfItsPasswordAndTheHandshakeEndsThere) {
  Plug plug{{}, {hello(second_form)}};
  const auto network = plug.network();
  auto klap = session("me@example.org", "wrong1");
  const auto in = klap.shake(*network);
  ASSERT_FALSE(in);
  EXPECT_EQ(in.error().code, ErrorCode::denied);
  EXPECT_EQ(in.error().what, "user or password is refused");
  EXPECT_THAT(in.error().fix, HasSubstr("#login=FILE"));
  EXPECT_EQ((in.error().what + in.error().fix + in.error().where).find("wrong1"), std::string::npos);
  EXPECT_EQ(plug.asked.size(), 1u);
}

TEST_F(Klap, WhatSpeaksSomethingElseIsAbsentAndWhatWantsANewerProtocolIsDeniedWithWhatHelps) {
  for (const HttpResponse& answer : {HttpResponse{404, "", {}}, {200, "<html>", {}}, {200, std::string(49, 'x'), {}}}) {
    auto crypto = open_live_crypto();
    crypto_ = std::move(*crypto);
    Plug plug{{}, {answer}};
    const auto network = plug.network();
    const auto in = session().shake(*network);
    ASSERT_FALSE(in);
    EXPECT_EQ(in.error().code, ErrorCode::absent);
  }
  auto crypto = open_live_crypto();
  crypto_ = std::move(*crypto);
  Plug plug{{}, {{403, "", {}}}};
  const auto network = plug.network();
  const auto in = session().shake(*network);
  ASSERT_FALSE(in);
  EXPECT_EQ(in.error().code, ErrorCode::denied);
  EXPECT_THAT(in.error().fix, HasSubstr("Third-Party Compatibility"));
}

// Kills: a session that ended and is asked for ever; a handshake for each question; two for one that fails.
TEST_F(Klap, AnEndedSessionIsMadeAnewOnceAndAFreshOneHasNoExcuse) {
  const HttpResponse ended{403, "", {}}, good{200, second_form.answer, {}}, fine{200, "", {}};
  Plug plug{{}, {hello(second_form), fine, good, ended, hello(second_form), fine, good}};
  const auto network = plug.network();
  auto klap = session();
  EXPECT_TRUE(klap.ask(*network, R"({"a":1})"));
  EXPECT_TRUE(klap.ask(*network, R"({"a":1})"));
  EXPECT_EQ(plug.asked.size(), 7u);
  plug.answers = {ended, hello(second_form), fine, ended};
  EXPECT_FALSE(klap.ask(*network, R"({"a":1})"));
  EXPECT_TRUE(plug.answers.empty());
  plug.answers = {hello(second_form), fine, ended};
  EXPECT_FALSE(klap.ask(*network, R"({"a":1})"));
  EXPECT_TRUE(plug.answers.empty());
}

TEST_F(Klap, AnAnswerThatIsCutShortOrOfAnotherKeyIsMalformedAndNotRead) {
  for (const std::string& body : {std::string(), second_form.answer.substr(0, 32), second_form.answer.substr(0, 40),
                                  second_form.answer.substr(0, 32) + std::string(16, 'x')}) {
    auto crypto = open_live_crypto();
    crypto_ = std::move(*crypto);
    Plug plug{{}, {hello(second_form), {200, "", {}}, {200, body, {}}}};
    const auto network = plug.network();
    const auto answer = session().ask(*network, R"({"a":1})");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::malformed) << answer.error().what;
  }
}

// Kills: milliwatts taken for watts; the energy of today, which falls back to 0 at midnight, taken for a counter.
TEST(TapoDialect, PowerIsMilliwattsAndTodaysEnergyIsNoCounter) {
  for (const char* text : {R"({"result":{"current_ma":435,"energy_wh":2000,"power_mw":12345},"error_code":0})",
                           R"({"result":{"today_energy":5,"month_energy":70,"current_power":12345},"error_code":0})"}) {
    const auto answer = JsonNumbers::parse(text);
    ASSERT_TRUE(answer);
    const auto plan = tapo_plan(*answer);
    ASSERT_TRUE(plan) << text;
    ASSERT_EQ(plan->asks.size(), 1u);
    ASSERT_EQ(plan->asks[0].quantities.size(), 1u);
    const auto& power = plan->asks[0].quantities[0];
    EXPECT_EQ(power.measure, Measure::power);
    EXPECT_DOUBLE_EQ(static_cast<double>(*counts_of(power, *answer)) * power.scale, 12.345);
  }
  for (const char* text :
       {R"({"error_code":-1001})", R"({"result":{},"error_code":0})", R"({"method":{"err_code":-1}})"}) {
    const auto plan = tapo_plan(*JsonNumbers::parse(text));
    ASSERT_FALSE(plan) << text;
    EXPECT_EQ(plan.error().code, ErrorCode::absent);
  }
}

}  // namespace
}  // namespace prony
