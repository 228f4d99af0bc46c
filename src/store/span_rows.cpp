#include "store/span_rows.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace prony {
namespace {

constexpr const char* begin_sql =
    "INSERT INTO span (id, parent, kind, name, begin_ns, pid, thread, status) VALUES (?,?,?,?,?,?,?,'unfinished') "
    "ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, kind = excluded.kind, name = excluded.name, "
    "begin_ns = excluded.begin_ns, pid = excluded.pid, thread = excluded.thread";
constexpr const char* end_sql =
    "INSERT INTO span (id, end_ns, status) VALUES (?,?,?) "
    "ON CONFLICT (id) DO UPDATE SET end_ns = excluded.end_ns, status = excluded.status";
constexpr const char* whole_sql =
    "INSERT OR REPLACE INTO span (id, parent, kind, name, begin_ns, pid, thread, status, end_ns) "
    "VALUES (?,?,?,?,?,?,?,?,?)";
constexpr const char* count_sql =
    "INSERT INTO span_count (span_id, key, value) VALUES (?,?,?) "
    "ON CONFLICT (span_id, key) DO UPDATE SET value = excluded.value";
constexpr const char* attribute_sql =
    "INSERT INTO span_attribute (span_id, key, value) VALUES (?,?,?) "
    "ON CONFLICT (span_id, key) DO UPDATE SET value = excluded.value";

std::string_view kind_word(std::uint16_t kind) noexcept {
  // A newer libprony may know more kinds; what is not known here is still somebody's span.
  return to_string(kind <= static_cast<std::uint16_t>(SpanKind::user) ? static_cast<SpanKind>(kind) : SpanKind::user);
}

std::optional<std::uint64_t> parent_or_null(std::uint64_t parent) noexcept {
  if (parent == 0) return std::nullopt;
  return parent;
}

SpanStatus status_from(std::string_view word) noexcept {
  if (word == to_string(SpanStatus::ok)) return SpanStatus::ok;
  return word == to_string(SpanStatus::failed) ? SpanStatus::failed : SpanStatus::unfinished;
}

}  // namespace

Result<SpanRows> SpanRows::prepare(Database& database) {
  SpanRows rows;
  for (const auto& [statement, sql] :
       {std::pair{&rows.begin_, begin_sql}, std::pair{&rows.end_, end_sql}, std::pair{&rows.whole_, whole_sql},
        std::pair{&rows.count_, count_sql}, std::pair{&rows.attribute_, attribute_sql}}) {
    auto prepared = database.prepare(sql);
    if (!prepared) return Unexpected<Error>(prepared.error());
    *statement = std::move(*prepared);
  }
  return rows;
}

Result<void> SpanRows::apply(const SpanChange& change) {
  using ring::SlotType;
  switch (change.type) {
    case SlotType::begin:
      saw(change.time_ns);
      return begin_.run(change.span, parent_or_null(change.parent), kind_word(change.kind), change.text, change.time_ns,
                        change.pid, change.ring);
    case SlotType::end:
      saw(change.time_ns);
      return end_.run(change.span, change.time_ns, to_string(change.kind == 0 ? SpanStatus::ok : SpanStatus::failed));
    case SlotType::complete:
      saw(std::max(change.time_ns, change.value));
      return whole_.run(change.span, parent_or_null(change.parent), kind_word(change.kind), change.text, change.time_ns,
                        change.pid, change.ring, to_string(SpanStatus::ok), std::max(change.time_ns, change.value));
    case SlotType::count: return count_.run(change.span, change.key, change.value);
    case SlotType::attribute: return attribute_.run(change.span, change.key, change.text);
    case SlotType::text: break;
  }
  return {};
}

Result<void> SpanRows::put(const Span& span) {
  const auto finished = span.status != SpanStatus::unfinished;
  const auto end = finished ? std::optional(span.interval.end.ns) : std::nullopt;
  saw(finished ? span.interval.end.ns : span.interval.begin.ns);
  if (auto done = whole_.run(span.id.value, parent_or_null(span.parent.value), to_string(span.kind), span.name,
                             span.interval.begin.ns, span.pid, span.thread, to_string(span.status), end);
      !done)
    return done;
  for (const auto& [key, value] : span.counts)
    if (auto done = count_.run(span.id.value, key, value); !done) return done;
  for (const auto& [key, value] : span.attributes)
    if (auto done = attribute_.run(span.id.value, key, value); !done) return done;
  return {};
}

namespace {

Result<void> load_details(Database& database, std::vector<Span>& spans) {
  std::unordered_map<std::uint64_t, std::size_t> place;
  for (std::size_t i = 0; i < spans.size(); ++i) place.emplace(spans[i].id.value, i);
  auto counts = database.prepare("SELECT span_id, key, value FROM span_count ORDER BY rowid");
  if (!counts) return Unexpected<Error>(counts.error());
  auto row = counts->step();
  for (; row && *row; row = counts->step())
    if (const auto found = place.find(static_cast<std::uint64_t>(counts->integer(0))); found != place.end())
      spans[found->second].counts.emplace_back(counts->text(1), counts->integer(2));
  if (!row) return Unexpected<Error>(row.error());
  auto attributes = database.prepare("SELECT span_id, key, value FROM span_attribute ORDER BY rowid");
  if (!attributes) return Unexpected<Error>(attributes.error());
  for (row = attributes->step(); row && *row; row = attributes->step())
    if (const auto found = place.find(static_cast<std::uint64_t>(attributes->integer(0))); found != place.end())
      spans[found->second].attributes.emplace_back(attributes->text(1), attributes->text(2));
  if (!row) return Unexpected<Error>(row.error());
  for (Span& span : spans) span.counts.shrink_to_fit(), span.attributes.shrink_to_fit();  // there may be very many
  return {};
}

}  // namespace

Result<std::vector<Span>> load_spans(Database& database, Instant last, std::uint64_t& homeless) {
  const auto missing = database.integer("SELECT count(*) FROM span WHERE begin_ns IS NULL");
  if (!missing) return Unexpected<Error>(missing.error());
  homeless = static_cast<std::uint64_t>(missing->value_or(0));
  const auto latest =
      database.integer("SELECT max(max(ifnull(begin_ns, end_ns)), max(ifnull(end_ns, begin_ns))) FROM span");
  if (!latest) return Unexpected<Error>(latest.error());
  last.ns = std::max(last.ns, latest->value_or(last.ns));

  auto rows = database.prepare(
      "SELECT id, parent, kind, status, name, begin_ns, end_ns, pid, thread FROM span WHERE begin_ns IS NOT NULL "
      "ORDER BY begin_ns, id");
  if (!rows) return Unexpected<Error>(rows.error());
  std::vector<Span> spans;
  auto row = rows->step();
  for (; row && *row; row = rows->step()) {
    Span span;
    span.id = {static_cast<std::uint64_t>(rows->integer(0))};
    span.parent = {static_cast<std::uint64_t>(rows->integer(1))};
    span.kind = span_kind_from(rows->text(2)).value_or(SpanKind::user);
    const auto open = rows->is_null(6);
    span.status = open ? SpanStatus::unfinished : status_from(rows->text(3));
    span.name = rows->text(4);
    span.interval.begin = {rows->integer(5)};
    span.interval.end = std::max(span.interval.begin, open ? last : Instant{rows->integer(6)});
    span.pid = rows->integer(7);
    span.thread = static_cast<std::uint32_t>(rows->integer(8));
    spans.push_back(std::move(span));
  }
  if (!row) return Unexpected<Error>(row.error());
  if (auto done = load_details(database, spans); !done) return Unexpected<Error>(done.error());
  return spans;
}

Result<void> store_losses(Database& database, const SpanConsumer& consumer, std::uint64_t before, Instant at,
                          bool with_events) {
  auto meta = database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('spans_lost', ?)");
  if (!meta) return Unexpected<Error>(meta.error());
  if (auto done = meta->run(std::to_string(before + consumer.lost())); !done) return done;
  if (!with_events) return {};
  auto event = database.prepare("INSERT INTO event (at_ns, kind, subject, text) VALUES (?, 'spans-lost', ?, ?)");
  if (!event) return Unexpected<Error>(event.error());
  for (const auto& loss : consumer.losses()) {
    const auto text = std::to_string(loss.dropped) + " dropped because the ring was full, " +
                      std::to_string(loss.broken) + " half written or senseless";
    if (auto done =
            event->run(at.ns, "process " + std::to_string(loss.pid) + ", ring " + std::to_string(loss.ring), text);
        !done)
      return done;
  }
  if (const auto threads = consumer.rejected_threads(); threads != 0)
    if (auto done = event->run(at.ns, std::string("spans"), std::to_string(threads) + " threads found no free ring");
        !done)
      return done;
  return {};
}

}  // namespace prony
