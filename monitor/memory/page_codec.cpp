#include "page_codec.hpp"

#include <array>

#include "small_copy.hpp"

namespace undercroft {
namespace {

// A token says in bits 7:6 what the words of a run are, in bits 5:0 how many they are, less one.
enum class Run : std::uint8_t {
  step,     // the word before and as much more as that was than the one before it: also the same
            // word once more, and zeros from the start of a page
  known,    // a byte for each: the word's place in the dictionary
  similar,  // two bytes for each: the place, and the lowest byte of the word
  fresh,    // the word itself
};
constexpr unsigned run_shift = 6, longest_run = 64;

constexpr unsigned bytes_of_word(Run run) {
  switch (run) {
    case Run::step:
      return 0;
    case Run::known:
      return 1;
    case Run::similar:
      return 2;
    case Run::fresh:
      return 4;
  }
  return 0;
}

// Words seen lately, each at a place that its upper 24 bits give, so that similar words meet there.
class Dictionary {
 public:
  static std::uint8_t place(std::uint32_t word) {
    return static_cast<std::uint8_t>((word >> 8) * 0x9e3779b1u >> 24);
  }
  std::uint32_t at(std::uint8_t place) const { return words_[place]; }
  void note(std::uint32_t word) { words_[place(word)] = word; }

 private:
  std::array<std::uint32_t, 256> words_{};
};

Run classify(std::uint32_t word, std::uint32_t expected, const Dictionary& dictionary) {
  if (word == expected) return Run::step;
  const std::uint32_t known = dictionary.at(Dictionary::place(word));
  if (word == known) return Run::known;
  return word >> 8 == known >> 8 ? Run::similar : Run::fresh;
}

class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  bool put(Run run, std::uint32_t word) {
    const bool begins = count_ == 0 || count_ == longest_run || run != run_;
    const unsigned bytes = bytes_of_word(run);
    if (out_.size() - used_ < bytes + begins) return false;
    if (begins) {
      token_ = used_++;
      run_ = run;
      count_ = 0;
    }
    out_[token_] = static_cast<std::byte>(static_cast<unsigned>(run) << run_shift | count_++);
    if (run == Run::fresh) store_as<std::uint32_t>(&out_[used_], word);
    if (run == Run::known || run == Run::similar) out_[used_] = std::byte{Dictionary::place(word)};
    if (run == Run::similar) out_[used_ + 1] = static_cast<std::byte>(word);
    used_ += bytes;
    return true;
  }
  std::uint32_t used() const { return used_; }

 private:
  std::span<std::byte> out_;
  std::uint32_t used_ = 0, token_ = 0;
  Run run_ = Run::step;
  unsigned count_ = 0;
};

std::uint32_t read_word(Run run, const std::byte* from, std::uint32_t expected,
                        const Dictionary& dictionary) {
  switch (run) {
    case Run::step:
      return expected;
    case Run::known:
      return dictionary.at(std::to_integer<std::uint8_t>(from[0]));
    case Run::similar:
      return (dictionary.at(std::to_integer<std::uint8_t>(from[0])) & ~0xffu) |
             std::to_integer<std::uint32_t>(from[1]);
    case Run::fresh:
      return load_as<std::uint32_t>(from);
  }
  return 0;
}

}  // namespace

bool is_zero_page(PageView page) {
  for (const std::uint32_t word : page) {
    if (word != 0) return false;
  }
  return true;
}

std::optional<std::uint32_t> pack_page(PageView page, std::span<std::byte> out) {
  Dictionary dictionary;
  Writer writer(out);
  std::uint32_t before = 0, expected = 0;
  for (const std::uint32_t word : page) {
    if (!writer.put(classify(word, expected, dictionary), word)) return std::nullopt;
    dictionary.note(word);
    expected = word + (word - before);
    before = word;
  }
  return writer.used();
}

bool unpack_page(std::span<const std::byte> packed, std::span<std::uint32_t, page_words> page) {
  Dictionary dictionary;
  std::uint32_t before = 0, expected = 0;
  std::size_t at = 0;
  unsigned done = 0;
  while (done < page_words) {
    if (at == packed.size()) return false;
    const auto token = std::to_integer<unsigned>(packed[at++]);
    const Run run = static_cast<Run>(token >> run_shift);
    const unsigned count = token % longest_run + 1, bytes = bytes_of_word(run);
    if (count > page_words - done || packed.size() - at < count * bytes) return false;
    for (const unsigned end = done + count; done < end; ++done, at += bytes) {
      const std::uint32_t word = read_word(run, packed.data() + at, expected, dictionary);
      dictionary.note(word);
      expected = word + (word - before);
      before = word;
      page[done] = word;
    }
  }
  return at == packed.size();
}

}  // namespace undercroft
