/* trpo_fast._cpu: which x86-64 level this processor and operating system can run (0 elsewhere). Built at baseline. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_AMD64))
#include <immintrin.h>
#include <intrin.h>

/* The features of the x86-64 psABI's levels that do not always come together, and the state that the system saves. */
static long x86_64_level(void) {
  int r[4];
  unsigned long long saved;
  __cpuid(r, 0);
  if (r[0] < 7) return 1;
  __cpuid(r, 1);
  const unsigned need = (1u << 12) | (1u << 22) | (1u << 27) | (1u << 28) | (1u << 29); /* FMA MOVBE OSXSAVE AVX F16C */
  if (((unsigned)r[2] & need) != need) return 1;
  saved = _xgetbv(0);
  __cpuidex(r, 7, 0);
  const unsigned avx2 = (1u << 3) | (1u << 5) | (1u << 8); /* BMI1 AVX2 BMI2 */
  if ((saved & 6) != 6 || ((unsigned)r[1] & avx2) != avx2) return 1;
  const unsigned avx512 = (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31); /* F DQ CD BW VL */
  return ((saved & 0xe6) == 0xe6 && ((unsigned)r[1] & avx512) == avx512) ? 4 : 3;
}
#elif defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
static long x86_64_level(void) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return 4;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2")) {
    return 3;
  }
  return 1;
}
#else
static long x86_64_level(void) { return 0; }
#endif

static int exec_module(PyObject* module) { return PyModule_AddIntConstant(module, "x86_64_level", x86_64_level()); }

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void*)exec_module},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_cpu", "The instruction-set level of this processor.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__cpu(void) { return PyModuleDef_Init(&definition); }
