// The policy file: safetensors, with a SHA-256 over header and data in its metadata (docs/robotics.md). Nothing here
// executes what it reads, and nothing allocates more than the file's size says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "json_reader.hpp"
#include "load_status.hpp"
#include "sha256.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "trpo_fast: policy files are little-endian, and so must the machine be"
#endif

namespace trpo_fast::runtime {

// Sizes of a tensor. Of more than four dimensions only the number is kept: no tensor that acting needs has more.
struct Shape {
  static constexpr int kMost = 4;

  int num_dimensions = 0;
  std::int64_t sizes[kMost] = {0, 0, 0, 0};

  bool operator==(const Shape& other) const {
    return num_dimensions == other.num_dimensions && std::equal(sizes, sizes + kMost, other.sizes);
  }

  // Numbers in a tensor of up to four dimensions.
  std::int64_t num_items() const {
    std::int64_t product = 1;
    for (int i = 0; i < num_dimensions; ++i) product *= sizes[i];
    return product;
  }
};

struct Tensor {
  std::string_view name, dtype;  // as the header has them
  Shape shape;
  std::int64_t offsets[2] = {0, 0};  // where in the data it begins and ends
};

// What stands before the data, in the content that was read.
struct Header {
  std::deque<Tensor> tensors;   // in the order of their names
  std::string digest;           // 64 digits; empty if there are more or fewer
  std::uint64_t size = 0;       // bytes, with the 8 that say so
  std::uint64_t data_size = 0;  // bytes
};

struct PolicyFile {
  Header header;
  std::string_view data;

  // The tensor `name`; null if there is none.
  const Tensor* find(std::string_view name) const {
    const auto is_before = [](const Tensor& tensor, std::string_view other) { return tensor.name < other; };
    const auto found = std::lower_bound(header.tensors.begin(), header.tensors.end(), name, is_before);
    return found != header.tensors.end() && found->name == name ? &*found : nullptr;
  }
};

namespace detail {

constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 23;
constexpr int kMaxDimensions = 32;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 40;  // of a tensor; of an empty one, of its other sizes

inline std::int64_t item_size(std::string_view dtype) {
  constexpr std::pair<std::string_view, std::int64_t> kSizes[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2}, {"F16", 2}, {"U32", 4},
      {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8}, {"F64", 8}, {"C64", 8}};
  for (const auto& [name, size] : kSizes) {
    if (name == dtype) return size;
  }
  return 0;
}

// A list of sizes, and their product; false as well if there are too many, or the product is too large.
inline bool take_shape(JsonReader& header, Shape& shape, std::int64_t& num_items) {
  std::int64_t of_others = 1;  // the product of those that are not 0
  bool has_zero = false;
  const bool is_list = header.take_list([&] {
    std::int64_t size = 0;
    if (shape.num_dimensions == kMaxDimensions || !header.take_integer(size)) return false;
    if (shape.num_dimensions < Shape::kMost) shape.sizes[shape.num_dimensions] = size;
    ++shape.num_dimensions;
    has_zero = has_zero || size == 0;
    if (size > kMaxSize / of_others) return false;
    of_others *= size == 0 ? 1 : size;
    return true;
  });
  num_items = has_zero ? 0 : of_others;
  return is_list;
}

// A tensor's entry in the header: each member once, in any order, and as many bytes as its shape needs.
inline bool take_tensor(JsonReader& header, Tensor& tensor) {
  int num_dtypes = 0, num_shapes = 0, num_offsets = 0, num_bounds = 0;
  std::int64_t num_items = 0;
  std::string_view key;
  const auto take_bound = [&] { return num_bounds < 2 && header.take_integer(tensor.offsets[num_bounds++]); };
  const bool is_object = header.take_object([&] {
    if (!header.take_string(key) || !header.take(':')) return false;
    if (key == "dtype") return ++num_dtypes, header.take_string(tensor.dtype);
    if (key == "shape") return ++num_shapes, take_shape(header, tensor.shape, num_items);
    return key == "data_offsets" && (++num_offsets, header.take_list(take_bound));
  });
  const std::int64_t size = item_size(tensor.dtype);
  return is_object && num_dtypes == 1 && num_shapes == 1 && num_offsets == 1 && num_bounds == 2 && size > 0 &&
         tensor.offsets[1] - tensor.offsets[0] == num_items * size;
}

// The header: tensors, and the metadata that trpo_fast wrote.
inline bool take_header(JsonReader& header, std::deque<Tensor>& tensors, std::string& metadata) {
  int num_metadata = 0;
  std::string_view key, written;
  const bool is_object = header.take_object([&] {
    if (!header.take_string(key) || !header.take(':')) return false;
    if (key != "__metadata__") {
      tensors.emplace_back().name = key;
      return take_tensor(header, tensors.back());
    }
    ++num_metadata;
    if (!header.take('{') || !header.take_string(key) || key != "trpo_fast" || !header.take(':') ||
        !header.take_string(written)) {
      return false;
    }
    metadata = without_escapes(written);
    return header.take('}');
  });
  return is_object && num_metadata == 1 && header.take_end();
}

// Whether the tensors lie in the data one after another, without gaps and overlaps, and where the data then end.
inline bool is_contiguous(std::deque<Tensor>& tensors, std::uint64_t& data_size) {
  const auto place = [](const Tensor& tensor) { return std::make_pair(tensor.offsets[0], tensor.offsets[1]); };
  std::sort(tensors.begin(), tensors.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::int64_t filled = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.offsets[0] != filled) return false;
    filled = tensor.offsets[1];
  }
  data_size = static_cast<std::uint64_t>(filled);
  return true;
}

// Puts the tensors in the order of their names; whether no name stands twice.
inline bool sort_names(std::deque<Tensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto are_same = [](const auto& a, const auto& b) { return a.name == b.name; };
  return std::adjacent_find(tensors.begin(), tensors.end(), are_same) == tensors.end();
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

inline bool is_malformed(LoadProblem& problem, const char* got) {
  return problem.is(LoadStatus::malformed, std::string("expected a policy file, got ") + got);
}

// Whether the digest in the header is the SHA-256 of the content with its digits set to "0".
inline bool is_intact(std::string_view content, const Header& header, LoadProblem& problem) {
  const std::string& digits = header.digest;
  const std::string_view text = content.substr(0, static_cast<std::size_t>(header.size));
  const std::string quoted = "\\\"sha256\\\":\\\"" + digits + "\\\"";  // as it is written in the header
  const std::size_t found = text.find(quoted);
  if (digits.empty() || found == std::string_view::npos || text.find(quoted, found + 1) != std::string_view::npos) {
    return is_malformed(problem, "one without a SHA-256");
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

// The size of the header at the beginning of a file, with the 8 bytes that say so; these are all that is read.
inline bool read_header_size(std::string_view content, std::uint64_t& size, LoadProblem& problem) {
  size = 0;
  if (content.size() < 8) return detail::is_malformed(problem, "one without a readable header");
  for (std::size_t i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(content[i]);
  if (size > detail::kMaxHeader) return detail::is_malformed(problem, "one without a readable header");
  size += 8;
  return true;
}

// The header at the beginning of `content`, which need not hold the data yet.
inline bool read_header(std::string_view content, Header& header, LoadProblem& problem) {
  if (!read_header_size(content, header.size, problem)) return false;
  if (header.size > content.size()) return detail::is_malformed(problem, "one without a readable header");
  JsonReader reader(content.substr(8, static_cast<std::size_t>(header.size) - 8));
  std::string metadata;
  detail::Stamp stamp;
  const bool is_header = detail::take_header(reader, header.tensors, metadata);
  const bool is_stamped = detail::read_stamp(metadata, stamp);  // the header of another version may be another
  if (is_stamped && (stamp.format != "\"trpo_fast.policy\"" || stamp.version != "4")) {
    const auto shortened = [](std::string_view value) { return std::string(value.substr(0, 40)); };
    return problem.is(LoadStatus::unsupported, "expected \"trpo_fast.policy\" version 4, got " +
                                                   shortened(stamp.format) + " version " + shortened(stamp.version) +
                                                   " (Python loads version 3, and saves version 4)");
  }
  if (stamp.digest.size() == 66) header.digest = stamp.digest.substr(1, 64);  // in quotation marks
  if (!is_header || !is_stamped) return detail::is_malformed(problem, "a header of another form");
  return (detail::is_contiguous(header.tensors, header.data_size) && detail::sort_names(header.tensors)) ||
         detail::is_malformed(problem, "tensors that do not fill its data, one after another");
}

// The tensors in `content`, once its checksum is verified.
inline bool read_policy_file(std::string_view content, PolicyFile& file, LoadProblem& problem) {
  if (!read_header(content, file.header, problem) || !detail::is_intact(content, file.header, problem)) {
    return false;
  }
  file.data = content.substr(static_cast<std::size_t>(file.header.size));
  return file.data.size() == file.header.data_size || detail::is_malformed(problem, "data of another size");
}

}  // namespace trpo_fast::runtime
