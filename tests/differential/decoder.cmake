# Zydis is there for 64 bits only: the decoder is compiled a third time, for a 64-bit process.
find_package(GTest REQUIRED)
find_library(ZYDIS_LIBRARY Zydis REQUIRED)
file(GLOB decoder_sources CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/monitor/instruction/opcode_tables*.cpp
     ${CMAKE_SOURCE_DIR}/monitor/instruction/decoder.cpp)
add_library(decoder_oracle STATIC ${decoder_sources} decoder_oracle.cpp decoder_differences.cpp)
set_target_properties(decoder_oracle PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(decoder_oracle PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(decoder_oracle PUBLIC -O2 -g -Wall -Wextra -Werror)
target_link_libraries(decoder_oracle PUBLIC ${ZYDIS_LIBRARY})

add_executable(decoder_generated decoder_generated_test.cpp)
target_link_libraries(decoder_generated PRIVATE decoder_oracle GTest::gtest_main)
add_test(NAME decoder_generated COMMAND decoder_generated --gtest_brief=1)

# Over the whole text of a real kernel, once croft has fetched one.
add_executable(decoder_text decoder_text.cpp)
target_link_libraries(decoder_text PRIVATE decoder_oracle)
add_test(NAME decoder_kernel_text
         COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/kernel_text.py
                 $<TARGET_FILE:decoder_text> ${CMAKE_SOURCE_DIR}/cache)
set_tests_properties(decoder_kernel_text PROPERTIES SKIP_RETURN_CODE 77)
