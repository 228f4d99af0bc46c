#include "workloads/prompts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<PromptSet> jsonl(std::string_view content) { return parse_prompts(content, "p.jsonl", PromptFormat::jsonl); }

TEST(Prompts, EachLineOfJsonIsAPromptWithItsIdAndLimit) {
  const auto set = jsonl(
      "{\"id\":\"a\",\"prompt\":\"Why?\",\"max_tokens\":7}\r\n{\"prompt\":\"H\\u00e9\"}\n{\"id\":9,\"prompt\":\"x\"}");
  ASSERT_TRUE(set) << set.error().what;
  ASSERT_EQ(set->prompts.size(), 3U);
  EXPECT_EQ(set->prompts[0].id, "a");
  EXPECT_EQ(set->prompts[0].max_tokens, 7);
  EXPECT_EQ(set->prompts[1].id, "2");
  EXPECT_EQ(set->prompts[1].text, "H\xc3\xa9");
  EXPECT_FALSE(set->prompts[1].max_tokens);
  EXPECT_EQ(set->prompts[2].id, "9");
}

// Kills: the position counted among prompts instead of lines, so that every empty line shifts it.
TEST(Prompts, ABadLineIsNamedByFileAndLineEvenAfterEmptyLines) {
  const auto set = jsonl("{\"prompt\":\"a\"}\n\n\n{\"prompt\": 3}\n");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().where, "p.jsonl:4");
  EXPECT_EQ(set.error().code, ErrorCode::malformed);
  EXPECT_FALSE(set.error().fix.empty());
}

TEST(Prompts, EveryKindOfBadLineIsRefused) {
  for (const char* line : {"nonsense", "[]", "{}", "{\"prompt\":\"\"}", "{\"prompt\":\"  \"}", "{\"prompt\":\"a\"",
                           "\"text\"", "{\"prompt\":\"a\",\"max_tokens\":0}", "{\"prompt\":\"a\",\"max_tokens\":1.5}",
                           "{\"prompt\":\"a\",\"max_tokens\":99999999999}", "{\"prompt\":\"a\",\"max_tokens\":\"9\"}",
                           "{\"prompt\":\"a\",\"id\":\"\"}", "{\"prompt\":\"a\",\"id\":[]}",
                           "{\"prompt\":\"a\\u0000b\"}", "{\"prompt\":\"\xff\"}", "{\"id\":\"a\"}"}) {
    const auto set = jsonl(std::string("{\"prompt\":\"good\"}\n") + line);
    ASSERT_FALSE(set) << line;
    EXPECT_EQ(set.error().where, "p.jsonl:2") << line;
  }
}

TEST(Prompts, TwoPromptsNeverShareAnId) {
  const auto twice = jsonl("{\"prompt\":\"a\",\"id\":\"x\"}\n{\"prompt\":\"b\",\"id\":\"x\"}");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().where, "p.jsonl:2");
  EXPECT_THAT(twice.error().what, HasSubstr("line 1"));
  // A given id may be the number that a nameless prompt would get.
  const auto set =
      jsonl("{\"prompt\":\"a\"}\n{\"prompt\":\"b\",\"id\":\"1\"}\n{\"prompt\":\"c\",\"id\":\"4\"}\n{\"prompt\":\"d\"}");
  ASSERT_TRUE(set);
  std::set<std::string> ids;
  for (const auto& prompt : set->prompts) ids.insert(prompt.id);
  EXPECT_EQ(ids.size(), 4U);
}

TEST(Prompts, NothingIsPassedOverInSilence) {
  const auto set =
      jsonl("{\"prompt\":\"a\"}\n\n  \n{\"prompt\":\"b\",\"lang\":\"en\"}\n{\"prompt\":\"c\",\"lang\":\"de\"}\n");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->empty_lines, 2U);
  EXPECT_THAT(set->notes,
              ElementsAre(HasSubstr("2 empty"), ::testing::AllOf(HasSubstr("\"lang\""), HasSubstr("line 4"))));
}

TEST(Prompts, TextIsOnePromptALineAsItStands) {
  const auto set = parse_prompts("\xef\xbb\xbfWhy?\n\n  indented {not json}\r\nlast", "p.txt", PromptFormat::text);
  ASSERT_TRUE(set);
  ASSERT_EQ(set->prompts.size(), 3U);
  EXPECT_EQ(set->prompts[0].text, "Why?");
  EXPECT_EQ(set->prompts[1].text, "  indented {not json}");
  EXPECT_EQ(set->prompts[2].text, "last");
  EXPECT_EQ(set->prompts[2].id, "3");
  EXPECT_EQ(set->empty_lines, 1U);
}

TEST(Prompts, TextThatIsNotUtf8IsRefusedByItsLine) {
  for (const char* wrong : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80"}) {
    const auto set =
        parse_prompts(std::string("fine \xf0\x9f\x98\x80 \xe2\x82\xac\n") + wrong, "p.txt", PromptFormat::text);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().where, "p.txt:2");
  }
}

TEST(Prompts, AFileWithoutAPromptIsAnErrorNotAnEmptyRun) {
  for (const char* content : {"", "\n\n", "   "}) EXPECT_FALSE(parse_prompts(content, "-", PromptFormat::text));
}

TEST(Prompts, TheFormatFollowsTheNameAndOnlyThenTheContent) {
  EXPECT_EQ(prompt_format_of("a.jsonl", "text"), PromptFormat::jsonl);
  EXPECT_EQ(prompt_format_of("a.txt", "{}"), PromptFormat::text);
  EXPECT_EQ(prompt_format_of("-", "\n {\"prompt\":1}"), PromptFormat::jsonl);
  EXPECT_EQ(prompt_format_of("-", "hello"), PromptFormat::text);
  EXPECT_EQ(prompt_format_of("a.csv", "prompt\nx"), PromptFormat::csv);
  EXPECT_EQ(prompt_format_of("-", "id,Prompt\n1,x"), PromptFormat::csv);
  EXPECT_EQ(prompt_format_of("-", "Hello, what is the text of this?"), PromptFormat::text);
  EXPECT_EQ(prompt_format_of("a.json", " [\n{\"id\":\"a\",\"conversations\":[]}]"), PromptFormat::sharegpt);
  EXPECT_EQ(prompt_format_of("-", "{\"messages\":[]}"), PromptFormat::messages);
  EXPECT_EQ(prompt_format_of("-", "{\"custom_id\":\"a\",\"body\":{\"messages\":[]}}"), PromptFormat::messages);
  EXPECT_EQ(prompt_format_of("-", "{\"key\":1,\"prompt\":\"a\",\"instruction_id_list\":[],\"kwargs\":[]}"),
            PromptFormat::ifeval);
  EXPECT_EQ(prompt_format_of("-", "{\"_source\":\"x\"}\n{\"prompt\":\"a\"}"), PromptFormat::ai_energy_score);
  EXPECT_EQ(prompt_format_of("-", "{\"text\":\"a\"}"), PromptFormat::ai_energy_score);
}

TEST(Prompts, AFileThatIsNotThereIsNamed) {
  const auto set = load_prompts("/nonexistent-folder/p.txt");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::absent);
}

TEST(Prompts, TheBuiltInSetHasAtLeastEightDistinctPrompts) {
  const PromptSet set = built_in_prompts();
  std::set<std::string> ids, texts;
  for (const auto& prompt : set.prompts) {
    ids.insert(prompt.id);
    texts.insert(prompt.text);
  }
  EXPECT_GE(ids.size(), 8U);
  EXPECT_EQ(ids.size(), texts.size());
}

}  // namespace
}  // namespace prony
