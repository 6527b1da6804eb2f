// What can go wrong, as values: Error, Result<T>, and the one table from a failure to an HTTP
// status.
//
// Every failure of the network or of a user is a Result; a broken promise between our own functions
// is a CHECK (common/check.h). The spelling follows std::expected, so that it can become an alias.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace streamgate {

// Why an exchange (or a step of one) failed. The names are stable: they are the `reason` of the
// access log, the `X-Streamgate-Error` header and the JSON body of our own error answers.
enum class Reason {
  // The client's doing.
  bad_request,
  bad_url,
  not_found,
  method_not_allowed,
  request_timeout,
  body_not_accepted,
  uri_too_long,
  expectation_failed,
  header_too_large,
  not_implemented,
  version_not_supported,
  target_forbidden,
  loop,
  client_gone,
  client_stalled,
  client_too_slow,
  // The upstream's doing.
  dns_failed,
  dns_timeout,
  connect_failed,
  connect_timeout,
  tls_failed,
  first_byte_timeout,
  bad_response,
  unsupported_coding,
  too_many_redirects,
  truncated_body,
  idle_timeout,
  upstream_too_slow,
  // Ours.
  overloaded,
  stopping,
  internal,  // the last one
};

constexpr size_t kReasonCount = static_cast<size_t>(Reason::internal) + 1;

// Whom to blame; the access log and the log level depend on it.
enum class Fault { client, upstream, proxy };

struct ReasonInfo {
  std::string_view token;  // stable, snake_case
  int status;              // the status of the answer if none has gone out yet
  Fault fault;
  std::string_view message;  // one sentence for a person; never an address or a timing
};

// The only table from a failure to its HTTP status, log token and sentence.
const ReasonInfo& info_of(Reason reason);
inline int status_for(Reason reason) { return info_of(reason).status; }
inline Fault fault_of(Reason reason) { return info_of(reason).fault; }
inline std::string_view token_of(Reason reason) { return info_of(reason).token; }

struct Error {
  Reason reason;
  std::string detail;  // for the log only; never sent to a client
};

// A value or an Error. Not looking at it is a compiler warning, and so an error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

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
