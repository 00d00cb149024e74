// Marks what must not allocate, lock, wait or throw. Clang proves it (-Wfunction-effects) and watches it
// (-fsanitize=realtime), from version 20 on; to other compilers it is a word for readers.
#pragma once

#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::nonblocking)
#define TRPO_FAST_RUNTIME_NONBLOCKING [[clang::nonblocking]]
#endif
#endif
#if !defined(TRPO_FAST_RUNTIME_NONBLOCKING)
#define TRPO_FAST_RUNTIME_NONBLOCKING
#endif
