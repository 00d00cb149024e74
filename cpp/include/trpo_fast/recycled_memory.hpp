// RecycledMemory: zeroed memory for arrays of batch size, stored for the next batch when it is freed. (Mapping fresh
// pages takes the system longer than a network takes to fill them.)
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace trpo_fast {

class RecycledMemory {
 public:
  static constexpr std::size_t kAlignment = 64;  // a cache line

  explicit RecycledMemory(std::size_t size = 0)
      : size_(size), data_(size > 0 ? Store::instance().take(size) : nullptr) {
    if (data_ != nullptr) std::memset(data_, 0, size_);
  }
  RecycledMemory(RecycledMemory&& other) noexcept
      : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  RecycledMemory& operator=(RecycledMemory&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  RecycledMemory(const RecycledMemory& other) : RecycledMemory(other.size_) {
    if (data_ != nullptr) std::memcpy(data_, other.data_, size_);
  }
  RecycledMemory& operator=(const RecycledMemory&) = delete;
  ~RecycledMemory() {
    if (data_ != nullptr) Store::instance().give_back(data_, size_);
  }

  void* data() { return data_; }
  const void* data() const { return data_; }

 private:
  // Freed blocks by size. The allocator serves small blocks, those that exceed the store, and all requests while the
  // store is locked: after a fork during another thread's call it may stay locked permanently.
  class Store {
   public:
    static Store& instance() {
      static Store* store = new Store;  // outlives every static object
      return *store;
    }

    void* take(std::size_t size) {
      if (size >= kSmallest) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        const auto found = lock ? blocks_.find(size) : blocks_.end();
        if (found != blocks_.end()) {
          void* block = found->second;
          blocks_.erase(found);
          held_ -= size;
          return block;
        }
      }
      return ::operator new(size, std::align_val_t(kAlignment));
    }

    void give_back(void* block, std::size_t size) noexcept {
      if (size >= kSmallest) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (lock && held_ + size <= kMost) {
          blocks_.emplace(size, block);
          held_ += size;
          return;
        }
      }
      ::operator delete(block, std::align_val_t(kAlignment));
    }

   private:
    static constexpr std::size_t kSmallest = std::size_t(1) << 16;
    static constexpr std::size_t kMost = std::size_t(1) << 26;  // 64 MiB in all

    std::mutex mutex_;
    std::multimap<std::size_t, void*> blocks_;
    std::size_t held_ = 0;
  };

  std::size_t size_;
  void* data_;
};

}  // namespace trpo_fast
