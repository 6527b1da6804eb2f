#include "worker/http/inflater.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "common/ascii.h"
#include "common/check.h"

namespace streamgate {
namespace {

constexpr size_t kPieceBytes = size_t{64} * 1024;
constexpr int kGzipWindow = MAX_WBITS + 16;  // zlib's code for the gzip wrapping
constexpr int kZlibWindow = MAX_WBITS;
constexpr int kRawWindow = -MAX_WBITS;
constexpr unsigned char kGzipMagic = 0x1f;

Error bad_data(const char* detail) { return Error{Reason::bad_response, detail}; }

// RFC 1950 2.2: method 8, window of at most 32 KiB, and a checksum over the two bytes.
bool is_zlib_header(unsigned char first, unsigned char second) {
  return (first & 0x0f) == 8 && first >> 4 <= 7 && (first << 8 | second) % 31 == 0;
}

}  // namespace

ContentCoding parse_content_coding(std::string_view value) {
  ContentCoding found = ContentCoding::identity;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view name = ascii::trim(value.substr(0, comma));
    value = comma == value.npos ? std::string_view() : value.substr(comma + 1);
    if (name.empty() || ascii::iequals(name, "identity")) continue;
    if (found != ContentCoding::identity) return ContentCoding::unknown;
    if (ascii::iequals(name, "gzip") || ascii::iequals(name, "x-gzip")) {
      found = ContentCoding::gzip;
    } else if (ascii::iequals(name, "deflate")) {
      found = ContentCoding::deflate;
    } else {
      return ContentCoding::unknown;
    }
  }
  return found;
}

struct Inflater::State {
  // header: the wrapping is not known yet. between: a gzip member has ended, another may follow.
  enum class Step { header, body, between, end };

  explicit State(ContentCoding body_coding) : coding(body_coding) {}
  ~State() {
    if (is_open) inflateEnd(&stream);
  }

  void open(int window_bits) {
    CHECK(inflateInit2(&stream, window_bits) == Z_OK);  // else out of memory
    is_open = true;
    step = Step::body;
  }

  // Chooses the wrapping by the first bytes: `deflate` is zlib-wrapped (RFC 9110 8.4.1.2), but some
  // servers send it raw. False: more bytes are needed.
  bool choose_wrapping() {
    if (coding == ContentCoding::gzip) {
      open(kGzipWindow);
      return true;
    }
    if (head.size() < 2) return false;
    const auto first = static_cast<unsigned char>(head[0]);
    const auto second = static_cast<unsigned char>(head[1]);
    open(is_zlib_header(first, second) ? kZlibWindow : kRawWindow);
    return true;
  }

  Result<void> inflate_all(std::string_view bytes, const Sink& sink);
  Result<void> inflate_member(std::string_view& bytes, const Sink& sink);

  const ContentCoding coding;
  Step step = Step::header;
  std::string head;  // at most one byte: the first of a deflate body
  z_stream stream{};
  bool is_open = false;
  std::array<char, kPieceBytes> piece;
};

Result<void> Inflater::State::inflate_all(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    if (step == Step::between) {
      // RFC 1952 2.2: members follow each other. Other trailing bytes are padding (gzip(1)).
      const bool is_member = static_cast<unsigned char>(bytes.front()) == kGzipMagic;
      if (is_member) CHECK(inflateReset(&stream) == Z_OK);
      step = is_member ? Step::body : Step::end;
    }
    if (step == Step::end) return {};
    if (Result<void> inflated = inflate_member(bytes, sink); !inflated) return inflated;
  }
  return {};
}

// Inflates up to the end of the bytes or of the member, and removes what it consumed from `bytes`.
Result<void> Inflater::State::inflate_member(std::string_view& bytes, const Sink& sink) {
  constexpr size_t kMaxInput = std::numeric_limits<uInt>::max();
  const std::string_view portion = bytes.substr(0, kMaxInput);
  // zlib never writes through next_in; its interface is older than const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(portion.data()));
  stream.avail_in = static_cast<uInt>(portion.size());
  int status = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    const size_t size = piece.size() - stream.avail_out;
    if (size > 0) sink({piece.data(), size});
    // Z_BUF_ERROR is no failure: zlib needs more input.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return bad_data(stream.msg != nullptr ? stream.msg : "the body does not match its coding");
    }
  } while (status == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
  bytes.remove_prefix(portion.size() - stream.avail_in);
  if (status == Z_STREAM_END) step = coding == ContentCoding::gzip ? Step::between : Step::end;
  return {};
}

Inflater::Inflater(ContentCoding coding) : state_(std::make_unique<State>(coding)) {
  CHECK(coding == ContentCoding::gzip || coding == ContentCoding::deflate);
}

Inflater::~Inflater() = default;

Result<void> Inflater::write(std::string_view bytes, const Sink& sink) {
  if (bytes.empty()) return {};
  if (state_->step != State::Step::header) return state_->inflate_all(bytes, sink);
  const bool is_joined = !state_->head.empty();
  state_->head.append(bytes.substr(0, 2));
  if (!state_->choose_wrapping()) return {};
  if (is_joined) {
    const std::string first(state_->head, 0, 1);
    if (Result<void> inflated = state_->inflate_all(first, sink); !inflated) return inflated;
  }
  return state_->inflate_all(bytes, sink);
}

Result<void> Inflater::finish() {
  if (state_->step == State::Step::between || state_->step == State::Step::end) return {};
  return Error{Reason::truncated_body, "the coded body is truncated"};
}

}  // namespace streamgate
