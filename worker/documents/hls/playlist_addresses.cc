// The part of PlaylistRewriter for the tags whose attributes hold URIs, and for variables.
#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/date_range.h"
#include "worker/documents/hls/patched_copy.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/documents/json/data_uri.h"
#include "worker/links/parent_note.h"
#include "worker/links/upstream_url.h"

namespace streamgate {

void PlaylistRewriter::rewrite_uri_attributes(std::string_view list, ChildReference as,
                                              PatchedCopy& copy) {
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name != "URI") continue;
    as.text = attribute.value;
    replace(as, copy);
  }
}

void PlaylistRewriter::rewrite_unknown_tag(std::string_view name, std::string_view list,
                                           PatchedCopy& copy) {
  // Free text may hold a colon too, but the name of a tag holds no blank or quote.
  if (ascii::find_any<' ', '\t', '"'>(name) != name.npos) return;
  if (list.find("URI") == list.npos) return;
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    const bool is_uri = attribute.name == "URI" || attribute.name.ends_with("-URI");
    if (is_uri) replace({attribute.value}, copy);
  }
}

// The URI of a hint must equal that of the later part, map or key (RFC 8216bis 4.4.5.3).
void PlaylistRewriter::rewrite_hint(std::string_view list, PatchedCopy& copy) {
  SegmentFormat format = segment_format();
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name != "TYPE") continue;
    if (attribute.value == "KEY") return rewrite_key(list, copy);
    if (attribute.value == "MAP" && format != SegmentFormat::none) format = SegmentFormat::mp4;
  }
  rewrite_uri_attributes(list, {{}, format}, copy);
}

// If a DRM handles the key, the URI is an opaque name and not an address. hls.js and Shaka leave no
// key of whole segments to a DRM: they request it for any KEYFORMAT.
void PlaylistRewriter::rewrite_key(std::string_view list, PatchedCopy& copy) {
  bool is_of_drm = false;
  bool is_of_whole_segments = false;
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name == "METHOD") {
      if (attribute.value == "NONE") return;
      is_of_whole_segments = attribute.value.starts_with("AES-");
    } else if (attribute.name == "KEYFORMAT" && !attribute.value.empty()) {
      is_of_drm = substituted(attribute.value) != "identity";
    }
  }
  if (!is_of_drm || is_of_whole_segments) rewrite_uri_attributes(list, {}, copy);
}

// Interstitials and schedules of date ranges.
void PlaylistRewriter::rewrite_date_range(std::string_view list, PatchedCopy& copy) {
  bool x_uri_is_address = true;
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name != "CLASS") continue;
    x_uri_is_address = has_address_in_x_uri(substituted(attribute.value));
  }
  own_of_tag_ = {};
  own_of_tag_.kind = LinkKind::assets;
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "X-URI" && !x_uri_is_address) continue;
    const auto kind = link_kind_of_date_range(attribute.name, attribute.value);
    if (kind == LinkKind::assets) replace_document(attribute.value, DocumentKind::asset_list, copy);
    if (kind == LinkKind::any) replace({attribute.value}, copy);
  }
}

void PlaylistRewriter::rewrite_steering(std::string_view list, PatchedCopy& copy) {
  own_of_tag_ = {};
  own_of_tag_.kind = LinkKind::steering;
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name != "SERVER-URI") continue;
    replace_document(attribute.value, DocumentKind::steering, copy);
  }
}

// Replaces the URI of a JSON document, which may be the document itself.
void PlaylistRewriter::replace_document(std::string_view uri, DocumentKind kind,
                                        PatchedCopy& copy) {
  using Outcome = RewrittenDataUri::Outcome;
  const auto rewritten =
      rewrite_data_uri(substituted(uri, Variables::Text::masked), kind, *setting_);
  count_made(rewritten.made_bytes);
  if (rewritten.outcome == Outcome::none) {
    return replace({uri, SegmentFormat::none, &own_of_tag_}, copy);
  }
  if (rewritten.outcome == Outcome::too_long) has_grown_too_far_ = true;
  if (has_grown_too_far_) return;
  header_bytes_ += uri.size();
  copy.copy_until(uri.data());
  copy.out().append(rewritten.uri);
  copy.leave_out_until(uri.data() + uri.size());
  count_growth(rewritten.uri.size(), uri.size());
}

// Of the known session data only the chapters hold URLs.
void PlaylistRewriter::rewrite_session_data(std::string_view list, PatchedCopy& copy) {
  bool is_json = true;  // the default of FORMAT (RFC 8216bis 4.4.6.4)
  bool is_chapters = false;
  AttributeList checked(list);
  for (Attribute attribute; checked.next(attribute);) {
    if (attribute.name == "FORMAT") is_json = attribute.value == "JSON";
    if (attribute.name != "DATA-ID") continue;
    is_chapters = substituted(attribute.value) == "com.apple.hls.chapters";
  }
  if (!is_json || !is_chapters) return rewrite_uri_attributes(list, {}, copy);
  own_of_tag_ = {};
  own_of_tag_.kind = LinkKind::chapters;
  rewrite_uri_attributes(list, {{}, SegmentFormat::none, &own_of_tag_}, copy);
}

void PlaylistRewriter::rewrite_uri_of_playlist(std::string_view list, const std::string& variables,
                                               PatchedCopy& copy) {
  if (variables.empty()) return rewrite_uri_attributes(list, {}, copy);
  own_of_tag_ = {};
  own_of_tag_.variables = variables;
  rewrite_uri_attributes(list, {{}, SegmentFormat::none, &own_of_tag_}, copy);
}

// --- variables ---

void PlaylistRewriter::rewrite_define(std::string_view list, PatchedCopy& copy) {
  std::string_view name;
  std::string_view value;
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "QUERYPARAM") return materialise(attribute, copy);
    if (attribute.name == "NAME") name = attribute.value;
    if (attribute.name == "VALUE") value = attribute.value;
    if (attribute.name != "IMPORT") continue;
    return import(attribute.value);
  }
  const std::string whole = substituted(value);
  const bool is_masked = variables_.has_client_values();
  define(name, whole, is_masked ? substituted(value, Variables::Text::masked) : whole);
}

// The definitions of the rest of a multivariant playlist. Its playlists may import all of them, and
// Shaka also substitutes references that come before.
void PlaylistRewriter::define_ahead(std::string_view text) {
  constexpr std::string_view kDefine = "#EXT-X-DEFINE:";
  const size_t most_made = made_bytes_ + kMaxMadeOfWhole;
  BlockBuffer unused;
  while (!text.empty() && made_bytes_ < most_made) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = ascii::trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(kDefine) || line.size() > longest_line_) continue;
    line_growth_ = 0;
    PatchedCopy copy(line, unused);
    rewrite_define(line.substr(kDefine.size()), copy);
  }
}

// The link has the variables of the multivariant playlist.
void PlaylistRewriter::import(std::string_view name) {
  if (!imported_) imported_ = Variables::from_list(read_parent_note(setting_->variables));
  if (const std::string* value = imported_->find(name)) {
    define(name, *value, *imported_->find(name, Variables::Text::masked));
  }
}

// The player would look for the query parameter in the URL of our link. A parameter that is missing
// there too is empty: players refuse a playlist with such a tag.
void PlaylistRewriter::materialise(const Attribute& query_parameter, PatchedCopy& copy) {
  const std::string name(query_parameter.value);
  if (!query_) query_.emplace(setting_->base_url);
  const std::string value = query_->find(name).value_or(std::string());
  copy.copy_until(query_parameter.whole.data());
  copy.out().append("NAME=\"" + name + "\",VALUE=\"" + value + "\"");
  copy.leave_out_until(query_parameter.whole.data() + query_parameter.whole.size());
  define(name, value, Variables::kMask);
}

// Only grants need to know what a client has chosen.
void PlaylistRewriter::define(std::string_view name, std::string_view value,
                              std::string_view masked) {
  if (!variables_.define(name, value, setting_->access == nullptr ? value : masked)) return;
  variables_text_.clear();
  is_plain_ = false;
}

const std::string& PlaylistRewriter::variables_text() {
  if (variables_text_.empty() && !variables_.empty()) {
    variables_text_ = write_parent_note(variables_.to_list());
  }
  return variables_text_;
}

std::string PlaylistRewriter::substituted(std::string_view value, Variables::Text which) {
  if (variables_.empty() || !Variables::has_reference(value)) return std::string(value);
  return substitute(value, which).value_or(std::string(value));
}

// Text that takes time even if nothing of it is written: the current write() ends after the line if
// it has made too much.
void PlaylistRewriter::count_made(size_t bytes) {
  made_bytes_ += bytes;
  if (made_bytes_ >= most_made_) max_output_ = 0;
}

// nullopt: the line would grow too far.
std::optional<std::string> PlaylistRewriter::substitute(std::string_view text,
                                                        Variables::Text which) {
  if (has_grown_too_far_) return std::nullopt;
  auto made = variables_.substitute(text, which);
  if (!made) {
    has_grown_too_far_ = true;
    return std::nullopt;
  }
  count_growth(made->size(), text.size());
  count_made(made->size());
  return made;
}

// Whether the values from the client lead a reference out of the directory of the document. Such a
// link must not get a grant: the client could write any host into the query of its request.
bool PlaylistRewriter::is_moved_by_client(std::string_view masked, std::string_view whole) const {
  const auto directory_of = [this](std::string_view text) {
    std::string scratch;  // as ChildUrlWriter reads it
    std::string reference(without_tabs(ascii::trim(text), scratch));
    std::replace(reference.begin(), reference.end(), '\\', '/');
    std::string absolute;
    resolve_reference(split_uri(setting_->base_url), reference, absolute);
    absolute.resize(std::min(absolute.find_first_of("?#"), absolute.size()));
    absolute.resize(absolute.rfind('/') + 1);
    return absolute;
  };
  if (masked == whole) return false;
  // A bar may begin request headers.
  const bool adds_bar = masked.find('|') == masked.npos && whole.find('|') != whole.npos;
  const std::string directory = directory_of(whole);
  return adds_bar ||
         (directory != directory_of(masked) && !directory.starts_with(directory_of("")));
}

// --- children ---

// Appends the URL of a child of which something is not plain (is_plain_).
bool PlaylistRewriter::append_child(ChildReference reference, BlockBuffer& out) {
  std::string substituted;
  if (!variables_.empty() && Variables::has_reference(reference.text)) {
    auto text = substitute(reference.text, Variables::Text::whole);
    if (!text) return false;
    substituted = *std::move(text);
    if (variables_.has_client_values()) {
      auto masked = substitute(reference.text, Variables::Text::masked);
      if (masked && is_moved_by_client(*masked, substituted)) substituted = *std::move(masked);
    }
    reference.text = ascii::trim(substituted);
  }
  const bool is_segment = reference.format != SegmentFormat::none;
  if (setting_->segments_are_direct && is_segment) return append_upstream_url(reference.text, out);
  return children_.append(reference, out);
}

// False if the reference is absolute: it stays as it is.
bool PlaylistRewriter::append_upstream_url(std::string_view reference, BlockBuffer& out) {
  if (split_uri(reference).has_scheme) return false;
  std::string absolute;
  resolve_reference(split_uri(setting_->base_url), reference, absolute);
  header_bytes_ += setting_->base_url.size();  // a long path costs time even if `..` removes it
  out.append(absolute);
  return true;
}

}  // namespace streamgate
