#include "base/text/json.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/file/file_kind.h"
#include "base/text/quote.h"

namespace mxvideo {
namespace {

using nlohmann::json;

// Builds the tree while the parser runs, so that a limit or a duplicate key stops the parse at
// once instead of after the damage. A handler returns false to stop; error() then says why.
class TreeBuilder final : public json::json_sax_t {
 public:
  explicit TreeBuilder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return add(nullptr) != nullptr; }
  bool boolean(bool value) override { return add(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override {
    return add(value) != nullptr;
  }
  bool string(string_t& value) override { return add(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return stop("binary value"); }
  bool start_object(size_t) override { return open(json::object()); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (name.find('\0') != string_t::npos) return stop("key '" + printable(name) + "' holds a NUL");
    auto [position, inserted] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!inserted) return stop("duplicate key '" + printable(name) + "'");
    slot_ = &position->second;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    const std::string_view text = error.what();
    // "[json.exception.…] parse error at line 1, column 2: what" without the first part.
    const size_t bracket = text.find("] ");
    const std::string_view what = bracket == text.npos ? text : text.substr(bracket + 2);
    return stop("invalid JSON at byte " + std::to_string(position) + ": " + printable(what));
  }

  json take() { return std::move(root_); }
  const std::string& error() const { return error_; }

 private:
  bool stop(std::string why) {
    error_ = std::move(why);
    return false;
  }

  json* add(json value) {
    if (++values_ > limits_.max_values) {
      stop("more than " + std::to_string(limits_.max_values) + " values");
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_object()) {
      *slot_ = std::move(value);
      return slot_;
    }
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }

  bool open(json container) {
    if (open_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return stop("nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    }
    json* added = add(std::move(container));
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  json root_;
  // Containers that are not closed yet. An array never grows while one of its elements is open, so
  // these pointers stay valid.
  std::vector<json*> open_;
  json* slot_ = nullptr;  // where the value of the last key goes
  size_t values_ = 0;
  std::string error_;
};

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  throw Error(Code::kCorruptFile, origin + ": " + what);
}

// The value as int64; nullopt for anything else, floats with integral values included.
std::optional<int64_t> as_int64(const json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  return std::nullopt;
}

std::string integer_range(int64_t minimum, int64_t maximum) {
  return "an integer in [" + std::to_string(minimum) + ", " + std::to_string(maximum) + "]";
}

std::string number_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", value);
  return text.data();
}

}  // namespace

json parse_json(std::string_view text, const std::string& origin, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    corrupt(origin, "JSON of " + std::to_string(text.size()) + " bytes, limit " +
                        std::to_string(limits.max_bytes));
  }
  if (const auto kind = recognise_container(std::as_bytes(std::span(text)))) {
    corrupt(origin, kind->sentence());
  }
  // The parser takes a NUL for the end of the text and skips a byte order mark.
  const size_t nul = text.find('\0');
  if (nul != text.npos) corrupt(origin, "invalid JSON: NUL at byte " + std::to_string(nul));
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    corrupt(origin, "invalid JSON: starts with a byte order mark");
  }
  TreeBuilder builder(limits);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) corrupt(origin, builder.error());
  return builder.take();
}

json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path, limits.max_bytes), path.string(), limits);
}

std::string describe_json(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array of " + std::to_string(value.size());
    case json::value_t::string:
      return "the string '" + printable(value.get_ref<const std::string&>(), 80) + "'";
    case json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    default:
      return value.dump();
  }
}

nlohmann::ordered_json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

JsonFields::JsonFields(const json& object, std::string origin)
    : object_(object), origin_(std::move(origin)) {
  if (!object.is_object()) corrupt(origin_, "expected an object, got " + describe_json(object));
}

void JsonFields::fail(const std::string& key, const std::string& expected, const json& got) const {
  corrupt(origin_,
          "field '" + printable(key) + "': expected " + expected + ", got " + describe_json(got));
}

const json& JsonFields::raw(const std::string& key) const {
  static const json kNull;
  const auto found = object_.find(key);
  return found == object_.end() ? kNull : *found;
}

bool JsonFields::has(const std::string& key) const { return !raw(key).is_null(); }

const json& JsonFields::required(const std::string& key) const {
  const auto found = object_.find(key);
  if (found == object_.end()) corrupt(origin_, "field '" + printable(key) + "' is missing");
  return *found;
}

int64_t JsonFields::integer(const std::string& key, int64_t minimum, int64_t maximum) const {
  const json& value = required(key);
  const std::optional<int64_t> number = as_int64(value);
  if (!number || *number < minimum || *number > maximum) {
    fail(key, integer_range(minimum, maximum), value);
  }
  return *number;
}

int64_t JsonFields::integer_or(const std::string& key, int64_t fallback, int64_t minimum,
                               int64_t maximum) const {
  return has(key) ? integer(key, minimum, maximum) : fallback;
}

double JsonFields::number(const std::string& key, double minimum, double maximum) const {
  const json& value = required(key);
  const double number =
      value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(number >= minimum && number <= maximum)) {
    fail(key, "a number in [" + number_text(minimum) + ", " + number_text(maximum) + "]", value);
  }
  return number;
}

double JsonFields::number_or(const std::string& key, double fallback, double minimum,
                             double maximum) const {
  return has(key) ? number(key, minimum, maximum) : fallback;
}

bool JsonFields::boolean_or(const std::string& key, bool fallback) const {
  const json& value = raw(key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) fail(key, "true or false", value);
  return value.get<bool>();
}

std::string JsonFields::string(const std::string& key) const {
  const json& value = required(key);
  if (!value.is_string()) fail(key, "a string", value);
  return value.get<std::string>();
}

std::string JsonFields::string_or(const std::string& key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

const json& JsonFields::array(const std::string& key) const {
  const json& value = required(key);
  if (!value.is_array()) fail(key, "an array", value);
  return value;
}

std::vector<int64_t> JsonFields::integers(const std::string& key, int64_t minimum,
                                          int64_t maximum) const {
  std::vector<int64_t> result;
  for (const json& element : array(key)) {
    const std::optional<int64_t> number = as_int64(element);
    if (!number || *number < minimum || *number > maximum) {
      fail(key, "every element " + integer_range(minimum, maximum), element);
    }
    result.push_back(*number);
  }
  return result;
}

std::vector<bool> JsonFields::booleans(const std::string& key) const {
  std::vector<bool> result;
  for (const json& element : array(key)) {
    if (!element.is_boolean()) fail(key, "every element true or false", element);
    result.push_back(element.get<bool>());
  }
  return result;
}

std::vector<double> JsonFields::numbers(const std::string& key) const {
  std::vector<double> result;
  for (const json& element : array(key)) {
    if (!element.is_number()) fail(key, "every element a number", element);
    result.push_back(element.get<double>());
  }
  return result;
}

}  // namespace mxvideo
