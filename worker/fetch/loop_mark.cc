#include "worker/fetch/loop_mark.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "common/ascii.h"
#include "common/file.h"
#include "worker/http/grammar.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

constexpr std::string_view kBy = ";by=streamgate";
constexpr size_t kMaxIdBytes = 64;       // of a mark that is kept; that of the key `loop_id`
constexpr size_t kDerivedIdBytes = 16;   // hexadecimal digits
constexpr size_t kMachineIdDigits = 32;  // machine-id(5)

// Each take_...() removes one element of the grammar from the front of `rest`; false if there is
// none.

bool take_token(std::string_view& rest) {
  const size_t size = http::token_size(rest);
  rest.remove_prefix(size);
  return size > 0;
}

bool take(char wanted, std::string_view& rest) {
  if (!rest.starts_with(wanted)) return false;
  rest.remove_prefix(1);
  return true;
}

// RFC 9110 5.6.4.
bool take_quoted(std::string_view& rest) {
  if (!take('"', rest)) return false;
  while (!rest.empty() && rest.front() != '"') {
    if (rest.front() == '\\') rest.remove_prefix(1);
    if (rest.empty() || !http::is(http::kFieldByte, rest.front())) return false;
    rest.remove_prefix(1);
  }
  return take('"', rest);
}

// cdn-id = ( uri-host [ ":" port ] ) / pseudonym
bool take_cdn_id(std::string_view& rest) {
  const std::string_view id = rest.substr(0, ascii::find_any<' ', '\t', ';', ','>(rest));
  if (!http::is_token(id) && !http::is_host_and_port(id)) return false;
  rest.remove_prefix(id.size());
  return true;
}

// cdn-info = cdn-id *( OWS ";" OWS parameter )
bool take_cdn_info(std::string_view& rest) {
  if (!take_cdn_id(rest)) return false;
  http::skip_blanks(rest);
  while (take(';', rest)) {
    http::skip_blanks(rest);
    if (!take_token(rest) || !take('=', rest)) return false;
    if (!take_token(rest) && !take_quoted(rest)) return false;
    http::skip_blanks(rest);
  }
  return true;
}

// CDN-Loop = #cdn-info (RFC 8586 2). Empty elements are allowed (RFC 9110 5.6.1.2).
bool is_well_formed(std::string_view value) {
  do {
    http::skip_blanks(value);
    if (!value.empty() && value.front() != ',' && !take_cdn_info(value)) return false;
  } while (take(',', value));
  return value.empty();
}

struct Element {
  std::string_view id;
  bool is_streamgate = false;
};

// Without regard to quotes: a malformed value must not hide a mark.
Element split_element(std::string_view text) {
  size_t end = text.find(';');
  Element element{ascii::trim(text.substr(0, end))};
  while (end != text.npos) {
    text.remove_prefix(end + 1);
    end = text.find(';');
    const std::string_view parameter = ascii::trim(text.substr(0, end));
    if (ascii::iequals(parameter, "by=streamgate") ||
        ascii::iequals(parameter, "by=\"streamgate\"")) {
      element.is_streamgate = true;
    }
  }
  return element;
}

}  // namespace

LoopMark::LoopMark(std::string_view id) : own_(id), id_size_(id.size()) { own_ += kBy; }

Result<std::string> LoopMark::append_to(std::string_view received) const {
  size_t marks = 0;
  bool is_ours = false;
  std::string kept;
  http::for_each_element(received, [&](std::string_view text) {
    const Element element = split_element(text);
    is_ours = is_ours || ascii::iequals(element.id, id());
    if (!element.is_streamgate || ++marks > kMaxMarks) return;
    if (!http::is_token(element.id) || element.id.size() > kMaxIdBytes) return;
    kept.append(element.id).append(kBy).append(", ");
  });
  if (is_ours) return Error{Reason::loop, "CDN-Loop has our id " + std::string(id())};
  if (marks > kMaxMarks) {
    return Error{Reason::loop,
                 "CDN-Loop has the marks of " + std::to_string(marks) + " Streamgates"};
  }
  if (received.size() <= kMaxForwardedBytes && is_well_formed(received)) {
    kept.assign(received).append(", ");
  }
  return kept += own_;
}

std::string derive_loop_id(std::string_view machine, std::span<const ListenSocket> listeners) {
  std::vector<std::string> addresses;
  for (const ListenSocket& listener : listeners) {
    if (listener.role == ListenRole::proxy) addresses.push_back(listener.address.to_string());
  }
  // The order of the configuration file does not count.
  std::sort(addresses.begin(), addresses.end());
  std::string text = "streamgate loop_id";
  for (const std::string& address : addresses) text += "\n" + address;
  // machine-id(5) asks for a keyed hash before the id is shown to a network.
  return hmac_sha256_in_hex(machine, text).substr(0, kDerivedIdBytes);
}

std::string machine_identity() {
  // Images of containers have an empty one, or the word `uninitialized`.
  const auto id = read_file("/etc/machine-id", 4 * kMachineIdDigits);
  if (id && id->size() >= kMachineIdDigits) return id->substr(0, kMachineIdDigits);
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace streamgate
