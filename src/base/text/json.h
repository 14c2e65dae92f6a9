// Strict JSON for files that come from outside: size, depth and value-count limits, duplicate keys
// refused, invalid UTF-8 and NUL refused. Typed field access with messages that name file, field,
// expected and got. Thread-safe: no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo {

struct JsonLimits {
  size_t max_bytes = 16u << 20;
  int max_depth = 16;            // of nested arrays and objects
  size_t max_values = 4u << 20;  // bounds the memory of the tree: about 16 bytes each
};

// `origin` names the source in messages. Throws Code::kCorruptFile.
nlohmann::json parse_json(std::string_view text, const std::string& origin,
                          const JsonLimits& limits = {});
// Throws Code::kNotFound or Code::kIo too.
nlohmann::json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

// "an array", "the number 3.5", "null": how messages name what they got.
std::string describe_json(const nlohmann::json& value);

// A number as JSON can hold it: null for one that is infinite or no number.
nlohmann::ordered_json finite_or_null(double value);

// Fields of one JSON object, which must outlive this. Every getter throws Code::kCorruptFile when
// the field has the wrong type or lies outside the stated range; those without a default also when
// it is absent or null.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string origin);

  bool has(const std::string& key) const;  // present and not null
  int64_t integer(const std::string& key, int64_t minimum, int64_t maximum) const;
  int64_t integer_or(const std::string& key, int64_t fallback, int64_t minimum,
                     int64_t maximum) const;
  double number(const std::string& key, double minimum, double maximum) const;
  double number_or(const std::string& key, double fallback, double minimum, double maximum) const;
  bool boolean_or(const std::string& key, bool fallback) const;
  std::string string(const std::string& key) const;
  std::string string_or(const std::string& key, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& key, int64_t minimum, int64_t maximum) const;
  std::vector<bool> booleans(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  const nlohmann::json& raw(const std::string& key) const;  // null when absent
  const nlohmann::json& object() const { return object_; }
  const std::string& origin() const { return origin_; }

 private:
  const nlohmann::json& required(const std::string& key) const;
  const nlohmann::json& array(const std::string& key) const;
  [[noreturn]] void fail(const std::string& key, const std::string& expected,
                         const nlohmann::json& got) const;

  const nlohmann::json& object_;
  std::string origin_;
};

}  // namespace mxvideo
