// The policy file: safetensors, with a SHA-256 over header and data in its metadata (python/trpo_fast/policy_file.py
// says how). Nothing here executes what it reads, and nothing allocates more than the file's size says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"
#include "load_status.hpp"
#include "sha256.hpp"
#include "shape.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "trpo_fast: policy files are little-endian, and so must the machine be"
#endif

namespace trpo_fast::runtime {

struct Tensor {
  std::string dtype;  // as safetensors has it: "F32"
  std::vector<std::int64_t> shape;
  const unsigned char* data;
  std::size_t num_bytes;
};

struct PolicyFile {
  std::map<std::string, Tensor> tensors;  // their data lie in the content that was read
  std::string metadata;                   // checked JSON
};

namespace detail {

constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 23;

inline std::size_t item_size(const std::string& dtype) {
  static const std::map<std::string, std::size_t> kSizes{{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2},
                                                         {"F16", 2},  {"U32", 4}, {"I32", 4}, {"F32", 4}, {"U64", 8},
                                                         {"I64", 8},  {"F64", 8}, {"C64", 8}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

// Where the tensors lie in `data`: one behind the other, all of it.
inline bool read_tensors(const json::Value& header, std::string_view data, PolicyFile& file, LoadProblem& problem) {
  const auto malformed = [&](const std::string& why) {
    return problem.is(LoadStatus::malformed, "expected tensors as safetensors has them, got " + why);
  };
  struct Span {
    std::int64_t begin, end;
  };
  std::vector<Span> spans;
  bool all_fit = true;
  header.for_each_member([&](const std::string& name, json::Value entry) {
    if (name == "__metadata__" || !all_fit) return;
    Tensor tensor{};
    std::vector<std::int64_t> offsets;
    const auto numbers = [&](const char* key, std::vector<std::int64_t>& to) {
      const auto list = entry.find(key);
      if (!list || !list->is_array()) return false;
      bool are_sizes = true;
      list->for_each_item([&](json::Value item) {
        to.push_back(item.integer().value_or(-1));
        are_sizes &= to.back() >= 0;
      });
      return are_sizes;
    };
    const auto dtype = entry.find("dtype");
    tensor.dtype = dtype ? dtype->string().value_or("") : "";
    int num_members = 0;
    entry.for_each_member([&](const std::string&, json::Value) { ++num_members; });
    all_fit = num_members == 3 && item_size(tensor.dtype) > 0 && numbers("shape", tensor.shape) &&
              numbers("data_offsets", offsets) && offsets.size() == 2;
    const auto num_items = all_fit ? product(tensor.shape) : std::nullopt;
    const std::uint64_t num_bytes = num_items.value_or(0) * item_size(tensor.dtype);
    all_fit = num_items && offsets[0] <= offsets[1] && static_cast<std::uint64_t>(offsets[1]) <= data.size() &&
              static_cast<std::uint64_t>(offsets[1] - offsets[0]) == num_bytes;
    if (!all_fit) return;
    tensor.data = reinterpret_cast<const unsigned char*>(data.data()) + offsets[0];
    tensor.num_bytes = static_cast<std::size_t>(num_bytes);
    spans.push_back({offsets[0], offsets[1]});
    file.tensors.emplace(name, std::move(tensor));
  });
  if (!all_fit) return malformed("one of another kind, or outside of the file");
  std::sort(spans.begin(), spans.end(),
            [](Span a, Span b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::int64_t end = 0;
  for (const Span span : spans) {
    if (span.begin != end) return malformed("gaps between them, or overlaps");
    end = span.end;
  }
  return static_cast<std::size_t>(end) == data.size() || malformed("data behind them");
}

// Whether the digest in the metadata is that of the whole content with the digest's digits set to "0".
inline bool verify(std::string_view content, const json::Value& metadata, LoadProblem& problem) {
  const auto member = metadata.find("sha256");
  const std::string digest = member ? member->string().value_or("") : "";
  const std::string quoted = "\\\"sha256\\\":\\\"" + digest + "\\\"";  // as it stands in a string in the header
  const std::size_t found = content.find(quoted);
  if (digest.size() != 64 || found == std::string_view::npos ||
      content.find(quoted, found + 1) != std::string_view::npos) {
    return problem.is(LoadStatus::malformed, "expected a policy file with a SHA-256, got one without");
  }
  const std::size_t begin = found + quoted.find(digest);
  const auto* bytes = reinterpret_cast<const unsigned char*>(content.data());
  const std::string zeros(digest.size(), '0');
  Sha256 sum;
  sum.add(bytes, begin);
  sum.add(reinterpret_cast<const unsigned char*>(zeros.data()), zeros.size());
  sum.add(bytes + begin + digest.size(), content.size() - begin - digest.size());
  return sum.hex_digest() == digest ||
         problem.is(LoadStatus::damaged, "expected contents that match their SHA-256, got a damaged or edited file");
}

}  // namespace detail

// What `content` holds, once its checksum is verified.
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
  const auto header = json::parse(text, true);
  if (!header || !header->is_object()) return malformed("a header that is not JSON");
  const auto extra = header->find("__metadata__");
  bool all_text = extra && extra->is_object();
  if (all_text) extra->for_each_member([&](const std::string&, json::Value value) { all_text &= value.is_string(); });
  const auto ours = all_text ? extra->find("trpo_fast") : std::nullopt;
  if (!ours) return malformed("a header without metadata");
  file.metadata = *ours->string();
  const auto metadata = json::parse(file.metadata, false);
  if (!metadata || !metadata->is_object()) return malformed("metadata that are no JSON object");
  return detail::verify(content, *metadata, problem) &&
         detail::read_tensors(*header, content.substr(8 + text.size()), file, problem);
}

}  // namespace trpo_fast::runtime
