// Floats that begin where a cache line does: a register that lies across the end of one takes twice as long to load.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace trpo_fast::runtime {

template <class T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <class Other>
  AlignedAllocator(const AlignedAllocator<Other>&) {}

  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }

  template <class Other>
  bool operator==(const AlignedAllocator<Other>&) const {
    return true;
  }
  template <class Other>
  bool operator!=(const AlignedAllocator<Other>&) const {
    return false;
  }

 private:
  static constexpr std::align_val_t kLine{64};
};

using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

}  // namespace trpo_fast::runtime
