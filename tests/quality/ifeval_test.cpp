#include "quality/ifeval.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "quality/language.hpp"
#include "quality/text_units.hpp"

namespace prony::quality {
namespace {

using ::testing::HasSubstr;

Instruction instruction(const std::string& kind, const std::string& kwargs) {
  auto made = parse_instructions(R"({"instruction_id_list":[")" + kind + R"("],"kwargs":[)" + kwargs + "]}");
  EXPECT_TRUE(made.has_value()) << kind;
  return made ? made->front() : Instruction{};
}

// One case by hand: the kind, its arguments, an answer that follows and one that does not.
struct ByHand {
  const char *kind, *kwargs, *yes, *no;
};

const std::vector<ByHand> cases{
    {"keywords:existence", R"({"keywords":["Sky","blue"]})", "The SKY is light-blue.", "The sky is red."},
    {"keywords:frequency", R"({"keyword":"cat","frequency":2,"relation":"at least"})", "A cat, a Cat.", "A cat."},
    {"keywords:frequency", R"({"keyword":"cat","frequency":2,"relation":"less than"})", "A cat.", "cat cat"},
    {"keywords:forbidden_words", R"({"forbidden_words":["cat"]})", "A category is concatenated.", "The Cat!"},
    {"keywords:letter_frequency", R"({"letter":"a","let_frequency":3,"let_relation":"at least"})", "AbaA", "Aba"},
    {"keywords:letter_frequency", R"({"letter":"!","let_frequency":1,"let_relation":"less than"})", "No.", "No!"},
    {"language:response_language", R"({"language":"de"})", "Das ist nicht der Himmel und nicht die Erde.",
     "This is not the sky and it is not the earth."},
    {"language:response_language", R"({"language":"hi"})", "यह आकाश है और वह नीला है", "Это небо и оно не синее"},
    {"length_constraints:number_sentences", R"({"num_sentences":3,"relation":"at least"})",
     "Dr. Smith came. He saw! Did he win", "Dr. Smith came at 3.50 p. m. exactly"},
    {"length_constraints:number_sentences", R"({"num_sentences":2,"relation":"less than"})", "One, e.g. this one.",
     "One. Two."},
    {"length_constraints:number_paragraphs", R"({"num_paragraphs":2})", "One\n***\nTwo", "One\n\nTwo"},
    {"length_constraints:number_paragraphs", R"({"num_paragraphs":2})", "***\nOne\n***\nTwo\n***", "One ****** Two"},
    {"length_constraints:number_words", R"({"num_words":4,"relation":"at least"})", "Don't stop me", "Stop, me: now"},
    {"length_constraints:number_words", R"({"num_words":3,"relation":"less than"})", "zwei Wörter", "des mots élevés"},
    {"length_constraints:nth_paragraph_first_word", R"({"num_paragraphs":2,"nth_paragraph":2,"first_word":"Why"})",
     "One.\n\n\"Why?\" he asked.", "Why.\n\nOne."},
    {"detectable_content:number_placeholders", R"({"num_placeholders":2})", "[name] at [place]", "[name at place]"},
    {"detectable_content:postscript", R"({"postscript_marker":"P.S."})", "Bye.\np. s. Call me", "Bye. PS call me"},
    {"detectable_content:postscript", R"({"postscript_marker":"P.P.S"})", "P.P.S and more", "P.S. no more"},
    {"detectable_format:number_bullet_lists", R"({"num_bullets":3})", "* one\n  - two\n-three",
     "* one\n**two**\n- three"},
    {"detectable_format:constrained_response", "{}", "Well: My answer is maybe.", "My answer is perhaps."},
    {"detectable_format:number_highlighted_sections", R"({"num_highlights":2})", "*one* and **two**",
     "*one* and ** **"},
    {"detectable_format:multiple_sections", R"({"section_spliter":"Section","num_sections":2})",
     "Section 1\na\nSection2\nb", "Section 1\na\nSection b"},
    {"detectable_format:json_format", "{}", "```json\n{\"a\": [1, 2]}\n```", "{\"a\": [1, 2}"},
    {"detectable_format:title", "{}", "<<A title>>\nText", "<< >>\n<A title>"},
    {"combination:two_responses", "{}", "One\n******\nTwo", "One\n******\nOne"},
    {"combination:two_responses", "{}", "******One******Two******", "One******  ******Two"},
    {"combination:repeat_prompt", R"({"prompt_to_repeat":"Why is it blue?"})", " why is IT blue? Because.", "Because."},
    {"startend:end_checker", R"({"end_phrase":"The end."})", "So it was. \"the END.\"", "The end. Or not"},
    {"startend:quotation", "{}", " \"All of it\" ", "\"All\" of it"},
    {"change_case:capital_word_frequency", R"({"capital_frequency":2,"capital_relation":"at least"})",
     "NASA and the EU", "Nasa and the EU"},
    {"change_case:capital_word_frequency", R"({"capital_frequency":1,"capital_relation":"less than"})", "none, 42",
     "A b"},
    {"change_case:english_capital", "{}", "THIS IS THE ANSWER, NOT THAT.", "THIS IS THE Answer"},
    {"change_case:english_lowercase", "{}", "this is the answer, not that: 42.", "das ist nicht die antwort und so"},
    {"punctuation:no_comma", "{}", "No; none.", "One, two."},
};

TEST(Ifeval, EachKindIsFollowedAndBrokenByAnAnswerMadeByHand) {
  std::set<std::string> seen;
  for (const ByHand& one : cases) {
    const Instruction told = instruction(one.kind, one.kwargs);
    const Verdict yes = check(told, one.yes), no = check(told, one.no);
    EXPECT_TRUE(yes.followed) << one.kind << ": " << one.yes;
    EXPECT_FALSE(no.followed) << one.kind << ": " << one.no;
    EXPECT_EQ(yes.unchecked + no.unchecked, "") << one.kind;
    seen.insert(one.kind);
  }
  for (const std::string_view kind : instruction_kinds())
    EXPECT_TRUE(seen.contains(std::string(kind))) << "no case for " << kind;
  EXPECT_EQ(instruction_kinds().size(), 25U);
}

TEST(Ifeval, AnEmptyAnswerFollowsNothing) {
  for (const ByHand& one : cases) EXPECT_FALSE(check(instruction(one.kind, one.kwargs), " \n ").followed) << one.kind;
}

TEST(Ifeval, WhatCannotBeCheckedIsToldAndNeverFollowed) {
  for (const auto& [kind, kwargs, why] :
       {std::tuple{"keywords:rhyme", "{}", "no instruction of IFEval is called keywords:rhyme"},
        {"keywords:frequency", R"({"frequency":2,"relation":"at least"})", "its argument keyword is missing"},
        {"length_constraints:number_words", R"({"num_words":2,"relation":"about"})", "neither"},
        {"length_constraints:number_words", R"({"num_words":null,"relation":"at least"})", "num_words is missing"},
        {"language:response_language", R"({"language":"xx"})", "not known"}}) {
    const Verdict verdict = check(instruction(kind, kwargs), "an answer");
    EXPECT_FALSE(verdict.followed) << kind;
    EXPECT_THAT(verdict.unchecked, HasSubstr(why));
  }
}

TEST(Ifeval, LooseForgivesAFirstOrLastLineAndStars) {
  const std::vector<Instruction> no_comma{instruction("punctuation:no_comma", "{}")};
  Judged judged = judge(no_comma, "Sure, here it is:\nNo comma here.");
  EXPECT_FALSE(judged.all_strict());
  EXPECT_TRUE(judged.all_loose());
  judged = judge(no_comma, "Sure, here:\nOne, two\nBye, bye");
  EXPECT_FALSE(judged.all_loose());
  judged = judge({instruction("startend:quotation", "{}")}, "**\"Quoted\"**");
  EXPECT_FALSE(judged.all_strict());
  EXPECT_TRUE(judged.all_loose());
  judged = judge(no_comma, "One, two");  // one line: without it nothing is left, and nothing follows nothing
  EXPECT_FALSE(judged.all_loose());
}

TEST(Ifeval, SharesAreOfWhatCouldBeCheckedAndAPromptNeedsAllOfItsInstructions) {
  const auto both =
      parse_instructions(R"({"instruction_id_list":["punctuation:no_comma","startend:quotation"],"kwargs":[{},null]})");
  ASSERT_TRUE(both.has_value());
  Accuracy sum;
  add(sum, *both, judge(*both, "\"all of it\""));
  add(sum, *both, judge(*both, "half of it"));
  add(sum, *both, judge(*both, "none, of it"));
  const std::vector<Instruction> unknown{instruction("keywords:rhyme", "{}"), both->front()};
  add(sum, unknown, judge(unknown, "fine"));
  EXPECT_EQ(sum.prompt_strict.yes, 1U);
  EXPECT_EQ(sum.prompt_strict.of, 3U);  // the one with an unknown instruction is in no share of prompts
  EXPECT_EQ(sum.instruction_strict.yes, 4U);
  EXPECT_EQ(sum.instruction_strict.of, 7U);
  EXPECT_EQ(sum.by_kind.at("startend:quotation").first.yes, 1U);
  EXPECT_EQ(sum.unchecked.size(), 1U);
}

TEST(Ifeval, TheIntervalOfAShareIsWilsons) {
  const Share half{5, 10}, none{0, 10}, all{10, 10};
  EXPECT_NEAR(half.low(), 0.2366, 1e-4);  // Wilson 1927, z = 1.96
  EXPECT_NEAR(half.high(), 0.7634, 1e-4);
  EXPECT_NEAR(none.low(), 0, 1e-9);
  EXPECT_NEAR(none.high(), 0.2775, 1e-4);
  EXPECT_NEAR(all.high(), 1, 1e-9);
}

TEST(Ifeval, BadInstructionsAreAnErrorAndHostileAnswersAreJustAnswers) {
  for (const char* text :
       {"", "[]", "{}", R"({"instruction_id_list":["a"],"kwargs":[]})", R"({"instruction_id_list":[1],"kwargs":[{}]})",
        R"({"instruction_id_list":"a","kwargs":{}})"})
    EXPECT_FALSE(parse_instructions(text).has_value()) << text;
  const std::vector<std::string> answers{std::string(100'000, '*'), std::string(100'000, '['),
                                         std::string(100'000, '<'), "\xff\xfe\xf0\x9f",
                                         std::string(1000, '\0'),   std::string(50'000, '{')};
  for (const std::string& answer : answers)
    for (const ByHand& one : cases) (void)check(instruction(one.kind, one.kwargs), answer);
}

TEST(TextUnits, SentencesEndWhereReadersThinkTheyDo) {
  EXPECT_EQ(count_sentences(""), 0U);
  EXPECT_EQ(count_sentences("..."), 0U);
  EXPECT_EQ(count_sentences("One sentence"), 1U);
  EXPECT_EQ(count_sentences("Pi is 3.14 today. It was so."), 2U);
  EXPECT_EQ(count_sentences("He said \"Go!\" Then he went... Far away?!"), 3U);
  EXPECT_EQ(count_sentences("Mr. A. Smith and Prof. Jones agree, e.g. here."), 1U);
  EXPECT_EQ(count_sentences("1. First\n2. Second"), 1U);
}

TEST(TextUnits, CaseIsKnownOfLatinGreekAndCyrillicLetters) {
  EXPECT_EQ(lower_case("ÄÖÜ Ž ΑΒΓ ДЁЖ"), "äöü ž αβγ дёж");
  EXPECT_TRUE(all_upper("ÜBER 9!"));
  EXPECT_FALSE(all_upper("9!"));
  EXPECT_FALSE(all_lower("straßE"));
}

TEST(Language, TextsAreKnownByScriptOrByTheirCommonWords) {
  for (const auto& [code, text] : {std::pair{"en", "The sky is blue and it is not red."},
                                   {"de", "Der Himmel ist blau und nicht rot."},
                                   {"fr", "Le ciel est bleu et il n'est pas rouge."},
                                   {"es", "El cielo es azul y no es rojo, pero está muy lejos."},
                                   {"pt", "O céu é azul e não é vermelho, mas você não vê."},
                                   {"it", "Il cielo è blu e non è rosso, anche di sera."},
                                   {"vi", "Bầu trời có màu xanh và không phải là màu đỏ."},
                                   {"sw", "Anga ni ya bluu na si nyekundu kwa sababu ya jua."},
                                   {"fi", "Taivas on sininen ja se ei ole punainen."},
                                   {"ru", "Небо синее, и оно не красное, как вы видите."},
                                   {"bg", "Небето е синьо и не е червено, което се вижда."},
                                   {"ar", "السماء زرقاء في النهار وليست حمراء"},
                                   {"fa", "آسمان آبی است و قرمز نیست که می بینیم"},
                                   {"ur", "آسمان نیلا ہے اور سرخ نہیں ہے"},
                                   {"hi", "आकाश नीला है और लाल नहीं है"},
                                   {"mr", "आकाश निळे आहे आणि लाल नाही"},
                                   {"ne", "आकाश नीलो छ र रातो होइन"},
                                   {"bn", "আকাশ নীল"},
                                   {"pa", "ਅਸਮਾਨ ਨੀਲਾ ਹੈ"},
                                   {"gu", "આકાશ વાદળી છે"},
                                   {"ta", "வானம் நீலம்"},
                                   {"te", "ఆకాశం నీలం"},
                                   {"kn", "ಆಕಾಶ ನೀಲಿ"},
                                   {"th", "ท้องฟ้าเป็นสีฟ้า"},
                                   {"ko", "하늘은 파랗다"},
                                   {"ja", "空は青いです"},
                                   {"zh", "天空是蓝色的"}})
    EXPECT_EQ(language_of(text).value_or("none"), code) << text;
  EXPECT_FALSE(language_of("123 !?").has_value());
}

}  // namespace
}  // namespace prony::quality
