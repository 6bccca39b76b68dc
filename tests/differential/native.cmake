# The interpreter against the processor: 32-bit, optimised, without sanitizers, since its signal
# handlers and its code page are not theirs to watch.
add_executable(native_test native_test.cpp native_processor.cpp ${UNDERCROFT_LOGIC})
target_include_directories(native_test PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(native_test PRIVATE -m32 -O2 -g -fno-exceptions -fno-rtti -Wall -Wextra -Werror)
target_link_options(native_test PRIVATE -m32)
add_test(NAME native_differential COMMAND native_test 300000)
