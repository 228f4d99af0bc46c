#include "layers/json_reader.hpp"

#include <gtest/gtest.h>

namespace prony::layers {
namespace {

// What the tokens of a text are, one word each; "!" and the error where it is none.
std::string tokens(std::string_view text, std::size_t piece = 1000) {
  TextSource source(text, piece);
  JsonReader json(source);
  std::string out;
  while (true) {
    switch (json.next()) {
      case JsonToken::begin_object: out += "{ "; break;
      case JsonToken::end_object: out += "} "; break;
      case JsonToken::begin_array: out += "[ "; break;
      case JsonToken::end_array: out += "] "; break;
      case JsonToken::key: out += std::string(json.text()) + "= "; break;
      case JsonToken::text: out += "'" + std::string(json.text()) + "' "; break;
      case JsonToken::number: out += "#" + std::string(json.text()) + " "; break;
      case JsonToken::word: out += std::string(json.text()) + " "; break;
      case JsonToken::end: return out;
      case JsonToken::error: return out + "!" + json.error().what;
    }
  }
}

TEST(JsonReaders, TokensAreTheSameHoweverTheTextIsCutIntoPieces) {
  const std::string text =
      R"( {"a\"b": [1, -2.5e3, true, null, NaN], "ü": {"x": "A\u00e9\ud83d\ude00\n"}, "e": [], "o": {}} )";
  const std::string expected = "{ a\"b= [ #1 #-2.5e3 true null NaN ] ü= { x= 'Aé😀\n' } e= [ ] o= { } } ";
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 1000u}) EXPECT_EQ(tokens(text, piece), expected) << piece;
}

TEST(JsonReaders, ADocumentThatIsATextHoldingJsonIsReadThrough) {
  for (const std::size_t piece : {1u, 1000u}) {
    TextSource source(R"("{\n  \"a\": [1, \"x\\ny\"]\n}")", piece);
    JsonReader json(source);
    EXPECT_EQ(json.next(), JsonToken::begin_object);
    EXPECT_TRUE(json.was_double_encoded());
    EXPECT_EQ(json.next(), JsonToken::key);
    EXPECT_EQ(json.next(), JsonToken::begin_array);
    EXPECT_EQ(json.next(), JsonToken::number);
    EXPECT_EQ(json.next(), JsonToken::text);
    EXPECT_EQ(json.text(), "x\ny");
    EXPECT_EQ(json.next(), JsonToken::end_array);
    EXPECT_EQ(json.next(), JsonToken::end_object);
    EXPECT_EQ(json.next(), JsonToken::end);
  }
}

TEST(JsonReaders, WhatIsNoJsonIsAnErrorThatNamesTheByteAndStaysOne) {
  EXPECT_EQ(tokens("[1 2]"), "[ #1 !neither a comma nor a closing bracket at byte 4");
  EXPECT_EQ(tokens("{\"a\": 01}"), "{ a= !something that is neither a number nor a word of JSON at byte 9");
  for (const char* text : {"", "[", "[1,", "{\"a\"", "{\"a\" 1}", "[1]]", "[1] 2", "{1: 2}", "[\"\\q\"]", "[\"a\nb\"]",
                           "[1}", "[+1]", "[.5]", "[\"\\ud800x\"]", "nul", "[1,]", "{,}", "\"{\\\"a\\\": 1"})
    EXPECT_NE(tokens(text).find('!'), std::string::npos) << text;
  EXPECT_NE(tokens(std::string(1000, '[')).find("64 levels"), std::string::npos);
  EXPECT_NE(tokens("[\"" + std::string(3 << 20, 'a') + "\"]").find("1 MiB"), std::string::npos);
}

TEST(JsonReaders, EveryByteMeansTheSameAtEveryPlaceOfAText) {
  for (int byte = 0; byte < 256; ++byte)
    for (std::size_t place = 0; place < 20; ++place) {
      std::string inside(20, 'a');
      inside[place] = static_cast<char>(byte);
      const std::string found = tokens("[\"" + inside + "\"]");
      const std::string shown = std::to_string(byte) + " at " + std::to_string(place);
      if (byte < 0x20)
        EXPECT_NE(found.find("!a control character"), std::string::npos) << shown;
      else if (byte == '"')
        EXPECT_EQ(found.substr(0, place + 5), "[ '" + inside.substr(0, place) + "' ") << shown;
      else if (byte == '\\')
        EXPECT_NE(found.find('!'), std::string::npos) << shown;
      else
        EXPECT_EQ(found, "[ '" + inside + "' ] ") << shown;
    }
}

TEST(JsonReaders, BracketsOfBothKindsCloseWhatOpenedThemToTheDeepestLevel) {
  std::string text, expected;
  for (std::size_t level = 0; level < JsonReader::deepest; ++level) {
    text += level % 3 == 0 && level + 1 < JsonReader::deepest ? "{\"k\":" : "[";
    expected += text.back() == ':' ? "{ k= " : "[ ";
  }
  const std::string opened = text;
  for (std::size_t level = JsonReader::deepest; level-- > 0;) {
    text += level % 3 == 0 && level + 1 < JsonReader::deepest ? '}' : ']';
    expected += std::string(1, text.back()) + " ";
  }
  EXPECT_EQ(tokens(text), expected);
  EXPECT_NE(tokens(opened + "[").find("64 levels"), std::string::npos);
}

TEST(JsonReaders, NumbersBeyondADoubleAreAbsent) {
  TextSource source("[1e999, 0.1]");
  JsonReader json(source);
  EXPECT_EQ(json.next(), JsonToken::begin_array);
  EXPECT_EQ(json.next(), JsonToken::number);
  EXPECT_FALSE(json.number());
  EXPECT_EQ(json.next(), JsonToken::number);
  EXPECT_EQ(json.number(), 0.1);
}

}  // namespace
}  // namespace prony::layers
