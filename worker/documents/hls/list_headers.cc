#include "worker/documents/hls/list_headers.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/ascii.h"
#include "worker/links/header_suffix.h"

namespace streamgate {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kVlc = "EXTVLCOPT";  // then `:`, for Kodi also `--`
constexpr std::string_view kKodi = "KODIPROP:";
constexpr std::string_view kHttp = "EXTHTTP:";

// A longer line is not a list of headers: it costs time, and in JSON memory for each open bracket.
constexpr size_t kMaxTagBytes = size_t{32} * 1024;

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kVlcOptions = {{
    {"http-user-agent", "User-Agent"},
    {"http-referrer", "Referer"},
    {"http-referer", "Referer"},  // not VLC's, but frequent
    {"http-origin", "Origin"},
    {"http-cookie", "Cookie"},
}};

// Receives the strings of the outer object during parsing; no tree is built.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(LinkContext& link) : link_(link) {}

  bool key(std::string& name) override {
    if (depth_ == 1) name_ = name;
    return true;
  }
  bool string(std::string& value) override {
    if (depth_ == 1 && is_object_) take_list_header(name_, value, link_);
    return true;
  }
  bool start_object(size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  static constexpr int kMaxDepth = 64;

  bool open(bool is_object) {
    if (depth_ == 0) is_object_ = is_object;
    return ++depth_ <= kMaxDepth;
  }
  bool close() {
    --depth_;
    return true;
  }

  LinkContext& link_;
  std::string name_;
  int depth_ = 0;
  bool is_object_ = false;  // the outer value
};

void take_vlc_option(std::string_view option, LinkContext& link) {
  while (option.starts_with(':') || option.starts_with('-')) option.remove_prefix(1);
  const size_t equals = option.find('=');
  if (equals == option.npos) return;
  const std::string_view name = ascii::trim(option.substr(0, equals));
  for (const auto& [known, header] : kVlcOptions) {
    if (ascii::iequals(name, known)) take_list_header(header, option.substr(equals + 1), link);
  }
}

void take_kodi_property(std::string_view property, LinkContext& link) {
  const size_t equals = property.find('=');
  if (equals == property.npos) return;
  std::string_view name = ascii::trim(property.substr(0, equals));
  constexpr std::string_view kAdaptive = "inputstream.adaptive.";
  if (ascii::istarts_with(name, kAdaptive)) name.remove_prefix(kAdaptive.size());
  for (const char* known : {"stream_headers", "manifest_headers", "common_headers"}) {
    if (ascii::iequals(name, known)) take_header_pairs(property.substr(equals + 1), link);
  }
}

}  // namespace

void take_list_header_tag(std::string_view tag, LinkContext& link) {
  if (tag.size() > kMaxTagBytes) return;
  if (ascii::istarts_with(tag, kVlc)) {
    take_vlc_option(tag.substr(kVlc.size()), link);
  } else if (ascii::istarts_with(tag, kKodi)) {
    take_kodi_property(tag.substr(kKodi.size()), link);
  } else if (ascii::istarts_with(tag, kHttp)) {
    const std::string_view text = tag.substr(kHttp.size());
    LinkContext read;
    HeaderReader reader(read);
    if (Json::sax_parse(text.begin(), text.end(), &reader)) {
      for (const auto& [name, value] : read.headers) take_list_header(name, value, link);
      if (read.referer) take_list_header("Referer", *read.referer, link);
    }
  }
}

}  // namespace streamgate
