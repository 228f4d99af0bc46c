#include "library/arrow_columns.hpp"

#include <cstring>
#include <limits>
#include <memory>

#include "base/text.hpp"

namespace prony::library {

// What a handed-over column's private_data is.
struct ColumnOwner {
  explicit ColumnOwner(ArrowColumn&& taken) : column(std::move(taken)) {
    column.integers_.reserve(1), column.numbers_.reserve(1), column.bytes_.reserve(1);  // data() is never null
    buffers[0] = column.absent_ == 0 ? nullptr : column.valid_.data();
    switch (column.type_) {
      case ArrowColumn::Type::integers: buffers[1] = column.integers_.data(); break;
      case ArrowColumn::Type::numbers: buffers[1] = column.numbers_.data(); break;
      case ArrowColumn::Type::texts:
        buffers[1] = column.offsets_.data();
        buffers[2] = column.bytes_.data();
        break;
    }
  }
  ArrowColumn column;
  const void* buffers[3] = {};
};

namespace {

// Children of a struct: the pointers, and the places that they point to.
template <class Arrow>
struct Children {
  explicit Children(std::size_t count) : places(count) {
    for (Arrow& place : places) pointers.push_back(&place);
  }
  ~Children() {
    for (Arrow& place : places)
      if (place.release != nullptr) place.release(&place);
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  std::vector<Arrow> places;
  std::vector<Arrow*> pointers;
  const void* no_validity = nullptr;
};

struct SchemaOwner {
  std::string name, metadata;
  std::unique_ptr<Children<ArrowSchema>> children;
};

template <class Owner, class Arrow>
void release(Arrow* arrow) {
  delete static_cast<Owner*>(arrow->private_data);
  arrow->release = nullptr;
}

// Pairs as the specification has them: their number, then length and bytes of key and value, in native byte order.
std::string metadata_of(const std::string& help) {
  if (help.empty()) return {};
  std::string out;
  const auto number = [&](std::size_t value) {
    const auto narrow = static_cast<std::int32_t>(value);
    char bytes[sizeof narrow];
    std::memcpy(bytes, &narrow, sizeof narrow);
    out.append(bytes, sizeof narrow);
  };
  number(1);
  for (const std::string& text : {std::string("help"), help}) {
    number(text.size());
    out += text;
  }
  return out;
}

ArrowSchema schema_of(const char* format, std::int64_t flags, std::unique_ptr<SchemaOwner> owner) {
  ArrowSchema schema{};
  schema.format = format;
  schema.name = owner->name.c_str();
  schema.metadata = owner->metadata.empty() ? nullptr : owner->metadata.data();
  schema.flags = flags;
  if (owner->children) {
    schema.n_children = static_cast<std::int64_t>(owner->children->places.size());
    schema.children = owner->children->pointers.data();
  }
  schema.release = release<SchemaOwner, ArrowSchema>;
  schema.private_data = owner.release();
  return schema;
}

}  // namespace

void ArrowColumn::mark(bool present) {
  if (length_ % 8 == 0) valid_.push_back(0);
  if (present)
    valid_.back() = static_cast<std::uint8_t>(valid_.back() | 1U << (length_ % 8));
  else
    ++absent_;
  ++length_;
}

void ArrowColumn::absent() {
  mark(false);
  if (type_ == Type::integers) integers_.push_back(0);
  if (type_ == Type::numbers) numbers_.push_back(0);
  if (type_ == Type::texts) offsets_.push_back(offsets_.back());
}

void ArrowColumn::to_numbers() {
  numbers_.assign(integers_.begin(), integers_.end());
  integers_ = {};
  type_ = Type::numbers;
}

// What came before the first text was numbers: they are written as such.
Result<void> ArrowColumn::to_texts() {
  ArrowColumn texts(name_, help_, Type::texts);
  for (std::int64_t i = 0; i < length_; ++i) {
    const auto place = static_cast<std::size_t>(i);
    if ((valid_[place / 8] >> (place % 8) & 1U) == 0) {
      texts.absent();
      continue;
    }
    const std::string word =
        type_ == Type::integers ? std::to_string(integers_[place]) : format_number(numbers_[place]);
    if (auto added = texts.text(word); !added) return added;
  }
  *this = std::move(texts);
  return {};
}

void ArrowColumn::integer(std::int64_t value) {
  if (type_ == Type::numbers) return number(static_cast<double>(value));
  mark(true);
  integers_.push_back(value);
}

void ArrowColumn::number(double value) {
  if (type_ == Type::integers) to_numbers();
  mark(true);
  numbers_.push_back(value);
}

Result<void> ArrowColumn::text(std::string_view value) {
  if (type_ != Type::texts)
    if (auto turned = to_texts(); !turned) return turned;
  if (value.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) - bytes_.size())
    return fail(ErrorCode::full, "the texts of a column take more than 2 GiB", name_, "Read it in parts.");
  mark(true);
  bytes_ += value;
  offsets_.push_back(static_cast<std::int32_t>(bytes_.size()));
  return {};
}

Result<void> ArrowColumn::cell(const Cell& cell) {
  if (const auto* words = std::get_if<std::string>(&cell)) return text(*words);
  const auto* whole = std::get_if<std::int64_t>(&cell);
  const auto* real = std::get_if<double>(&cell);
  if (whole == nullptr && real == nullptr) {
    absent();
  } else if (type_ == Type::texts) {
    return text(whole != nullptr ? std::to_string(*whole) : format_number(*real));
  } else if (whole != nullptr) {
    integer(*whole);
  } else {
    number(*real);
  }
  return {};
}

void ArrowColumn::describe(ArrowSchema& out) const {
  auto owner = std::make_unique<SchemaOwner>();
  owner->name = name_;
  owner->metadata = metadata_of(help_);
  const char* format = type_ == Type::integers ? "l" : type_ == Type::numbers ? "g" : "u";
  out = schema_of(format, ARROW_FLAG_NULLABLE, std::move(owner));
}

void ArrowColumn::hand_over(ArrowArray& out) {
  auto owner = std::make_unique<ColumnOwner>(std::move(*this));
  out = ArrowArray{};
  out.length = owner->column.length_;
  out.null_count = owner->column.absent_;
  out.n_buffers = owner->column.type_ == Type::texts ? 3 : 2;
  out.buffers = owner->buffers;
  out.release = release<ColumnOwner, ArrowArray>;
  out.private_data = owner.release();
}

void describe(const std::vector<ArrowColumn>& columns, ArrowSchema& out) {
  auto owner = std::make_unique<SchemaOwner>();
  owner->children = std::make_unique<Children<ArrowSchema>>(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i].describe(owner->children->places[i]);
  out = schema_of("+s", 0, std::move(owner));
}

void hand_over(std::vector<ArrowColumn>&& columns, std::int64_t length, ArrowArray& out) {
  auto owner = std::make_unique<Children<ArrowArray>>(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i].hand_over(owner->places[i]);
  out = ArrowArray{};
  out.length = length;
  out.n_buffers = 1;
  out.buffers = &owner->no_validity;
  out.n_children = static_cast<std::int64_t>(owner->places.size());
  out.children = owner->pointers.data();
  out.release = release<Children<ArrowArray>, ArrowArray>;
  out.private_data = owner.release();
}

Result<void> hand_over(Table& table, ArrowSchema& schema, ArrowArray& array) {
  std::vector<ArrowColumn> columns;
  for (const Column& column : table.columns()) columns.emplace_back(column.name, column.help);
  std::vector<Cell> row;
  std::int64_t length = 0;
  while (true) {
    const auto more = table.next(row);
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    for (std::size_t i = 0; i < columns.size(); ++i)
      if (auto added = columns[i].cell(row[i]); !added) return added;
    ++length;
  }
  ArrowSchema described{};
  describe(columns, described);
  try {
    hand_over(std::move(columns), length, array);
  } catch (...) {
    described.release(&described);
    throw;
  }
  schema = described;
  return {};
}

}  // namespace prony::library
