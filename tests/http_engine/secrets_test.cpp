#include "secrets.hpp"

#include <gtest/gtest.h>

#include <array>

using prony_http::without_secrets;

namespace {

std::string shown(const std::string& text, const std::string& key = "sekret/KEY-123") {
  return without_secrets(text, std::array{key});
}

}  // namespace

TEST(Secrets, AKeyThatTheServerRepeatsIsHiddenHoweverItStandsThere) {
  EXPECT_EQ(shown("Incorrect API key provided: sekret/KEY-123."), "Incorrect API key provided: ***.");
  EXPECT_EQ(shown("sekret/KEY-123sekret/KEY-123 twice"), "****** twice");
  EXPECT_EQ(shown("{\"key\":\"sekret\\/KEY-123\"}"), "{\"key\":\"***\"}");
  EXPECT_EQ(shown("cut in its midst: sekret/K… (and more)"), "cut in its midst: ***… (and more)");
  EXPECT_EQ(shown("cut behind it: sekret/KEY-123…"), "cut behind it: ***…");
}

TEST(Secrets, AShortKeyIsHiddenAsAWordAndLeavesOtherWordsAlone) {
  EXPECT_EQ(shown("no key 'key' in keys", "key"), "no *** '***' in keys");
  EXPECT_EQ(shown("nothing to hide", ""), "nothing to hide");
}

TEST(Secrets, WhatLooksLikeAKeyAfterBearerIsHiddenWhosesoeverItIs) {
  EXPECT_EQ(shown("refused: Bearer other-KEY-9 and bearer abc123…"), "refused: Bearer *** and bearer ***…");
  EXPECT_EQ(shown("Bearer authentication is wanted"), "Bearer authentication is wanted");
  EXPECT_EQ(shown("Bearer realm=\"models\""), "Bearer realm=\"models\"");
}
