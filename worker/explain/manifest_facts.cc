#include "worker/explain/manifest_facts.h"

#include <algorithm>
#include <compare>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "common/ascii.h"
#include "worker/documents/dash/mpd_elements.h"
#include "worker/documents/dash/xml_parser.h"
#include "worker/documents/dash/xml_text.h"

namespace streamgate {
namespace {

constexpr size_t kMaxRepresentations = 16;
constexpr size_t kMaxFactBytes = 64;

// https://dashif.org/identifiers/content_protection/
constexpr std::pair<std::string_view, std::string_view> kKeySystems[] = {
    {"edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", "Widevine"},
    {"9a04f079-9840-4286-ab92-e65be0885f95", "PlayReady"},
    {"94ce86fb-07ff-4f43-adb8-93d2fa968ca2", "FairPlay"},
    {"1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", "ClearKey"},
    {"e2719d58-a985-b3c9-781a-b030af78d30e", "ClearKey"},
};

// Empty for the descriptor that names only the scheme of encryption.
std::string key_system_of(std::string_view scheme_id_uri) {
  if (ascii::istarts_with(scheme_id_uri, "urn:mpeg:dash:mp4protection:")) return {};
  for (const auto& [uuid, name] : kKeySystems) {
    if (ascii::iends_with(scheme_id_uri, uuid)) return std::string(name);
  }
  return shown(scheme_id_uri, kMaxFactBytes);
}

// Where a URL stands. The names are those of mpd_elements.h.
struct Place {
  size_t depth;
  std::string_view element;    // empty: another one, with a remote reference
  std::string_view attribute;  // empty: the text of the element
  auto operator<=>(const Place&) const = default;
};

struct Reference {
  Place place;
  std::string url;
};

constexpr std::string_view kBaseUrl = "BaseURL";

// The attribute's name in a Place; empty if its value is no URL.
std::string_view url_attribute(const MpdElement& element, std::string_view name) {
  if (is_remote(name)) return ":href";
  const auto* const end = std::end(element.attributes);
  const auto* const found = std::find(std::begin(element.attributes), end, name);
  return found == end ? std::string_view() : *found;
}

class Reader {
 public:
  // False: the document is not well-formed, or has a document type.
  bool read(std::string_view document) {
    const std::string_view begun = from_xml_begin(document.substr(0, kMaxManifestBytes));
    std::string text(begun);
    mark_bare_ampersands(text);
    XmlParser parser;
    parser.begin(parser_encoding(declared_encoding(begun.substr(0, kMaxXmlDeclaration))));
    parser_ = parser.get();
    XML_SetUserData(parser_, this);
    XML_SetElementHandler(parser_, &Reader::on_start, &Reader::on_end);
    XML_SetCharacterDataHandler(parser_, &Reader::on_text);
    XML_SetStartDoctypeDeclHandler(parser_, &Reader::on_doctype);
    // The text may be truncated, so its end is no mistake. Players ignore what is behind the root.
    return parser.parse(text, XmlParser::Part::more) || is_past_root_;
  }

  ExplainedManifest facts;
  std::vector<Reference> references;

 private:
  static void on_start(void* reader, const char* name, const char** attributes) {
    static_cast<Reader*>(reader)->start(local_name(name), attributes);
  }
  static void on_end(void* reader, const char*) { static_cast<Reader*>(reader)->end(); }
  static void on_text(void* reader, const char* text, int size) {
    auto& self = *static_cast<Reader*>(reader);
    if (self.depth_ == self.text_depth_) self.text_.append(text, static_cast<size_t>(size));
  }
  // Entities could make a small document large.
  static void on_doctype(void* reader, const char*, const char*, const char*, int) {
    XML_StopParser(static_cast<Reader*>(reader)->parser_, XML_FALSE);
  }

  void start(std::string_view name, const char** attributes) {
    if (++depth_ == 1) facts.is_live = value_of(attributes, "type") == "dynamic";
    if (name == "Period") ++facts.periods;
    if (name == "AdaptationSet") set_ = described(attributes, {});
    if (name == "Representation") add_representation(attributes);
    if (name == "ContentProtection") add_key(value_of(attributes, "schemeIdUri"));
    const MpdElement& element = mpd_element(name);
    for (const char** at = attributes; *at != nullptr; at += 2) {
      const std::string_view attribute = url_attribute(element, at[0]);
      if (!attribute.empty()) add_reference({depth_, element.name, attribute}, at[1]);
    }
    if (!element.has_text) return;
    text_depth_ = depth_;
    text_element_ = element.name;
    text_.clear();
  }

  void end() {
    if (depth_ == text_depth_) {
      add_reference({depth_, text_element_, {}}, text_);
      text_depth_ = 0;
    }
    is_past_root_ = --depth_ == 0;
  }

  void add_reference(const Place& place, std::string_view value) {
    std::string url(trim_xml(value));
    restore_bare_ampersands(url);
    references.push_back({place, std::move(url)});
  }

  // The attributes of an adaptation set are those of its representations too.
  static ExplainedRepresentation described(const char** attributes,
                                           ExplainedRepresentation of_set) {
    ExplainedRepresentation out = std::move(of_set);
    const auto take = [&](std::string_view name, std::string& to) {
      const std::string_view value = value_of(attributes, name);
      if (!value.empty()) to = shown(value, kMaxFactBytes);
    };
    take("contentType", out.type);
    take("mimeType", out.type);
    take("lang", out.language);
    take("bandwidth", out.bandwidth);
    take("width", out.width);
    take("height", out.height);
    take("codecs", out.codecs);
    return out;
  }

  void add_representation(const char** attributes) {
    if (++facts.representation_count > kMaxRepresentations) return;
    facts.representations.push_back(described(attributes, set_));
  }

  void add_key(std::string_view scheme_id_uri) {
    const std::string key = key_system_of(scheme_id_uri);
    const bool is_known = std::find(facts.keys.begin(), facts.keys.end(), key) != facts.keys.end();
    facts.is_encrypted = true;
    if (!key.empty() && !is_known && facts.keys.size() < kMaxKeys) facts.keys.push_back(key);
  }

  XML_Parser parser_ = nullptr;
  size_t depth_ = 0;
  size_t text_depth_ = 0;  // of the element whose text is read; 0: none
  std::string_view text_element_;
  std::string text_;
  bool is_past_root_ = false;
  ExplainedRepresentation set_;
};

// The rewriter adds a BaseURL or moves it, so the two lists are compared place by place. `after` is
// usually shorter, because links are longer than URLs: what only one has does not count, except for
// a BaseURL.
void compare(const std::vector<Reference>& before, const std::vector<Reference>& after,
             ExplainedManifest& facts) {
  std::map<Place, std::deque<std::string_view>> urls;
  for (const Reference& reference : before) urls[reference.place].push_back(reference.url);
  for (const Reference& reference : after) {
    std::deque<std::string_view>& known = urls[reference.place];
    std::string_view original;
    if (known.empty()) {
      if (reference.place.element != kBaseUrl) continue;
    } else {
      original = known.front();
      known.pop_front();
    }
    if (original == reference.url) continue;
    ++facts.rewritten_links;
    if (facts.links.size() == kMaxLinks) continue;
    facts.links.push_back({shown(original, kMaxShownBytes), shown(reference.url, kMaxShownBytes)});
  }
}

}  // namespace

std::optional<ExplainedManifest> manifest_facts(std::string_view text, std::string_view rewritten) {
  Reader before;
  if (!before.read(text)) return std::nullopt;
  Reader after;
  // The rewriter may have stopped; the links before that count.
  static_cast<void>(after.read(rewritten));
  compare(before.references, after.references, before.facts);
  before.facts.is_truncated = text.size() > kMaxManifestBytes;
  return std::move(before.facts);
}

}  // namespace streamgate
