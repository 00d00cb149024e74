# The headers as CMake targets, and their installation: the same layout in a prefix and in the wheel.

# A policy that acts, from its file: the standard library alone.
add_library(trpo_fast_runtime INTERFACE)
add_library(trpo_fast::runtime ALIAS trpo_fast_runtime)
set_target_properties(trpo_fast_runtime PROPERTIES EXPORT_NAME runtime)
target_include_directories(trpo_fast_runtime INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/runtime/include> $<INSTALL_INTERFACE:include>)
target_compile_features(trpo_fast_runtime INTERFACE cxx_std_17)

# The kernels: headers that know arrays and maths, and nothing of Python. They include the runtime's common/ headers. Who
# uses them finds Eigen and threads.
add_library(trpo_fast_kernels INTERFACE)
set_target_properties(trpo_fast_kernels PROPERTIES EXPORT_NAME kernel_headers)
target_include_directories(trpo_fast_kernels INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/runtime/include>
  $<INSTALL_INTERFACE:include>)
target_compile_features(trpo_fast_kernels INTERFACE cxx_std_17)
target_compile_definitions(trpo_fast_kernels INTERFACE EIGEN_MPL2_ONLY EIGEN_DONT_PARALLELIZE EIGEN_FAST_MATH=0)
target_compile_options(trpo_fast_kernels INTERFACE $<$<NOT:$<CXX_COMPILER_ID:MSVC>>:-ffp-contract=off>)

include(CMakePackageConfigHelpers)
set(_cmake_dir share/cmake/trpo_fast)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/trpo_fast-config.cmake.in
  ${PROJECT_BINARY_DIR}/trpo_fast-config.cmake INSTALL_DESTINATION ${_cmake_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/trpo_fast-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
configure_file(${CMAKE_CURRENT_LIST_DIR}/trpo_fast.pc.in ${PROJECT_BINARY_DIR}/trpo_fast.pc @ONLY)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/include/ ${PROJECT_SOURCE_DIR}/cpp/runtime/include/ DESTINATION include
  FILES_MATCHING PATTERN *.hpp)
install(TARGETS trpo_fast_runtime trpo_fast_kernels EXPORT trpo_fast-targets)
install(EXPORT trpo_fast-targets NAMESPACE trpo_fast:: DESTINATION ${_cmake_dir})
install(FILES ${PROJECT_BINARY_DIR}/trpo_fast-config.cmake ${PROJECT_BINARY_DIR}/trpo_fast-config-version.cmake
  DESTINATION ${_cmake_dir})
install(FILES ${PROJECT_BINARY_DIR}/trpo_fast.pc DESTINATION share/pkgconfig)
