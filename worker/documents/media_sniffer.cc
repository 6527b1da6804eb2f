#include "worker/documents/media_sniffer.h"

#include <array>
#include <cstdint>

#include "common/ascii.h"

namespace streamgate {
namespace {

using namespace std::string_view_literals;
using Guess = std::optional<std::string_view>;

constexpr std::string_view kNone;

constexpr uint8_t byte_at(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

struct Signature {
  std::string_view bytes;
  std::string_view type;
};

constexpr std::array<Signature, 14> kSignatures = {{
    {"\xff\xd8\xff"sv, "image/jpeg"},
    {"\x89PNG\r\n\x1a\n"sv, "image/png"},
    {"GIF87a"sv, "image/gif"},
    {"GIF89a"sv, "image/gif"},
    {"fLaC"sv, "audio/flac"},
    {"OggS\0"sv, "application/ogg"},
    {"FLV\x01"sv, "video/x-flv"},
    {"\0\0\x01\xba"sv, "video/mpeg"},  // MPEG program stream
    {"MThd\0\0\0\x06"sv, "audio/midi"},
    {"WEBVTT\n"sv, "text/vtt"},
    {"WEBVTT\r"sv, "text/vtt"},
    {"WEBVTT "sv, "text/vtt"},
    {"WEBVTT\t"sv, "text/vtt"},
    {"\x1a\x45\xdf\xa3"sv, "video/webm"},  // refined by matroska_type
}};

// The boxes that an MP4 file or an fMP4 segment can begin with (ISO/IEC 14496-12).
constexpr std::array<std::string_view, 13> kFirstBoxes = {"ftyp", "styp", "moof", "moov", "sidx",
                                                          "emsg", "prft", "mdat", "free", "skip",
                                                          "wide", "pdin", "uuid"};

struct Brand {
  std::string_view brand;
  std::string_view type;
};
constexpr std::array<Brand, 8> kBrands = {{{"M4A ", "audio/mp4"},
                                           {"M4B ", "audio/mp4"},
                                           {"qt  ", "video/quicktime"},
                                           {"avif", "image/avif"},
                                           {"avis", "image/avif"},
                                           {"heic", "image/heic"},
                                           {"heix", "image/heic"},
                                           {"mif1", "image/heif"}}};

constexpr std::array<Signature, 3> kRiffForms = {
    {{"WAVE"sv, "audio/wav"}, {"WEBP"sv, "image/webp"}, {"AVI "sv, "video/x-msvideo"}}};

// The first bytes of a body, and whether more can follow.
class Beginning {
 public:
  Beginning(std::string_view bytes, bool is_final) : bytes_(bytes), is_final_(is_final) {}

  Guess type() const {
    if (bytes_.empty()) return is_final_ ? Guess(kNone) : std::nullopt;
    switch (byte_at(bytes_, 0)) {
      case 0x00:
        return box_type();
      case 'G':
        return g_type();
      case 'R':
        return riff_type();
      case 'I':
        return id3_type();
      case 0x1a:
        return matroska_type();
      case 0xff:
        return bytes_.size() > 1 && byte_at(bytes_, 1) >= 0xe0 ? frame_type(0) : signature_type();
      default:
        return signature_type();
    }
  }

 private:
  // The answer while fewer than `wanted` bytes are there: wait, or without more bytes `otherwise`.
  Guess unless_more(std::string_view otherwise) const {
    return is_final_ ? Guess(otherwise) : std::nullopt;
  }

  Guess signature_type() const {
    std::string_view text = bytes_;
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    bool may_match = ascii::may_become(bytes_, kByteOrderMark);
    for (const Signature& signature : kSignatures) {
      if (text.starts_with(signature.bytes)) return signature.type;
      may_match |= ascii::may_become(text, signature.bytes);
    }
    if (is_final_ && text == "WEBVTT") return "text/vtt";
    return may_match ? unless_more(kNone) : kNone;
  }

  Guess box_type() const {
    if (bytes_.starts_with("\0\0\x01\xba"sv)) return "video/mpeg";
    if (bytes_.size() < 8) return unless_more(kNone);
    const std::string_view box = bytes_.substr(4, 4);
    for (const std::string_view known : kFirstBoxes) {
      if (box == known) return box == "ftyp" ? brand_type() : "video/mp4";
    }
    return kNone;
  }

  Guess brand_type() const {
    if (bytes_.size() < 12) return unless_more("video/mp4");
    const std::string_view major = bytes_.substr(8, 4);
    for (const Brand& known : kBrands) {
      if (major == known.brand) return known.type;
    }
    return "video/mp4";
  }

  // GIF, or MPEG-TS: packets of 188 bytes, each with the sync byte 0x47 (ISO/IEC 13818-1 2.4.3.2).
  Guess g_type() const {
    const auto gif = signature_type();
    if (!gif || !gif->empty()) return gif;
    constexpr size_t kPacketBytes = 188;
    if (bytes_.size() <= kPacketBytes) {
      // One packet alone: the payload unit start of a PAT tells it from text.
      const bool is_pat = bytes_.size() == kPacketBytes && bytes_.substr(1, 2) == "\x40\0"sv;
      return unless_more(is_pat ? "video/mp2t" : kNone);
    }
    for (size_t at = kPacketBytes; at < bytes_.size() && at <= 2 * kPacketBytes;
         at += kPacketBytes) {
      if (bytes_[at] != 'G') return kNone;
    }
    return "video/mp2t";
  }

  Guess riff_type() const {
    if (ascii::may_become(bytes_, "RIFF")) return unless_more(kNone);
    if (!bytes_.starts_with("RIFF")) return kNone;
    if (bytes_.size() < 12) return unless_more(kNone);
    for (const Signature& form : kRiffForms) {
      if (bytes_.substr(8, 4) == form.bytes) return form.type;
    }
    return kNone;
  }

  // EBML with the DocType near its beginning (RFC 8794 11.2.8): WebM or Matroska.
  Guess matroska_type() const {
    constexpr size_t kHeaderBytes = 64;
    const auto ebml = signature_type();
    if (!ebml || ebml->empty()) return ebml;
    const std::string_view header = bytes_.substr(0, kHeaderBytes);
    if (header.find("webm") != std::string_view::npos) return "video/webm";
    if (header.find("matroska") != std::string_view::npos) return "video/x-matroska";
    return bytes_.size() >= kHeaderBytes ? ebml : unless_more(*ebml);
  }

  // ID3v2 (its size is four bytes of seven bits), before MP3 or, in packed audio, before ADTS (RFC
  // 8216 3.4).
  Guess id3_type() const {
    if (ascii::may_become(bytes_, "ID3")) return unless_more(kNone);
    if (!bytes_.starts_with("ID3")) return kNone;
    constexpr size_t kHeaderBytes = 10;
    if (bytes_.size() < kHeaderBytes) return unless_more("audio/mpeg");
    size_t size = 0;
    for (size_t i = 6; i < kHeaderBytes; ++i) size = size << 7U | (byte_at(bytes_, i) & 0x7fU);
    const size_t frame = kHeaderBytes + size;
    if (frame + 2 > kMediaSniffBytes) return "audio/mpeg";
    if (bytes_.size() < frame + 2) return unless_more("audio/mpeg");
    return is_adts(frame) ? "audio/aac" : "audio/mpeg";
  }

  // An ADTS or MP3 frame. Its successor is checked too if it is among the first bytes.
  Guess frame_type(size_t at) const {
    constexpr size_t kHeaderBytes = 6;
    if (bytes_.size() < at + kHeaderBytes) return unless_more(kNone);
    if (is_adts(at)) return has_successor(at, adts_length(at)) ? "audio/aac" : kNone;
    if (!is_mp3(at)) return kNone;
    return has_successor(at, mp3_length(at)) ? "audio/mpeg" : kNone;
  }

  bool has_successor(size_t at, size_t length) const {
    if (length == 0) return false;
    const size_t next = at + length;
    if (next + 2 > bytes_.size()) return true;
    // Sync word, version and layer are the same in all frames.
    return bytes_[next] == '\xff' &&
           (byte_at(bytes_, next + 1) & 0xfeU) == (byte_at(bytes_, at + 1) & 0xfeU);
  }

  bool is_adts(size_t at) const {
    return bytes_[at] == '\xff' && (byte_at(bytes_, at + 1) & 0xf6U) == 0xf0;
  }

  // ISO/IEC 13818-7 6.2: 13 bits, the header included.
  size_t adts_length(size_t at) const {
    const size_t length = (byte_at(bytes_, at + 3) & 3U) << 11U |
                          size_t{byte_at(bytes_, at + 4)} << 3U | byte_at(bytes_, at + 5) >> 5U;
    constexpr size_t kHeaderBytes = 7;
    return length < kHeaderBytes ? 0 : length;
  }

  // Layer III of MPEG-1, 2 or 2.5, with a bit rate and a sampling rate that exist. `\xff\xfe`, the
  // byte order mark of UTF-16, would be Layer I.
  bool is_mp3(size_t at) const {
    const unsigned second = byte_at(bytes_, at + 1);
    const unsigned third = byte_at(bytes_, at + 2);
    const bool has_version = (second & 0x18U) != 0x08;
    const unsigned rate = third >> 4U;
    return (second & 0xe0U) == 0xe0 && has_version && (second & 0x06U) == 0x02 && rate != 0 &&
           rate != 15 && (third & 0x0cU) != 0x0c;
  }

  size_t mp3_length(size_t at) const {
    constexpr std::array<unsigned, 15> kRates1 = {0,   32,  40,  48,  56,  64,  80, 96,
                                                  112, 128, 160, 192, 224, 256, 320};  // kbit/s
    constexpr std::array<unsigned, 15> kRates2 = {0,  8,  16, 24,  32,  40,  48, 56,
                                                  64, 80, 96, 112, 128, 144, 160};
    constexpr std::array<unsigned, 3> kSampling = {44'100, 48'000, 32'000};
    const unsigned version = (byte_at(bytes_, at + 1) >> 3U) & 3U;  // 3: MPEG-1, 2: 2, 0: 2.5
    const unsigned third = byte_at(bytes_, at + 2);
    const unsigned divisor = version == 3 ? 1 : version == 2 ? 2 : 4;
    const unsigned sampling = kSampling[(third >> 2U) & 3U] / divisor;
    const unsigned rate = (version == 3 ? kRates1 : kRates2)[third >> 4U] * 1000;
    return (version == 3 ? 144 : 72) * rate / sampling + ((third >> 1U) & 1U);
  }

  std::string_view bytes_;
  bool is_final_;
};

// shaka decodes Enhanced AC-3 only as `audio/ec3`, which no registry has.
constexpr std::array<Signature, 43> kExtensions = {{
    {".ts", "video/mp2t"},
    {".m2ts", "video/mp2t"},
    {".mts", "video/mp2t"},
    {".mp4", "video/mp4"},
    {".m4v", "video/mp4"},
    {".m4s", "video/mp4"},
    {".m4f", "video/mp4"},
    {".m4i", "video/mp4"},
    {".mp4v", "video/mp4"},
    {".fmp4", "video/mp4"},
    {".cmfv", "video/mp4"},
    {".m4a", "audio/mp4"},
    {".mp4a", "audio/mp4"},
    {".cmfa", "audio/mp4"},
    {".cmft", "application/mp4"},
    {".webm", "video/webm"},
    {".mkv", "video/x-matroska"},
    {".mov", "video/quicktime"},
    {".flv", "video/x-flv"},
    {".avi", "video/x-msvideo"},
    {".mpg", "video/mpeg"},
    {".mpeg", "video/mpeg"},
    {".ogv", "video/ogg"},
    {".ogg", "application/ogg"},
    {".oga", "audio/ogg"},
    {".opus", "audio/ogg"},
    {".aac", "audio/aac"},
    {".mp3", "audio/mpeg"},
    {".flac", "audio/flac"},
    {".wav", "audio/wav"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".png", "image/png"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".avif", "image/avif"},
    {".vtt", "text/vtt"},
    {".webvtt", "text/vtt"},
    {".ac3", "audio/ac3"},
    {".ec3", "audio/ec3"},
    {".eac3", "audio/ec3"},
    {".ttml", "application/ttml+xml"},
    {".dfxp", "application/ttml+xml"},
}};

// The registered types of the boxes of ISO/IEC 14496-12. Aliases such as audio/x-m4a are not among
// them: Media Source Extensions reject those.
constexpr std::array<std::string_view, 12> kMp4Types = {
    "video/mp4",  "audio/mp4",   "application/mp4", "video/quicktime", "video/3gpp", "video/3gpp2",
    "audio/3gpp", "audio/3gpp2", "image/avif",      "image/heic",      "image/heif", "video/mj2"};

std::string_view essence_of(std::string_view content_type) {
  return ascii::trim(content_type.substr(0, content_type.find(';')));
}

}  // namespace

std::optional<std::string_view> sniff_media_type(std::string_view first_bytes, bool complete) {
  const bool is_final = complete || first_bytes.size() >= kMediaSniffBytes;
  return Beginning(first_bytes.substr(0, kMediaSniffBytes), is_final).type();
}

Container container_of(std::string_view content_type) {
  const std::string_view type = essence_of(content_type);
  if (ascii::iequals(type, "video/mp2t")) return Container::transport_stream;
  if (ascii::iequals(type, "text/vtt")) return Container::webvtt;
  for (const std::string_view known : kMp4Types) {
    if (ascii::iequals(type, known)) return Container::mp4;
  }
  return Container::other;
}

bool may_be_other_container(char first_byte, std::string_view content_type) {
  switch (first_byte) {
    case '\0':  // the size of a box is nearly always below 16 MiB
      return container_of(content_type) != Container::mp4;
    case 'G':
      return container_of(content_type) != Container::transport_stream;
    case 'W':
    case '\xEF':  // of a byte order mark
      return container_of(content_type) != Container::webvtt;
    default:
      return false;
  }
}

std::string_view media_type_of_name(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  for (const Signature& extension : kExtensions) {
    if (ascii::iequals(name.substr(dot), extension.bytes)) return extension.type;
  }
  return {};
}

}  // namespace streamgate
