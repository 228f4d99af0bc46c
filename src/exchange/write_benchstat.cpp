// Lines that Go's benchstat reads, named as Ollama's own benchmark names them: a line for each request and step, so
// that `benchstat a.txt b.txt` has samples to compare. Energy is a unit of its own there.
#include "base/text.hpp"
#include "exchange/fields.hpp"

namespace prony::exchange {

namespace {

// A name without what would end it: benchstat splits at blanks, and at "/" and "=" between its keys.
std::string plain_name(std::string name) {
  for (char& c : name)
    if (c == ' ' || c == '/' || c == '=' || c == '\t' || c == '\n') c = '-';
  return name.empty() ? "model" : name;
}

std::string line_of(const std::string& name, const char* step, double seconds, double tokens,
                    const std::optional<Estimate>& joules) {
  std::string line = "BenchmarkModel/name=" + name + "/step=" + step + " 1 " + format_fixed(seconds * 1e9 / tokens, 1) +
                     " ns/token " + format_fixed(tokens / seconds, 3) + " token/sec";
  if (joules) line += " " + format_fixed(joules->value / tokens, 9) + " J/token";
  return line + "\n";
}

}  // namespace

Result<std::string> write_benchstat(const Summary& summary, WallOffset) {
  const std::string name = plain_name(model_of(summary));
  std::string out;
  for (const RequestRow* row : answered(summary)) {
    const double cached = static_cast<double>(row->span.count("cached_tokens").value_or(0));
    const double computed = static_cast<double>(row->prompt_tokens.value_or(0)) - cached;
    if (computed > 0 && row->prefill_s && *row->prefill_s > 0)
      out += line_of(name, "prefill", *row->prefill_s, computed, row->prefill.charged);
    if (row->output_tokens && *row->output_tokens > 1 && row->tpot_s && *row->tpot_s > 0) {
      const double tokens = static_cast<double>(*row->output_tokens - 1);
      out += line_of(name, "generate", *row->tpot_s * tokens, tokens, row->decode.charged);
    }
    if (row->ttft_s)
      out += "BenchmarkModel/name=" + name + "/step=ttft 1 " + format_fixed(*row->ttft_s * 1e9, 1) + " ns/op\n";
  }
  if (out.empty()) return nothing_to_write(summary, "benchstat");
  std::string head;
  if (const std::string cpu = summary.fact("machine.cpu_model"); !cpu.empty())
    head += "cpu: " + printable(cpu, 200) + "\n";
  return head + out;
}

}  // namespace prony::exchange
