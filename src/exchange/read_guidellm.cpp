// GuideLLM's benchmarks.json: requests of a benchmark by how they ended, stamps in s since 1970. Its statistics trim
// warm-up and cool-down away; here all requests are.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

struct GuideRequest {
  double start_s = 0;
  ReadRequest request;
};

std::optional<std::int64_t> tokens_at(const Found& request, const char* plain, const char* group) {
  if (const auto tokens = whole_at(request, plain)) return tokens;
  return whole_at(object_at(request, group), "total_tokens");
}

// nullopt: it was never sent.
std::optional<GuideRequest> guide_request(const Found& found, const char* end, std::size_t number) {
  const Found &info = object_at(found, "info"), &timings = object_at(info, "timings");
  auto start = number_at(timings, "request_start");
  if (!start) start = number_at(found, "request_start_time");
  if (!start || !(std::abs(*start) < 1e11)) return std::nullopt;
  GuideRequest out;
  out.start_s = *start;
  out.request.name = text_at(found, "request_id");
  if (out.request.name.empty()) out.request.name = "request " + std::to_string(number);
  out.request.prompt_tokens = tokens_at(found, "prompt_tokens", "input_metrics");
  out.request.output_tokens = tokens_at(found, "output_tokens", "output_metrics");
  const auto since = [&](const char* stamp) -> std::optional<double> {
    const auto at = number_at(timings, stamp);
    return at && *at >= *start && *at - *start <= longest_s ? std::optional(*at - *start) : std::nullopt;
  };
  out.request.ttft_s = since("first_token_iteration");
  if (const auto ms = number_at(found, "time_to_first_token_ms");
      !out.request.ttft_s && ms && *ms >= 0 && *ms < longest_s * 1e3)
    out.request.ttft_s = *ms * 1e-3;
  out.request.e2e_s = since("last_token_iteration");
  if (!out.request.e2e_s) out.request.e2e_s = since("request_end");
  if (std::string_view(end) == "incomplete") out.request.cancelled = true;
  if (std::string_view(end) == "errored") {
    out.request.error = text_at(info, "error");
    if (out.request.error.empty()) out.request.error = "failed";
  }
  return out;
}

Result<const Found*> benchmark_of(const Found& file, const std::string& wanted) {
  const auto list = file.is_object() ? file.find("benchmarks") : file.end();
  if (!file.is_object() || list == file.end() || !list->is_array() || list->empty())
    return fail(ErrorCode::malformed, "no benchmarks are in the file", {},
                "GuideLLM's benchmarks.json has a list of them.");
  if (wanted.empty() && list->size() == 1) return &list->front();
  const auto place = parse_u64(wanted);
  if (place && *place >= 1 && *place <= list->size()) return &(*list)[static_cast<std::size_t>(*place) - 1];
  return fail(ErrorCode::usage, "the file has " + std::to_string(list->size()) + " benchmarks: which one?", "--select",
              "--select 1 … " + std::to_string(list->size()) + ", in the order of the file.");
}

// A request is known by its id and its begin; one without an id by all that is told of it.
class SeenRequests {
 public:
  bool there_already(const Found& found, const GuideRequest& request) {
    const std::string id = text_at(found, "request_id");
    if (id.empty()) {
      ++nameless_;
      return !known_.insert(found.dump(-1, ' ', false, Found::error_handler_t::replace)).second;
    }
    if (!begun_.emplace(id, request.start_s).second) return true;
    if (!ids_.insert(id).second) ++begun_again_;
    return false;
  }
  void tell(std::vector<std::string>& notes) const {
    if (nameless_ > 0)
      notes.push_back(std::to_string(nameless_) + " requests have no request_id: they are named by their place");
    if (begun_again_ > 0)
      notes.push_back(std::to_string(begun_again_) +
                      " requests have the request_id of one that began at another time: each counts");
  }

 private:
  std::set<std::string> ids_, known_;
  std::set<std::pair<std::string, double>> begun_;
  std::size_t nameless_ = 0, begun_again_ = 0;
};

}  // namespace

Result<Imported> read_guidellm(std::string_view bytes, const ReadOptions& options) {
  const auto file = json_document(bytes);
  if (!file) return Unexpected<Error>(file.error());
  const auto benchmark = benchmark_of(*file, options.select);
  if (!benchmark) return Unexpected<Error>(benchmark.error());
  Imported out;
  std::vector<GuideRequest> requests;
  std::size_t number = 0, never_sent = 0, doubled = 0;
  SeenRequests seen;
  const Found& by_end = object_at(**benchmark, "requests");
  for (const char* end : {"successful", "incomplete", "errored"}) {
    const auto list = by_end.find(end);
    if (list == by_end.end() || !list->is_array()) continue;
    for (const Found& one : *list) {
      auto request = guide_request(one, end, ++number);
      if (!request)
        ++never_sent;
      else if (seen.there_already(one, *request))
        ++doubled;
      else
        requests.push_back(std::move(*request));
    }
  }
  if (never_sent > 0) out.notes.push_back(std::to_string(never_sent) + " requests that were never sent: left out");
  if (doubled > 0) out.notes.push_back(std::to_string(doubled) + " requests that were there already: left out");
  seen.tell(out.notes);
  if (requests.empty())
    return fail(ErrorCode::malformed, "no request with a begin is in the benchmark", {},
                "GuideLLM keeps requests where its output is not cut down to samples.");
  sort_stably(requests, [](const GuideRequest& a, const GuideRequest& b) { return a.start_s < b.start_s; });
  const double first = requests.front().start_s;
  std::vector<ReadRequest> all;
  double end_s = 0;
  for (GuideRequest& one : requests) {
    one.request.begin_s = one.start_s - first;
    if (one.request.begin_s > longest_s)
      return fail(ErrorCode::malformed, "requests of one benchmark are more than ten years apart", {});
    end_s = std::max(end_s, one.request.begin_s + one.request.e2e_s.value_or(0));
    all.push_back(std::move(one.request));
  }
  out.notes.emplace_back("GuideLLM's own statistics leave warm-up and cool-down out; here are all requests");
  if (first > 0 && first < 9e9) out.anchor = {{0}, static_cast<std::int64_t>(first * 1e9), {0}};
  add_spans(out, all, end_s);
  return out;
}

}  // namespace prony::exchange
