// The content of a policy file, which is read no further than it promises to be one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "load_status.hpp"
#include "policy_file.hpp"

namespace trpo_fast::runtime {

constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 32;  // bytes

namespace detail {

// How many bytes follow; 0 if the system does not say.
inline std::uint64_t remaining(std::FILE* file) {
  const long here = std::ftell(file);
  if (here < 0 || std::fseek(file, 0, SEEK_END) != 0) return 0;
  const long end = std::ftell(file);
  return std::fseek(file, here, SEEK_SET) == 0 && end > here ? static_cast<std::uint64_t>(end - here) : 0;
}

// Adds up to `size` bytes, which may be a lie: memory is taken for as many as there are.
inline bool append(std::FILE* file, std::uint64_t size, std::string& content) {
  content.reserve(content.size() + static_cast<std::size_t>((std::min)(size, remaining(file))));
  char chunk[1 << 14];
  while (size > 0) {
    const std::size_t wanted = size < sizeof chunk ? static_cast<std::size_t>(size) : sizeof chunk;
    const std::size_t n = std::fread(chunk, 1, wanted, file);
    content.append(chunk, n);
    size -= n;
    if (n < wanted) break;
  }
  return std::ferror(file) == 0;
}

}  // namespace detail

// All that the header of the file `path` promises, and a byte more if there is one: that it is not damaged is not known
// yet. What its first 8 bytes or its header condemn is not read.
inline bool read_content(const std::string& path, std::string& content, LoadProblem& problem) {
  const auto unreadable = [&] {
    return problem.is(LoadStatus::unreadable, path + ": expected a file that can be read, of up to 4 GiB");
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  std::uint64_t header_size = 0;
  if (file == nullptr || !detail::append(file.get(), 8, content)) return unreadable();
  if (!read_header_size(content, header_size, problem)) return false;
  if (!detail::append(file.get(), header_size - 8, content)) return unreadable();
  std::uint64_t data_size = 0;
  {
    Header header;
    if (!read_header(content, header, problem)) return false;
    data_size = header.data_size;
  }
  if (data_size > kMaxFile - header_size) return unreadable();
  return detail::append(file.get(), data_size + 1, content) || unreadable();
}

}  // namespace trpo_fast::runtime
