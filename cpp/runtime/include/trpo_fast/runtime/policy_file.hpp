// The policy file: safetensors, with a SHA-256 over header and data in its metadata (docs/robotics.md). Nothing here
// executes what it reads, and nothing allocates more than the file's size says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_reader.hpp"
#include "load_status.hpp"
#include "sha256.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "trpo_fast: policy files are little-endian, and so must the machine be"
#endif

namespace trpo_fast::runtime {

using Shape = std::vector<std::int64_t>;

struct Tensor {
  std::string dtype;  // as safetensors has it: "F32"
  Shape shape;
  Shape offsets;  // where in the data it begins and ends
};

struct PolicyFile {
  std::map<std::string, Tensor> tensors;
  std::string_view data;  // in the content that was read
};

namespace detail {

constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 23;
constexpr std::size_t kMaxDimensions = 32;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 40;  // of a tensor; of an empty one, of its other sizes

inline std::int64_t item_size(const std::string& dtype) {
  static const std::map<std::string, std::int64_t> kSizes{{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2},
                                                          {"F16", 2},  {"U32", 4}, {"I32", 4}, {"F32", 4}, {"U64", 8},
                                                          {"I64", 8},  {"F64", 8}, {"C64", 8}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

// The product of sizes; nullopt if there are too many, or it is too large.
inline std::optional<std::int64_t> product(const Shape& shape) {
  if (shape.size() > kMaxDimensions) return std::nullopt;
  std::int64_t of_others = 1;
  for (const std::int64_t size : shape) {
    const std::int64_t n = std::max<std::int64_t>(size, 1);
    if (n > kMaxSize / of_others) return std::nullopt;
    of_others *= n;
  }
  return std::count(shape.begin(), shape.end(), 0) > 0 ? 0 : of_others;
}

// A tensor's entry in the header: each member once, in any order.
inline bool take_tensor(JsonReader& header, Tensor& tensor) {
  int num_dtypes = 0, num_shapes = 0, num_offsets = 0;
  std::string key;
  const bool is_object = header.take_object([&] {
    if (!header.take_string(key) || !header.take(':')) return false;
    if (key == "dtype") return ++num_dtypes, header.take_string(tensor.dtype);
    if (key == "shape") return ++num_shapes, header.take_integers(tensor.shape);
    return key == "data_offsets" && (++num_offsets, header.take_integers(tensor.offsets));
  });
  return is_object && num_dtypes == 1 && num_shapes == 1 && num_offsets == 1 && tensor.offsets.size() == 2;
}

// The header: tensors by name, and the metadata that trpo_fast wrote.
inline bool take_header(JsonReader& header, std::map<std::string, Tensor>& tensors, std::string& metadata) {
  int num_metadata = 0;
  std::string key;
  const bool is_object = header.take_object([&] {
    if (!header.take_string(key) || !header.take(':')) return false;
    if (key != "__metadata__") {
      const auto [place, is_new] = tensors.emplace(key, Tensor{});
      return is_new && take_tensor(header, place->second);
    }
    ++num_metadata;
    return header.take('{') && header.take_string(key) && key == "trpo_fast" && header.take(':') &&
           header.take_string(metadata) && header.take('}');
  });
  return is_object && num_metadata == 1 && header.take_end();
}

// Whether the tensors fill the data, one after another.
inline bool fills(const std::map<std::string, Tensor>& tensors, std::string_view data) {
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  for (const auto& [name, tensor] : tensors) {
    const std::int64_t begin = tensor.offsets[0], end = tensor.offsets[1], size = item_size(tensor.dtype);
    const auto num_items = product(tensor.shape);
    if (size == 0 || !num_items || begin > end || end - begin != *num_items * size) return false;
    spans.emplace_back(begin, end);
  }
  std::sort(spans.begin(), spans.end());
  std::int64_t filled = 0;
  for (const auto& [begin, end] : spans) {
    if (begin != filled) return false;
    filled = end;
  }
  return static_cast<std::uint64_t>(filled) == data.size();
}

// The members of the metadata that every reader needs, as text of JSON values; the others are for Python.
struct Stamp {
  std::string_view format, version, digest;
};

inline bool read_stamp(std::string_view metadata, Stamp& stamp) {
  JsonReader reader(metadata);
  std::string_view key, value;
  const auto keep = [&](std::string_view& member) { return std::exchange(member, value).empty(); };  // once
  const bool is_object = reader.take_object([&] {
    if (!reader.take_value(key) || !reader.take(':') || !reader.take_value(value)) return false;
    if (key == "\"format\"") return keep(stamp.format);
    if (key == "\"version\"") return keep(stamp.version);
    return key != "\"sha256\"" || keep(stamp.digest);
  });
  return is_object && reader.take_end();
}

// Whether `digest`, 64 digits in quotation marks, is the SHA-256 of the content with these digits set to "0".
inline bool verify(std::string_view content, std::string_view digest, LoadProblem& problem) {
  const std::string digits(digest.size() == 66 ? digest.substr(1, 64) : "");
  const std::string quoted = "\\\"sha256\\\":\\\"" + digits + "\\\"";  // as it is written in the header
  const std::size_t found = content.find(quoted);
  if (digits.empty() || found == std::string_view::npos || content.find(quoted, found + 1) != std::string_view::npos) {
    return problem.is(LoadStatus::malformed, "expected a policy file with a SHA-256, got one without");
  }
  const std::size_t begin = found + quoted.find(digits), end = begin + digits.size();
  const auto* bytes = reinterpret_cast<const unsigned char*>(content.data());
  const std::string zeros(digits.size(), '0');
  Sha256 sum;
  sum.add(bytes, begin);
  sum.add(reinterpret_cast<const unsigned char*>(zeros.data()), zeros.size());
  sum.add(bytes + end, content.size() - end);
  return sum.hex_digest() == digits ||
         problem.is(LoadStatus::damaged, "expected contents that match their SHA-256, got a damaged or edited file");
}

}  // namespace detail

// The tensors in `content`, once its checksum is verified.
inline bool read_policy_file(std::string_view content, PolicyFile& file, LoadProblem& problem) {
  const auto malformed = [&](const char* what) {
    return problem.is(LoadStatus::malformed, std::string("expected a policy file, got ") + what);
  };
  std::uint64_t header_size = 0;
  if (content.size() < 8) return malformed("one without a readable header");
  for (std::size_t i = 8; i-- > 0;) header_size = header_size << 8 | static_cast<unsigned char>(content[i]);
  if (header_size > std::min<std::uint64_t>(detail::kMaxHeader, content.size() - 8)) {
    return malformed("one without a readable header");
  }
  const std::string_view text = content.substr(8, static_cast<std::size_t>(header_size));
  file.data = content.substr(8 + text.size());
  JsonReader header(text);
  std::string metadata;
  detail::Stamp stamp;
  const bool is_header = detail::take_header(header, file.tensors, metadata);
  const bool is_stamped = detail::read_stamp(metadata, stamp);  // the header of another version may be another
  if (is_stamped && (stamp.format != "\"trpo_fast.policy\"" || stamp.version != "4")) {
    const auto shortened = [](std::string_view value) { return std::string(value.substr(0, 40)); };
    return problem.is(LoadStatus::unsupported, "expected \"trpo_fast.policy\" version 4, got " +
                                                   shortened(stamp.format) + " version " + shortened(stamp.version) +
                                                   " (Python loads version 3, and saves version 4)");
  }
  if (!is_header || !is_stamped) return malformed("a header of another form");
  return detail::verify(content, stamp.digest, problem) &&
         (detail::fills(file.tensors, file.data) || malformed("tensors that do not fill its data"));
}

}  // namespace trpo_fast::runtime
