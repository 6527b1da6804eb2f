// Failures as values: Error, and Result<T>, which holds a value or an Error.
//
// A failure of the network or of a user is a Result; a broken invariant of our own is a CHECK
// (common/check.h). The names are those of std::expected (C++23), which can replace Result<T>.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/cause.h"
#include "common/reason.h"

namespace streamgate {

struct Error {
  Reason reason;
  // For the log, and for the clients that errors.detail admits: may name addresses, files and other
  // URLs.
  std::string detail = {};
  std::string client_detail = {};  // for every client, which sees it in the error's JSON body
  Cause cause = Cause::none;

  // An error whose text may go to the client: about the client's own request only.
  static Error for_client(Reason reason, std::string text) { return {reason, text, text}; }
  // A failure whose cause is known. `detail` as above; every client gets the cause's sentence if it
  // is for everyone.
  static Error of(Reason reason, Cause cause, std::string detail) {
    const CauseInfo& info = info_of(cause);
    const bool is_public = info.audience == Audience::everyone;
    return {reason, std::move(detail), std::string(is_public ? info.sentence : ""), cause};
  }
};

// A value or an Error. The compiler warns if a caller ignores it. value() and `*` require a value,
// error() requires an error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(const T& value) : state_(std::in_place_index<0>, value) {}          // NOLINT: implicit
  Result(T&& value) : state_(std::in_place_index<0>, std::move(value)) {}    // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit
  // A default value, to be filled in where it is.
  explicit Result(std::in_place_t /*value*/) : state_(std::in_place_index<0>) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & { return *std::get_if<0>(&state_); }
  const T& value() const& { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace streamgate
