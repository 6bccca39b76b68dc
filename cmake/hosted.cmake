# The logic a second time, for the machine that builds it: -m32 with ASan and UBSan, tested by
# GoogleTest. Each folder of tests/unit/ becomes one program, unit_<folder>.
enable_testing()

set(HOSTED_FLAGS -m32 -g -O1 -fno-omit-frame-pointer -fno-exceptions -fno-rtti
    -fsanitize=address,undefined -fno-sanitize-recover=all)

# Debian ships GoogleTest's libraries for 64 bits only, and its sources for the rest.
set(GTEST_ROOT /usr/src/googletest/googletest)
add_library(gtest32 STATIC ${GTEST_ROOT}/src/gtest-all.cc ${GTEST_ROOT}/src/gtest_main.cc)
target_include_directories(gtest32 SYSTEM PUBLIC ${GTEST_ROOT}/include PRIVATE ${GTEST_ROOT})
target_compile_options(gtest32 PRIVATE -m32 -O1)

add_library(logic32 STATIC ${UNDERCROFT_LOGIC})
set_target_properties(logic32 PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(logic32 PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_options(logic32 PRIVATE ${HOSTED_FLAGS} ${UNDERCROFT_WARNINGS})

# undercroft_test(NAME SOURCES...): one sanitised 32-bit test program, run by ctest.
function(undercroft_test name)
  add_executable(${name} ${ARGN})
  target_compile_options(${name} PRIVATE ${HOSTED_FLAGS} -Wall -Wextra -Werror)
  target_link_options(${name} PRIVATE -m32 -fsanitize=address,undefined)
  target_link_libraries(${name} PRIVATE logic32 gtest32)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
endfunction()

foreach(folder root memory segment instruction translate devices inspect guest_loader boot display)
  if(folder STREQUAL root)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*_test.cpp)
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*_test.cpp)
  endif()
  if(sources)
    undercroft_test(unit_${folder} ${sources})
  endif()
endforeach()
file(GLOB truth_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/truth/*_test.cpp)
if(truth_sources)
  undercroft_test(truth ${truth_sources})
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/tests/differential/CMakeLists.txt)
  add_subdirectory(tests/differential)
endif()
