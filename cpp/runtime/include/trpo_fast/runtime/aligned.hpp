// Floats that begin where a cache line does: a register that lies across the end of one takes twice as long to load.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace trpo_fast::runtime {

template <class Value>
struct AlignedAllocator {
  using value_type = Value;

  AlignedAllocator() = default;
  template <class Other>
  AlignedAllocator(const AlignedAllocator<Other>&) {}

  Value* allocate(std::size_t n) { return static_cast<Value*>(::operator new(n * sizeof(Value), kLine)); }
  void deallocate(Value* memory, std::size_t) { ::operator delete(memory, kLine); }

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
