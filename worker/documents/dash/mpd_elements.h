// Where URLs stand in an MPD (ISO/IEC 23009-1 5 and annexes; 23009-4 for keys of segments).
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/links/link_context.h"

namespace streamgate {

// The kinds of elements with URLs. URLs of the kinds base_url and segment are resolved against the
// nearest BaseURL, and become links only where they would lead past us. All others are resolved
// against the URL of the MPD, and always become links.
enum class UrlPlace : uint8_t {
  none,
  base_url,    // BaseURL
  segment,     // attributes that name segments
  document,    // text and attributes that name other documents
  event,       // attributes in events that name other MPDs
  clock,       // the value of a clock; a URL only with an http scheme
  descriptor,  // of a descriptor; the value is a URL only with the scheme of an MPD, and dvb:url
               // only with that of a font
};

struct MpdElement {
  std::string_view name;  // without its prefix
  UrlPlace place = UrlPlace::none;
  bool has_text = false;                // the text is a URL
  std::string_view attributes[4] = {};  // that are URLs
  LinkKind kind = LinkKind::any;        // of the links
};

// The element of that name. Elements without URLs have the place none.
const MpdElement& mpd_element(std::string_view name);

// Whether the element of that name belongs to another namespace than the MPD.
bool has_foreign_name(std::string_view name);

// Whether the value of a descriptor or clock with this scheme is a list of URLs.
bool is_url_scheme(std::string_view scheme_id_uri);

// Whether a descriptor with this scheme names the file of a font, which is resolved as a segment
// (ETSI TS 103 285 7.2).
bool is_font_scheme(std::string_view scheme_id_uri);

// Whether an attribute is one of MpdElement::attributes. Of one that has a prefix, the local name
// counts.
bool has_url(const MpdElement& element, std::string_view attribute);

// Whether the attribute, with its prefix, makes any element a remote one: `xlink:href`.
inline bool is_remote(std::string_view attribute) { return attribute.ends_with(":href"); }

// The value of an attribute in a list of expat's; empty if there is none.
std::string_view value_of(const char** attributes, std::string_view name);

// A name without its namespace prefix.
inline std::string_view local_name(std::string_view name) {
  return name.substr(name.find(':') + 1);
}

// The namespace prefix of a name, with its colon: `mpd:`.
inline std::string_view prefix_of(std::string_view name) {
  return name.substr(0, name.size() - local_name(name).size());
}

}  // namespace streamgate
