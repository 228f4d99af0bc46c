#include "quality/language.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "quality/text_units.hpp"

namespace prony::quality {

namespace {

struct Script {
  char32_t first, last;
  std::string_view name;  // a language's code if it is that language's alone, else the script's
};
constexpr std::array<Script, 19> scripts{{{U'A', U'Z', "latin"},
                                          {U'a', U'z', "latin"},
                                          {0xC0, 0x24F, "latin"},
                                          {0x1E00, 0x1EFF, "latin"},
                                          {0x370, 0x3FF, "el"},
                                          {0x400, 0x52F, "cyrillic"},
                                          {0x590, 0x5FF, "he"},
                                          {0x600, 0x6FF, "arabic"},
                                          {0x900, 0x97F, "devanagari"},
                                          {0x980, 0x9FF, "bn"},
                                          {0xA00, 0xA7F, "pa"},
                                          {0xA80, 0xAFF, "gu"},
                                          {0xB80, 0xBFF, "ta"},
                                          {0xC00, 0xC7F, "te"},
                                          {0xC80, 0xCFF, "kn"},
                                          {0xD00, 0xD7F, "ml"},
                                          {0xE00, 0xE7F, "th"},
                                          {0xAC00, 0xD7AF, "ko"},
                                          {0x3040, 0x30FF, "ja"}}};

struct Common {
  std::string_view script, language;
  std::string_view words;    // with a space on both sides of each
  std::string_view letters;  // that the others of the script do not have
};
constexpr std::array<Common, 20> common{{
    {"latin", "en", " the of and to in is that it was for on are with as be this have from or by not you which an we ",
     ""},
    {"latin", "de", " der die und das ist nicht ein eine zu den mit von auf sich dem des für auch wir ich es ", "ß"},
    {"latin", "fr", " le les des est et une un dans que pour qui sur pas avec il elle ce nous vous du au ", "œ"},
    {"latin", "es", " el los las es y una un que por para con del como más pero su se lo muy está ", "ñ¿¡"},
    {"latin", "pt", " o os as é e uma um que não para com do da em mais como se ao na você são ", "ãõ"},
    {"latin", "it", " il gli è e una un che non per con del della di sono più anche questo nel si le ", ""},
    {"latin", "fi", " ja on ei se että oli hän mutta kun niin joka ovat tämä olla voi sekä kuin myös ", ""},
    {"latin", "sw", " na ya wa kwa ni katika la za kama hii yake lakini pia hiyo cha ili au watu sana ", ""},
    {"latin", "vi", " và là của có trong không một cho người được với các này đã những tôi đến ",
     "đơưạảấầẩẫậắằẳẵặẹẻẽếềểễệ"},
    {"latin", "nl", " de het een en van is niet dat op te zijn met voor aan er maar ook als bij ", ""},
    {"latin", "tr", " ve bir bu da için ile çok olarak daha gibi ama ne kadar olan değil ", "ğış"},
    {"latin", "pl", " i w na z się nie jest że do to jak dla o ale po od ", "łąęśźż"},
    {"arabic", "ar", " في من على إلى أن هذا التي الذي كان ما لا مع عن هو هذه ", "ةأإىي"},
    {"arabic", "fa", " در از به که این را با است برای آن یک می های خود ", "پچژگی"},
    {"arabic", "ur", " کے میں کی ہے اور سے کا کو پر ہیں نے کہ یہ ", "ٹڈڑےہھں"},
    {"devanagari", "hi", " के है में की और से का को हैं पर यह कि एक नहीं लिए ", ""},
    {"devanagari", "mr", " आहे आणि या हे ते आहेत नाही तर एक मध्ये साठी च्या असे ", "ळ"},
    {"devanagari", "ne", " छ र को मा छन् यो हो पनि एक लागि गर्न भएको तथा गरेको ", ""},
    {"cyrillic", "ru", " и в не на что с по это как для он из но все так мы вы ", "ыэё"},
    {"cyrillic", "bg", " и на да е за се от не по са това с в като ще които ", ""},
}};
constexpr Common ukrainian{"cyrillic", "uk", " і в не на що з та це як для до але він був ", "іїєґ"};

std::string_view script_of(char32_t c) {
  if (c >= 0x4E00 && c <= 0x9FFF) return "han";
  for (const Script& script : scripts)
    if (c >= script.first && c <= script.last && c != 0xD7 && c != 0xF7) return script.name;
  return {};
}

std::string main_script(const std::u32string& text) {
  std::map<std::string_view, std::size_t> counts;
  for (const char32_t c : text)
    if (const auto name = script_of(c); !name.empty()) ++counts[name];
  if (counts.empty()) return {};
  if (counts["ja"] * 10 > counts["han"] && counts["ja"] > 0) counts["ja"] += counts["han"];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& one) { return one.second; });
  return most->first == "han" ? "zh" : std::string(most->first);
}

std::vector<std::string> words_of(const std::u32string& text) {
  std::vector<std::string> words;
  std::u32string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && is_word(text[i])) {
      word.push_back(lower(text[i]));
      continue;
    }
    if (!word.empty()) words.push_back(to_utf8(word));
    word.clear();
  }
  return words;
}

double likeness(const Common& row, const std::u32string& text, const std::vector<std::string>& words) {
  double sum = 0;
  for (const std::string& word : words)
    if (row.words.find(" " + word + " ") != std::string_view::npos) sum += 1;
  const std::u32string letters = code_points(row.letters);
  for (const char32_t c : text)
    if (letters.find(lower(c)) != std::u32string::npos) sum += 0.5;
  return sum;
}

}  // namespace

std::optional<std::string> language_of(std::string_view text) {
  const std::u32string all = code_points(text);
  const std::string script = main_script(all);
  if (script.empty()) return std::nullopt;
  std::vector<const Common*> rows;
  for (const Common& row : common)
    if (row.script == script) rows.push_back(&row);
  if (script == "cyrillic") rows.push_back(&ukrainian);
  if (rows.empty()) return script;
  const std::vector<std::string> words = words_of(all);
  const Common* best = nullptr;
  double most = 0;
  for (const Common* row : rows) {
    const double like = likeness(*row, all, words);
    if (like > most) {
      most = like;
      best = row;
    }
  }
  if (best == nullptr) return std::nullopt;
  return std::string(best->language);
}

bool knows_language(std::string_view code) {
  const auto same = [&](const Common& row) { return row.language == code; };
  const bool script = std::ranges::any_of(scripts, [&](const Script& s) { return s.name == code && code.size() == 2; });
  return script || code == "zh" || code == "uk" || std::ranges::any_of(common, same);
}

}  // namespace prony::quality
