#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "workloads/prompts.hpp"

namespace prony {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<PromptSet> parsed(std::string_view content, std::size_t turns = 1) {
  return parse_prompts(content, "p", PromptReading{.turns = turns});
}

TEST(PromptFormats, ShareGptsFirstTurnIsAskedAndItsAnswerSaysHowLong) {
  const auto set =
      parsed(R"([{"id":"a","conversations":[{"from":"system","value":"Be short."},{"from":"human","value":"One?"},)"
             R"({"from":"gpt","value":"one two three four five six"},{"from":"human","value":"Two?"}]},)"
             "\n"
             R"({"id":"b","conversations":[{"from":"gpt","value":"I begin"}]}])");
  ASSERT_TRUE(set) << set.error().what;
  EXPECT_EQ(set->format, "sharegpt");
  ASSERT_EQ(set->prompts.size(), 1U);
  EXPECT_EQ(set->prompts[0].id, "a");
  EXPECT_EQ(set->prompts[0].text, "One?");
  EXPECT_EQ(set->prompts[0].max_tokens, 8);  // six words
  EXPECT_EQ(set->prompts[0].before, (std::vector<Message>{{"system", "Be short."}}));
  EXPECT_THAT(set->notes, Contains(HasSubstr("1 conversation(s) without a word of the user")));
  EXPECT_THAT(set->notes, Contains(HasSubstr("estimated")));
}

// Kills: the file's own answers sent along as if the engine had given them.
TEST(PromptFormats, ShareGptsTurnsAreASessionInTheirOrderWithoutTheFilesAnswers) {
  const std::string file =
      R"([{"id":"a","conversations":[{"from":"human","value":"One?"},{"from":"gpt","value":"1"},)"
      R"({"from":"human","value":"Two?"},{"from":"gpt","value":"2"},{"from":"human","value":"Three?"}]}])";
  const auto two = parsed(file, 2);
  ASSERT_TRUE(two);
  ASSERT_EQ(two->prompts.size(), 2U);
  EXPECT_EQ(two->prompts[0].id, "a.1");
  EXPECT_EQ(two->prompts[1].id, "a.2");
  EXPECT_EQ(two->prompts[1].text, "Two?");
  EXPECT_EQ(two->prompts[0].session, "a");
  EXPECT_EQ(two->prompts[1].session, "a");
  EXPECT_THAT(two->prompts[1].before, IsEmpty());
  EXPECT_EQ(parsed(file, 0)->prompts.size(), 3U);
  EXPECT_EQ(parsed(file, 9)->prompts.size(), 3U);
}

TEST(PromptFormats, MessagesAreAskedWithAllThatStandsBeforeTheUsersLastWord) {
  const auto set = parsed(
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"A"},{"role":"assistant","content":"B"},)"
      R"({"role":"user","content":[{"type":"text","text":"C"},{"type":"text","text":"D"}]}],"max_tokens":9})"
      "\n"
      R"({"custom_id":"x","method":"POST","url":"/v1","body":{"model":"m","messages":[{"role":"user","content":"E"},)"
      R"({"role":"assistant","content":"F"}],"max_completion_tokens":5}})");
  ASSERT_TRUE(set) << set.error().what;
  ASSERT_EQ(set->prompts.size(), 2U);
  EXPECT_EQ(set->prompts[0].text, "CD");
  EXPECT_EQ(set->prompts[0].before, (std::vector<Message>{{"system", "S"}, {"user", "A"}, {"assistant", "B"}}));
  EXPECT_EQ(set->prompts[0].max_tokens, 9);
  EXPECT_EQ(set->prompts[1].id, "x");
  EXPECT_EQ(set->prompts[1].text, "E");
  EXPECT_EQ(set->prompts[1].max_tokens, 5);
  EXPECT_THAT(set->notes, Contains(HasSubstr("go on after the user's last word")));
}

TEST(PromptFormats, IfevalKeepsWhatItsScoringNeeds) {
  const auto set =
      parsed(R"({"key":1000,"prompt":"Write.","instruction_id_list":["punctuation:no_comma"],"kwargs":[{"n":2}]})");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->format, "ifeval");
  EXPECT_EQ(set->prompts[0].id, "1000");
  const auto kept = nlohmann::json::parse(set->prompts[0].instructions);
  EXPECT_EQ(kept["instruction_id_list"][0], "punctuation:no_comma");
  EXPECT_EQ(kept["kwargs"][0]["n"], 2);
  EXPECT_THAT(set->notes, IsEmpty());
}

TEST(PromptFormats, AiEnergyScoresColumnAndSourceAreFoundAndItsHeaderPassedOver) {
  const auto set = parsed("{\"_source\":\"hub\",\"_commit\":\"1\"}\n{\"text\":\"One\",\"source\":\"wikitext\"}\n");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->format, "aienergyscore");
  ASSERT_EQ(set->prompts.size(), 1U);
  EXPECT_EQ(set->prompts[0].text, "One");
  EXPECT_EQ(set->prompts[0].group, "wikitext");
  EXPECT_THAT(set->notes, Contains(HasSubstr("1 line(s) tell where the file is from")));
}

TEST(PromptFormats, CsvHasItsColumnsByNameAndFieldsWithBreaksAndQuotes) {
  const auto set = parsed("Id,Max_Tokens,Prompt,other\r\na,7,\"Say \"\"hi\"\",\nplease\",1\r\n,,plain,2\n");
  ASSERT_TRUE(set) << set.error().what;
  ASSERT_EQ(set->prompts.size(), 2U);
  EXPECT_EQ(set->prompts[0].id, "a");
  EXPECT_EQ(set->prompts[0].max_tokens, 7);
  EXPECT_EQ(set->prompts[0].text, "Say \"hi\",\nplease");
  EXPECT_EQ(set->prompts[1].id, "2");
  EXPECT_FALSE(set->prompts[1].max_tokens);
  EXPECT_THAT(set->notes, Contains(HasSubstr("\"other\"")));
}

// Kills: a line counted per record, so that a field with line breaks shifts what follows.
TEST(PromptFormats, WhatIsWrongIsNamedByLineAndField) {
  struct Case {
    const char* content;
    PromptFormat format;
    const char *where, *what;
  };
  for (const Case& c : {
           Case{"prompt,max_tokens\n\"a\nb\",3\nc,x\n", PromptFormat::csv, "p:4", "max_tokens"},
           Case{"prompt,id\na\n", PromptFormat::csv, "p:2", "1 fields, the header 2"},
           Case{"prompt\n\"open\n", PromptFormat::csv, "p:2", "no end"},
           Case{"prompt\n\"a\"b\n", PromptFormat::csv, "p:2", "after the end of a quoted"},
           Case{"id,words\n1,a\n", PromptFormat::csv, "p:1", "no column"},
           Case{"prompt,prompt\na,b\n", PromptFormat::csv, "p:1", "one name"},
           Case{"[\n{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"}]},\n"
                "{\"conversations\":[{\"from\":\"human\",\"value\":3}]}]",
                PromptFormat::sharegpt, "p:3", "conversations[0].value"},
           Case{"[{\"id\":\"a\"}]", PromptFormat::sharegpt, "p:1", "conversations"},
           Case{"[\n\n{\"prompt\":\"a\"", PromptFormat::jsonl, "p:3", "ends within element 1"},
           Case{"[{\"prompt\":\"a\"}\n 7]", PromptFormat::jsonl, "p:2", "no comma"},
           Case{"[{\"prompt\":\"a\"},\n7]", PromptFormat::jsonl, "p:2", "element 2"},
           Case{"[{\"prompt\":\"a\"}]\nx", PromptFormat::jsonl, "p:2", "after the end"},
           Case{"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n{\"messages\":[{\"content\":\"a\"}]}",
                PromptFormat::messages, "p:2", "messages[0].role"},
           Case{"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", PromptFormat::messages,
                "p:1", "something else than text"},
           Case{"{\"key\":1,\"prompt\":\"a\",\"instruction_id_list\":[\"x\"],\"kwargs\":[]}", PromptFormat::ifeval,
                "p:1", "kwargs"},
           Case{"{\"key\":1,\"prompt\":\"a\"}", PromptFormat::ifeval, "p:1", "instruction_id_list"},
       }) {
    const auto set = parse_prompts(c.content, "p", c.format);
    ASSERT_FALSE(set) << c.content;
    EXPECT_EQ(set.error().where, c.where) << c.content;
    EXPECT_THAT(set.error().what, HasSubstr(c.what)) << c.content;
  }
}

TEST(PromptFormats, AnArrayMayHoldBracketsAndQuotesInItsTexts) {
  const auto set = parsed("[ {\"prompt\":\"}]\\\"{\"} ,\n{\"prompt\":\"b\"}\n]\n");
  ASSERT_TRUE(set) << set.error().what;
  ASSERT_EQ(set->prompts.size(), 2U);
  EXPECT_EQ(set->prompts[0].text, "}]\"{");
}

TEST(PromptFormats, AFolderIsAPromptAFileInTheOrderOfTheirNames) {
  const auto folder = std::filesystem::temp_directory_path() / ("prony-prompts-" + std::to_string(::getpid()));
  struct Removed {
    std::filesystem::path path;
    ~Removed() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  } removed{folder};
  std::filesystem::create_directories(folder / "within");
  std::ofstream(folder / "b.txt") << "Second\nof two lines";
  std::ofstream(folder / "a.md") << "First";
  std::ofstream(folder / "c.txt") << " \n";
  std::ofstream(folder / ".hidden") << "no";
  const auto set = load_prompts(folder.string());
  ASSERT_TRUE(set) << set.error().what;
  ASSERT_EQ(set->prompts.size(), 2U);
  EXPECT_EQ(set->prompts[0].id, "a.md");
  EXPECT_EQ(set->prompts[1].text, "Second\nof two lines");
  EXPECT_THAT(set->notes, Contains(HasSubstr("c.txt: empty")));
  std::ofstream(folder / "d.txt") << "\xff";
  const auto broken = load_prompts(folder.string());
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().where, HasSubstr("d.txt"));
}

TEST(PromptFormats, AFormatThatDoesNotExistIsRefusedWithThoseThatDo) {
  EXPECT_EQ(*prompt_format_from("sharegpt"), PromptFormat::sharegpt);
  const auto none = prompt_format_from("parquet");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().fix, HasSubstr("aienergyscore"));
}

}  // namespace
}  // namespace prony
