#include "worker/links/child_url.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/ascii.h"
#include "common/percent_table.h"
#include "worker/links/header_suffix.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

constexpr size_t kMaxExtensionBytes = 7;
constexpr size_t kMaxNameBytes = 128;  // a longer last segment is not put into the path
// After this many references of one length in a row, the last one becomes a template. Making a
// template costs as much as three uses of it save, and most playlists have only a few references.
constexpr int kRunWorthATemplate = 8;
constexpr std::string_view kExtensionParameter = "&sg_ext=.";
constexpr std::string_view kTsExtension = "&sg_ext=.ts";
constexpr std::string_view kPathRouteName = "at/";  // beside `stream`
constexpr std::string_view kMp4Extension = "&sg_ext=.mp4";

// Packs up to seven letters into one number, in lower case: extensions are compared for every
// segment.
constexpr uint64_t pack(std::string_view text) {
  uint64_t packed = 0;
  for (const char c : text) packed = packed << 8 | static_cast<unsigned char>(ascii::to_lower(c));
  return packed;
}

// The extensions that players and FFmpeg's allow lists accept, frequent ones first.
constexpr std::array kKnownExtensions = {
    pack("ts"),   pack("m4s"),  pack("m3u8"),   pack("mp4"),  pack("aac"),  pack("m4a"),
    pack("m4v"),  pack("vtt"),  pack("cmfv"),   pack("cmfa"), pack("cmft"), pack("m3u"),
    pack("mp3"),  pack("ac3"),  pack("ec3"),    pack("eac3"), pack("ac4"),  pack("mp2"),
    pack("mpg"),  pack("mpeg"), pack("mpegts"), pack("m2ts"), pack("mts"),  pack("fmp4"),
    pack("mov"),  pack("mkv"),  pack("mka"),    pack("webm"), pack("srt"),  pack("webvtt"),
    pack("ttml"), pack("dfxp"), pack("jpg"),    pack("jpeg"), pack("png"),  pack("webp"),
    pack("avif"), pack("gif"),  pack("heic"),   pack("ogg"),  pack("oga"),  pack("ogv"),
    pack("opus"), pack("wav"),  pack("flac"),   pack("flv"),  pack("avi"),  pack("3gp"),
    pack("vob"),  pack("mp1")};

// The default of allowed_segment_extensions in libavformat 8, frequent ones first.
constexpr std::array kSegmentExtensions = {
    pack("ts"),   pack("m4s"),  pack("mp4"),    pack("aac"),  pack("m4a"),  pack("m4v"),
    pack("vtt"),  pack("cmfv"), pack("cmfa"),   pack("fmp4"), pack("mp3"),  pack("ac3"),
    pack("ec3"),  pack("eac3"), pack("mp2"),    pack("mpg"),  pack("mpeg"), pack("mpegts"),
    pack("mov"),  pack("mkv"),  pack("webvtt"), pack("3gp"),  pack("avi"),  pack("flac"),
    pack("m3u8"), pack("ogg"),  pack("ogv"),    pack("oga"),  pack("vob"),  pack("wav"),
    pack("html")};

// Returns `.ext` at the end of the last segment of `path` if it is in the table, else empty.
template <class Table>
std::string_view known_extension(std::string_view path, const Table& table) {
  size_t dot = path.size();
  const size_t first = path.size() - std::min(path.size(), kMaxExtensionBytes + 1);
  while (dot > first && path[dot - 1] != '.' && path[dot - 1] != '/') --dot;
  if (dot == first || path[dot - 1] == '/') return {};
  const uint64_t packed = pack(path.substr(dot));
  for (const uint64_t known : table) {
    if (packed == known) return path.substr(dot - 1);
  }
  return {};
}

std::string_view file_name_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.size() > kMaxNameBytes || name == "." || name == ".." ? std::string_view() : name;
}

// Removes query and fragment. Two passes of memchr: the query of a segment is often a long token.
std::string_view without_query(std::string_view path) {
  path = path.substr(0, path.find('?'));
  return path.substr(0, path.find('#'));
}

const char* end_of(std::string_view text) { return text.data() + text.size(); }

// Like std::string_view::ends_with(), but without a call of memcmp, for suffixes of a few bytes.
bool ends_with_short(std::string_view text, std::string_view suffix) {
  if (text.size() < suffix.size()) return false;
  const char* const at = end_of(text) - suffix.size();
  for (size_t i = suffix.size(); i-- > 0;) {
    if (at[i] != suffix[i]) return false;
  }
  return true;
}

char* put(std::string_view text, char* to) {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

// Whether `reference` is surely a name in the directory of the base, and stays as it is spelled.
bool is_plain_name(std::string_view reference) {
  return !reference.starts_with('.') &&
         ascii::find_any<'/', '\\', '?', '#', ':'>(reference) == reference.npos &&
         (byte_classes_of(reference) & kIllegalByte) == 0;
}

// The length of `http://` or `https://` in any letter case; 0 for anything else.
size_t http_prefix_size(std::string_view text) {
  if (ascii::to_lower(text.front()) != 'h') return 0;
  if (ascii::istarts_with(text, "http://")) return 7;
  return ascii::istarts_with(text, "https://") ? 8 : 0;
}

// Turns each `%7C` of `url`, which was resolved from `reference`, back into a `|` of the reference.
// If `url` has other `%7C`, all stay: the text after a raw `|` may be taken for headers.
void restore_bars(std::string_view reference, std::string& url) {
  constexpr std::string_view kBar = "%7C";
  ptrdiff_t encoded = 0;
  for (size_t at = url.find(kBar); at != url.npos; at = url.find(kBar, at + 1)) ++encoded;
  if (std::count(reference.begin(), reference.end(), '|') != encoded) return;
  size_t to = 0;
  for (size_t from = 0; from < url.size(); ++to) {
    const bool is_bar = std::string_view(url).substr(from).starts_with(kBar);
    url[to] = is_bar ? '|' : url[from];
    from += is_bar ? kBar.size() : 1;
  }
  url.resize(to);
}

std::string_view without_default_port(const UriParts& url) {
  const std::string_view port = ascii::iequals(url.scheme, "https") ? ":443" : ":80";
  std::string_view authority = url.authority;
  if (authority.ends_with(port)) authority.remove_suffix(port.size());
  return authority;
}

}  // namespace

// The parts of one child URL.
struct ChildUrlWriter::Child {
  std::string_view prefix;
  std::string_view url;         // encoded after the prefix
  std::string_view path;        // the part of `url` that ends with the file name; may be empty
  std::string_view parameters;  // same_origin_parameters or other_origin_parameters
  // The reference as the document has it, and its offset in the child URL. Empty if it had to be
  // resolved.
  std::string_view reference{};
  size_t reference_at = 0;
};

void ChildUrlWriter::begin(const DocumentSetting& setting) {
  setting_ = &setting;
  resolved_bytes_ = 0;
  base_ = split_uri(setting.base_url);
  has_origin_ = !setting.proxy_origin.empty() && setting.proxy_origin.front() != '/';
  is_named_ = setting.child_urls == HlsConfig::ChildUrls::named;

  absolute_prefix_.assign(setting.proxy_origin).append(setting.route_path);
  name_at_ = absolute_prefix_.size();
  route_name_at_ = absolute_prefix_.rfind('/') + 1;
  absolute_prefix_.append("?url=");

  resolved_.clear();
  resolve_reference(base_, ".", resolved_);
  const std::string_view directory = split_uri(resolved_).path;
  directory_ = resolved_;
  origin_.assign(resolved_, 0, resolved_.size() - directory.size());
  origin_prefix_ = absolute_prefix_;
  percent_encode(origin_, origin_prefix_);
  directory_prefix_ = origin_prefix_;
  percent_encode(directory, directory_prefix_);

  if (setting.access == nullptr) {
    grants_.reset();
  } else {
    if (!grants_) grants_.emplace();
    grants_->begin(*setting.grant_keys, *setting.access);
  }
  is_path_form_ = setting.child_urls == HlsConfig::ChildUrls::path;
  carry(CarriedCookies::of_link);
}

// The remembered texts of earlier child URLs contain their parameters, so they are dropped.
void ChildUrlWriter::carry(CarriedCookies cookies) {
  const bool all = cookies == CarriedCookies::all;
  same_origin_parameters_ =
      all ? setting_->same_origin_parameters_with_cookies : setting_->same_origin_parameters;
  other_origin_parameters_ =
      all ? setting_->other_origin_parameters_with_cookies : setting_->other_origin_parameters;
  last_directory_.clear();
  siblings_.directory.clear();
  template_.forget();
  run_ = 0;
  if (is_path_form_) {
    const std::string_view parameters = with_grant_of_directory(same_origin_parameters_, ".");
    path_links_.begin(*setting_, parameters, grant_scope());
  }
}

bool ChildUrlWriter::append(const ChildReference& reference, BlockBuffer& out) {
  const std::string_view text = reference.text;
  if (is_path_form_) return append_path_form(reference, out);
  format_ = reference.format;
  if (reference.own != nullptr) return !text.empty() && append_resolved(reference, out);
  if (format_ == template_format_ && template_.append(text, out)) return true;
  if (text.empty()) return false;
  return append_sibling(text, out) || append_directly(text, out) || append_resolved(reference, out);
}

// Handles a reference into the directory that two earlier references in a row have named.
bool ChildUrlWriter::append_sibling(std::string_view reference, BlockBuffer& out) {
  const std::string_view directory = siblings_.directory;
  if (directory.empty() || reference.size() <= directory.size()) return false;
  if (std::memcmp(reference.data(), directory.data(), directory.size()) != 0) return false;
  const std::string_view name = reference.substr(directory.size());
  if (name.front() == '.') return false;
  // A deeper directory has a grant of its own.
  if (grants_ && without_query(name).find('/') != name.npos) return false;
  return append_encoded(
      {siblings_.prefix, name, name, siblings_.parameters, reference, siblings_.directory_at},
      kIllegalByte | kSlashDotBytes, out);
}

// Handles references that need only a prefix: no dot segment, no byte that is illegal in a URI, no
// colon that may end another scheme. Nearly all references are of this kind.
bool ChildUrlWriter::append_directly(std::string_view reference, BlockBuffer& out) {
  const char first = reference.front();
  const size_t host_at = http_prefix_size(reference);
  std::string_view path = reference;
  if (host_at != 0) {
    // Userinfo (`@`) must not stay in the URL.
    const size_t slash = ascii::find_any<'/', '?', '#', '@'>(reference, host_at);
    if (slash == host_at || host_at == reference.size() || is_ours(reference)) return false;
    if (slash != reference.npos && reference[slash] == '@') return false;
    path = slash == reference.npos || reference[slash] != '/' ? std::string_view()
                                                              : reference.substr(slash);
  } else if (first == '.' || first == '?' || first == '#' || reference.starts_with("//")) {
    return false;
  }
  const std::string_view prefix = host_at != 0   ? absolute_prefix_
                                  : first == '/' ? origin_prefix_
                                                 : directory_prefix_;
  std::string_view parameters = host_at != 0 ? parameters_for(reference) : same_origin_parameters_;
  if (grants_) {
    parameters = host_at != 0 ? with_grant(parameters, reference)
                              : with_grant_of_directory(parameters, reference);
  }
  const Child child{prefix, reference, path, parameters, reference, prefix.size()};
  unsigned refused = kIllegalByte | kSlashDotBytes;
  if (host_at == 0) refused |= kColonByte;
  if (!append_encoded(child, refused, out)) return false;
  note_directory(child);
  return true;
}

// Nearly all references of a document lie in one directory. After two in a row, the directory is
// encoded once for the references that follow.
void ChildUrlWriter::note_directory(const Child& child) {
  const std::string_view path = without_query(child.path);
  if (path.empty()) return;
  // std::string_view::rfind() compares byte by byte.
  const auto* const slash = static_cast<const char*>(::memrchr(path.data(), '/', path.size()));
  if (slash == nullptr) return;
  const auto size = static_cast<size_t>(slash + 1 - child.url.data());
  const std::string_view directory = child.url.substr(0, size);
  if (directory != last_directory_) {
    last_directory_ = directory;
    return;
  }
  // Not every reference that begins with the directory is a sibling: one that begins with `/` may
  // be `//host/..`, and one that begins with our route is a URL of ours.
  if (directory == "/" || route().starts_with(directory)) return;
  siblings_.directory = directory;
  siblings_.directory_at = child.prefix.size();
  siblings_.prefix = child.prefix;
  percent_encode(directory, siblings_.prefix);
  siblings_.granted_parameters = grants_ ? child.parameters : std::string_view();
  siblings_.parameters = grants_ ? siblings_.granted_parameters : child.parameters;
}

// The fast cases of the path form: a relative reference stays, or needs only a prefix.
bool ChildUrlWriter::append_path_form(const ChildReference& reference, BlockBuffer& out) {
  const std::string_view text = reference.text;
  if (text.empty()) return false;
  if (reference.own == nullptr && text.find('|') == text.npos) {
    if (path_links_.stays(text)) return false;
    if (path_links_.append_sibling(text, out)) return true;
  }
  format_ = SegmentFormat::none;  // only the other forms need the extension of a segment
  return append_resolved(reference, out);
}

bool ChildUrlWriter::append_resolved(const ChildReference& reference, BlockBuffer& out) {
  constexpr size_t kBytesForEach = 16;
  resolved_bytes_ += reference.text.size() + kBytesForEach;
  LinkContext own = reference.own != nullptr ? *reference.own : LinkContext{};
  const std::string_view text = with_plain_slashes(
      base_.scheme, without_tabs(cut_header_suffix(reference.text, own), tabless_), spelling_);
  const UriParts parts = split_uri(text);
  if (text.empty() || (parts.has_scheme && !is_http_scheme(parts.scheme)) || is_ours(text))
    return false;
  resolved_.clear();
  resolve_reference(base_, text, resolved_);
  if (const std::string authorization = take_authorization(resolved_); !authorization.empty()) {
    LinkContext userinfo;
    take_list_header("Authorization", authorization, userinfo);
    merge_weaker(userinfo, own);
  }
  const UriParts absolute = split_uri(resolved_);
  if (absolute.authority.empty()) return false;
  const std::string_view parameters = with_grant(parameters_with(own), resolved_);
  if (is_path_form_) {
    // A client never resolves a reference with values of its own, or in another spelling, to the
    // right link by itself.
    const bool is_plain =
        own.headers.empty() && !own.referer && text.data() == reference.text.data();
    switch (path_links_.append(resolved_, parameters, grant_scope(),
                               is_plain ? text : std::string_view(), out)) {
      case PathLinkWriter::Appended::link:
        return true;
      case PathLinkWriter::Appended::nothing:
        return false;
      case PathLinkWriter::Appended::impossible:
        break;
    }
  }
  // A raw `|` stays one, so that the request for the child can tell it from `%7C`.
  const bool has_bar = reference.is_channel && text.find('|') != text.npos;
  if (has_bar) restore_bars(text, resolved_);
  return append_encoded({absolute_prefix_, resolved_, split_uri(resolved_).path, parameters}, 0,
                        out);
}

// The parameters of the child resolved_.
std::string_view ChildUrlWriter::parameters_with(const LinkContext& own) {
  const std::string_view inherited = parameters_for(resolved_);
  if (!own.has_own_values()) return inherited;
  own_parameters_.clear();
  append_query_form_of_child(inherited, own, own_parameters_);
  return own_parameters_;
}

// `parameters` and the grant for the child `absolute`, if links carry grants. Valid until the next
// call.
std::string_view ChildUrlWriter::with_grant(std::string_view parameters,
                                            std::string_view absolute) {
  if (!grants_) return parameters;
  granted_parameters_.assign(parameters).append(grants_->parameter_for(absolute, parameters));
  return granted_parameters_;
}

// The same for a reference without an origin that needs only a prefix.
std::string_view ChildUrlWriter::with_grant_of_directory(std::string_view parameters,
                                                         std::string_view reference) {
  resolved_.clear();
  if (is_plain_name(reference)) {
    resolved_.append(directory_).append(reference);
  } else {
    resolve_reference(base_, reference, resolved_);
  }
  return with_grant(parameters, resolved_);
}

// False if `child.url` holds a byte of a class in `refused`. The encoding loop finds such a byte,
// so the text is accepted (advance_to) only after it.
bool ChildUrlWriter::append_encoded(Child child, unsigned refused, BlockBuffer& out) {
  if (is_named_) child.path = without_query(child.path);
  char* const start = out.room(bound_of(child));
  PercentEncoder encoder(child.url, put_prefix(child, start));
  encoder.encode();
  if ((encoder.seen & refused) != 0) return false;
  if (!child.path.empty() && encoder.query_or_fragment < end_of(child.path)) {
    child.path = {child.path.data(),
                  static_cast<size_t>(encoder.query_or_fragment - child.path.data())};
  }
  char* const end = put_suffix(child, start, encoder.to);
  out.advance_to(end);
  learn(child, {start, static_cast<size_t>(end - start)});
  return true;
}

void ChildUrlWriter::learn(const Child& child, std::string_view text) {
  if (child.reference.empty() || is_named_) return;
  const size_t size = child.reference.size();
  if (std::exchange(last_size_, size) != size) run_ = 0;
  if (++run_ < kRunWorthATemplate) return;
  run_ = 0;
  template_format_ = format_;
  template_.learn(child.reference, text, child.reference_at);
  // The parameters depend on the host, and our own URLs must not be encoded.
  const size_t path_at =
      child.path.empty() ? size : static_cast<size_t>(child.path.data() - child.reference.data());
  const bool may_be_ours = has_origin_ && http_prefix_size(child.reference) != 0;
  template_.fix(0, may_be_ours ? std::max(path_at, name_at_ + 1) : path_at);
  // A grant depends on the directory.
  if (grants_) template_.fix(path_at, path_at + child.path.rfind('/') + 1);
  fix_extension(path_at + child.path.size(), child.reference);
  fix_extension(size, child.reference);
}

// The letters between the last dot and `end` may be an extension, or become one.
void ChildUrlWriter::fix_extension(size_t end, std::string_view reference) {
  const size_t first = end - std::min(end, kMaxExtensionBytes + 1);
  const size_t dot = reference.substr(0, end).rfind('.');
  if (dot != reference.npos && dot >= first) template_.fix(dot, end);
}

size_t ChildUrlWriter::bound_of(const Child& child) const {
  const size_t name = is_named_ ? 1 + percent_encoded_bound(kMaxNameBytes) : 0;
  return child.prefix.size() + name + percent_encoded_bound(child.url.size()) +
         child.parameters.size() + sizeof extension_.text;
}

char* ChildUrlWriter::put_prefix(const Child& child, char* to) const {
  const std::string_view prefix = child.prefix;
  const std::string_view name = is_named_ ? file_name_of(child.path) : std::string_view();
  if (name.empty()) return put(prefix, to);
  unsigned classes = 0;
  to = put(prefix.substr(0, name_at_), to);
  *to++ = '/';
  to = percent_encode_to(name, to, classes);
  return put(prefix.substr(name_at_), to);
}

// FFmpeg checks the extension at the very end of a URL. The child URL begins at `start`.
char* ChildUrlWriter::put_suffix(const Child& child, const char* start, char* to) {
  to = put(child.parameters, to);
  if (format_ != SegmentFormat::none) return put_segment_suffix(child, start, to);
  if (child.parameters.empty() && child.path.size() == child.url.size()) return to;
  if (!extension_.take(child.path, kKnownExtensions)) return to;
  if (extension_.ends({start, static_cast<size_t>(to - start)})) return to;
  return extension_.put(to);
}

char* ChildUrlWriter::put_segment_suffix(const Child& child, const char* start, char* to) {
  if (!segment_extension_.take(child.path, kSegmentExtensions)) {
    return put(format_ == SegmentFormat::mp4 ? kMp4Extension : kTsExtension, to);
  }
  if (segment_extension_.ends({start, static_cast<size_t>(to - start)})) return to;
  return segment_extension_.put(to);
}

bool ChildUrlWriter::Extension::ends(std::string_view path) const {
  return size != 0 && ends_with_short(path, with_dot());
}

template <class Table>
bool ChildUrlWriter::Extension::take(std::string_view path, const Table& table) {
  if (ends(path)) return true;
  const std::string_view found = known_extension(path, table);
  if (found.empty()) return false;
  streamgate::put(found.substr(1), streamgate::put(kExtensionParameter, text.data()));
  size = kExtensionParameter.size() + found.size() - 1;
  return true;
}

char* ChildUrlWriter::Extension::put(char* to) const {
  std::memcpy(to, text.data(), sizeof text);
  return to + size;
}

std::string_view ChildUrlWriter::parameters_for(std::string_view absolute) const {
  const std::string_view same = same_origin_parameters_;
  const std::string_view other = other_origin_parameters_;
  return same == other || is_same_origin(absolute) ? same : other;
}

bool ChildUrlWriter::is_ours(std::string_view reference) const {
  // As long as our origin is not known, a path like ours belongs to the upstream.
  if (!has_origin_ || !reference.starts_with(route().substr(0, route_name_at_))) return false;
  const std::string_view path = reference.substr(route_name_at_);
  if (path.starts_with(kPathRouteName)) return true;
  if (!path.starts_with(route().substr(route_name_at_))) return false;
  const std::string_view rest = reference.substr(name_at_);
  return rest.starts_with('?') || rest.starts_with('/');
}

bool ChildUrlWriter::is_same_origin(std::string_view absolute) const {
  if (absolute.starts_with(origin_)) {
    const std::string_view rest = absolute.substr(origin_.size());
    if (rest.empty() || rest.front() == '/' || rest.front() == '?' || rest.front() == '#') {
      return true;
    }
  }
  const UriParts url = split_uri(absolute);
  return ascii::iequals(url.scheme, base_.scheme) &&
         ascii::iequals(without_default_port(url), without_default_port(base_));
}

}  // namespace streamgate
