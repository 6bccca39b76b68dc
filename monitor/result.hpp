// Errors as values. Result<T, E> holds either; TRY hands an error on to the caller.
#pragma once

#include <type_traits>

namespace undercroft {

// The value of an operation that can fail but yields nothing.
struct Done {};

// Wraps an error so that it cannot be mistaken for a value of the same type.
template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

// Both members stand side by side: T and E are small, trivially copyable values here.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) : value_(value), ok_(true) {}
  template <class F>
  constexpr Result(Failure<F> failure) : error_(failure.error), ok_(false) {}

  constexpr bool ok() const { return ok_; }
  constexpr explicit operator bool() const { return ok_; }
  constexpr const T& value() const { return value_; }  // only if ok()
  constexpr const E& error() const { return error_; }  // only if !ok()

 private:
  T value_{};
  E error_{};
  bool ok_;
};

}  // namespace undercroft

// Yields the value of a Result, or returns its error from the enclosing function. A statement
// expression, since no function can return on its caller's behalf.
#define TRY(expression)                                                       \
  ({                                                                          \
    auto try_result_ = (expression);                                          \
    if (!try_result_.ok()) return ::undercroft::Failure{try_result_.error()}; \
    try_result_.value();                                                      \
  })
