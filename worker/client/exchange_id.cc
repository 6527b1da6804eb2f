#include "worker/client/exchange_id.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "common/ascii.h"
#include "common/check.h"
#include "common/hash.h"

namespace streamgate {
namespace {

constexpr size_t kMadeBytes = 13;  // 64 bits, five in each
// Without letters that look like digits (Crockford's base 32).
constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";

bool is_id_byte(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_' || c == '.' || c == ':';
}

uint64_t random_start() {
  uint64_t start = 0;
  if (::getrandom(&start, sizeof start, GRND_NONBLOCK) == sizeof start) return start;
  // Early in the boot the kernel has no random numbers yet. The clock differs between restarts, the
  // process id between workers that start at the same time.
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return mix(static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
             static_cast<uint64_t>(now.tv_nsec)) ^
         static_cast<uint64_t>(::getpid());
}

}  // namespace

ExchangeId::ExchangeId(std::string_view text) : size_(static_cast<uint8_t>(text.size())) {
  CHECK(text.size() <= kMaxBytes);
  char* end = std::copy(kName.begin(), kName.end(), line_.begin());
  end = std::copy(text.begin(), text.end(), end);
  *end++ = '\r';
  *end = '\n';
}

ExchangeIds::ExchangeIds() : next_(random_start()) {}

ExchangeId ExchangeIds::next() {
  std::array<char, kMadeBytes> text;
  // Consecutive numbers give ids that look different, and two numbers never give the same id.
  uint64_t left = mix(next_++);
  for (char& c : text) {
    c = kDigits[left & 31U];
    left >>= 5U;
  }
  return ExchangeId({text.data(), text.size()});
}

std::optional<std::string_view> given_exchange_id(const HeaderFields& fields) {
  std::optional<std::string_view> given;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "X-Streamgate-Id")) continue;
    const std::string_view text = field.value;
    const bool is_well_formed = !text.empty() && text.size() <= ExchangeId::kMaxBytes &&
                                std::all_of(text.begin(), text.end(), is_id_byte);
    if (given || !is_well_formed) return std::nullopt;
    given = text;
  }
  return given;
}

}  // namespace streamgate
