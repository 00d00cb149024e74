/* Macros that platforms and libraries define, for headers that must compile after them (-include macros.h). The
   standard headers come first: that they survive is not our business. */
#ifdef __cplusplus
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#else
#include <complex.h> /* I */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <tgmath.h>
#endif

/* windows.h and what it includes */
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define near
#define far
#define small char
#define hyper __int64
#define interface struct
#define cdecl
#define pascal
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define THIS void
#define ERROR 0
#define NO_ERROR 0L
#define DELETE (0x00010000L)
#define STRICT 1
#define TRUE 1
#define FALSE 0
#define INFINITE 0xFFFFFFFF
#define MAX_PATH 260
#define CreateFile CreateFileA
#define GetObject GetObjectA
#define Yield()
#define rad1 0x0420
#define TEXT(quote) quote

/* Arduino.h, and C libraries of microcontrollers */
#define abs(x) ((x) > 0 ? (x) : -(x))
#undef round
#define round(x) ((x) >= 0 ? (long)((x) + 0.5) : (long)((x) - 0.5))
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define radians(deg) ((deg) * DEG_TO_RAD)
#define degrees(rad) ((rad) * RAD_TO_DEG)
#define sq(x) ((x) * (x))
#define bit(b) (1UL << (b))
#define bitRead(value, bit) (((value) >> (bit)) & 0x01)
#define bitSet(value, bit) ((value) |= (1UL << (bit)))
#define lowByte(w) ((unsigned char)((w) & 0xff))
#define highByte(w) ((unsigned char)((w) >> 8))
#define word(...) makeWord(__VA_ARGS__)
#define interrupts() sei()
#define noInterrupts() cli()
#define F(string_literal) (string_literal)
#define PI 3.1415926535897932384626433832795
#define HALF_PI 1.5707963267948966192313216916398
#define TWO_PI 6.283185307179586476925286766559
#define DEG_TO_RAD 0.017453292519943295769236907684886
#define RAD_TO_DEG 57.295779513082320876798154814105
#define EULER 2.718281828459045235360287471352
#define HIGH 0x1
#define LOW 0x0
#define INPUT 0x0
#define OUTPUT 0x1
#define INTERNAL 3
#define EXTERNAL 0
#define DEFAULT 1
#define SERIAL 0x0
#define DISPLAY 0x1
#define CHANGE 1
#define FALLING 2
#define RISING 3
#define PROGMEM
#define B0 0
#define B1 1
#define B00000001 1
#define B11111111 255
#define A0 54
#define R0 0
#define _BV(bit) (1 << (bit))
#define _U 01
#define _L 02
#define _N 04
#define _S 010
#define _P 020
#define _C 040
#define _X 0100
#define _B 0200
#define __I volatile const
#define __O volatile
#define UNUSED(x) ((void)(x))
#define BIT(n) (1UL << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* POSIX, X11, Qt, glib, curses, macOS, gmock, and single letters of numerical programs */
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#define ABS(x) (((x) < 0) ? -(x) : (x))
#define CLAMP(x, low, high) (((x) > (high)) ? (high) : (((x) < (low)) ? (low) : (x)))
#define unix 1
#define linux 1
#define major(x) ((int)(x))
#define minor(x) ((int)(x))
#define howmany(x, y) (((x) + ((y) - 1)) / (y))
#define None 0L
#define Bool int
#define Status int
#define True 1
#define False 0
#define Success 0
#define Always 2
#define Complex 0
#define Above 0
#define signals public
#define slots
#define emit
#define foreach(variable, container) for (variable : container)
#define forever for (;;)
#define box(win, v, h) 0
#define clear() 0
#define erase() 0
#define filter() 0
#define timeout(delay) 0
#define check(assertion)
#define verify(assertion)
#define require(assertion, label)
#define ACTION(name, ...)
#define OK 0
#define EMPTY 0
#define NAN_CHECK 1
#undef I
#define I 1
#define J 1
#define T 1
#define N 100
#define M 100
#define K 1
#define D 1
#define E 1
#define P 1
#define Q 1
#define R 1
#define S 1
#define X 1
#define Y 1
#define Z 1
