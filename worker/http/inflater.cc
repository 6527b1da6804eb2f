#include "worker/http/inflater.h"

#include <zlib.h>

#include <array>
#include <limits>
#include <string>

#include "common/check.h"

namespace streamgate {
namespace {

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

  Result<void> begin(std::string_view& bytes);
  Result<std::string_view> next(std::string_view& bytes);
  Result<std::string_view> inflate_piece(std::string_view& bytes);

  const ContentCoding coding;
  Step step = Step::header;
  std::string head;  // at most one byte: the first of a deflate body
  z_stream stream{};
  bool is_open = false;
  bool may_have_more = false;
  std::array<char, kPieceBytes> piece;
};

// Chooses the wrapping by the first bytes: `deflate` is zlib-wrapped (RFC 9110 8.4.1.2), but some
// servers send it raw. Takes the only byte of `bytes` if a second one is needed.
Result<void> Inflater::State::begin(std::string_view& bytes) {
  if (bytes.empty()) return {};
  if (coding == ContentCoding::gzip) {
    open(kGzipWindow);
    return {};
  }
  if (head.empty() && bytes.size() == 1) {
    head = bytes;
    bytes = {};
    return {};
  }
  const auto first = static_cast<unsigned char>(head.empty() ? bytes[0] : head[0]);
  const auto second = static_cast<unsigned char>(head.empty() ? bytes[1] : bytes[0]);
  open(is_zlib_header(first, second) ? kZlibWindow : kRawWindow);
  if (head.empty()) return {};
  std::string_view one = head;  // a single byte inflates to nothing yet
  const auto inflated = inflate_piece(one);
  return inflated ? Result<void>() : Result<void>(inflated.error());
}

Result<std::string_view> Inflater::State::next(std::string_view& bytes) {
  if (step == Step::header) {
    if (auto begun = begin(bytes); !begun) return begun.error();
  }
  while (!bytes.empty() || may_have_more) {
    if (step == Step::between && !bytes.empty()) {
      // RFC 1952 2.2: members follow each other. Other trailing bytes are padding (gzip(1)).
      const bool is_member = static_cast<unsigned char>(bytes.front()) == kGzipMagic;
      if (is_member) CHECK(inflateReset(&stream) == Z_OK);
      step = is_member ? Step::body : Step::end;
    }
    if (step == Step::end) bytes = {};
    if (step != Step::body) break;
    if (auto inflated = inflate_piece(bytes); !inflated || !inflated->empty()) return inflated;
  }
  return std::string_view();
}

// Inflates until the piece is full, the member ends or more bytes are needed.
Result<std::string_view> Inflater::State::inflate_piece(std::string_view& bytes) {
  constexpr size_t kMaxInput = std::numeric_limits<uInt>::max();
  const std::string_view portion = bytes.substr(0, kMaxInput);
  // zlib never writes through next_in; its interface is older than const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(portion.data()));
  stream.avail_in = static_cast<uInt>(portion.size());
  stream.next_out = reinterpret_cast<Bytef*>(piece.data());
  stream.avail_out = static_cast<uInt>(piece.size());
  const int status = inflate(&stream, Z_NO_FLUSH);
  // Z_BUF_ERROR is no failure: zlib needs more input.
  if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
    return bad_data(stream.msg != nullptr ? stream.msg : "the body does not match its coding");
  }
  bytes.remove_prefix(portion.size() - stream.avail_in);
  may_have_more = status == Z_OK && stream.avail_out == 0;
  if (status == Z_STREAM_END) step = coding == ContentCoding::gzip ? Step::between : Step::end;
  return std::string_view(piece.data(), piece.size() - stream.avail_out);
}

Inflater::Inflater(ContentCoding coding) : state_(std::make_unique<State>(coding)) {
  CHECK(coding == ContentCoding::gzip || coding == ContentCoding::deflate);
}

Inflater::~Inflater() = default;

Result<std::string_view> Inflater::next(std::string_view& bytes) { return state_->next(bytes); }

bool Inflater::may_have_more() const { return state_->may_have_more; }

Result<void> Inflater::finish() {
  if (state_->step == State::Step::between || state_->step == State::Step::end) return {};
  return Error{Reason::truncated_body, "the coded body is truncated"};
}

}  // namespace streamgate
