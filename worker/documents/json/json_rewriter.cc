#include "worker/documents/json/json_rewriter.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "common/json_string.h"
#include "common/url.h"
#include "worker/documents/date_range.h"
#include "worker/documents/json/data_uri.h"
#include "worker/documents/json/json_reader.h"

namespace streamgate {
namespace {

// A member whose string is the URL of a child: `/name` for a member of an object, `/*` for an item
// of an array.
struct Address {
  DocumentKind document;
  std::string_view path;
  LinkKind kind;  // of the child
};

constexpr std::array<Address, 3> kAddresses = {{
    {DocumentKind::asset_list, "/ASSETS/*/URI", LinkKind::any},
    {DocumentKind::chapters, "/*/images/*/url", LinkKind::any},
    {DocumentKind::steering, "/RELOAD-URI", LinkKind::steering},
}};

constexpr std::string_view kDateRange = "/DATERANGES/*";

// The name of a member of a date range; empty for any other member.
std::string_view date_range_attribute(DocumentKind document, std::string_view path) {
  if (document != DocumentKind::asset_list || !path.starts_with(kDateRange)) return {};
  path.remove_prefix(kDateRange.size());
  return path.starts_with('/') ? path.substr(1) : std::string_view();
}

// The kind of the link that the member's string becomes; nullopt: none.
std::optional<LinkKind> link_kind_of(DocumentKind document, std::string_view path,
                                     std::string_view text) {
  const std::string_view attribute = date_range_attribute(document, path);
  if (!attribute.empty()) return link_kind_of_date_range(attribute, text);
  const auto found = std::find_if(kAddresses.begin(), kAddresses.end(), [&](const Address& known) {
    return known.document == document && known.path == path;
  });
  return found == kAddresses.end() ? std::nullopt : std::optional(found->kind);
}

// A member that is left out with its value.
bool is_unwanted(DocumentKind document, std::string_view path) {
  return document == DocumentKind::steering && path == "/PATHWAY-CLONES";
}

}  // namespace

// Writes each value as the reader finds it.
class JsonRewriter::Copy final : private JsonReader::Handler {
 public:
  Copy(DocumentKind kind, Place place, const DocumentSetting& setting, ChildUrlWriter& children)
      : reader_(*this), kind_(kind), place_(place), setting_(setting), children_(children) {}

  // Null: the text so far can be the beginning of a document.
  const char* read(std::string_view text) {
    if (!reader_.read(text) && problem_ == nullptr) problem_ = kMalformed;
    return problem_;
  }
  const char* finish() {
    if (!reader_.finish() && problem_ == nullptr) problem_ = kMalformed;
    return problem_;
  }
  std::string_view text() const { return out_; }
  size_t memory() const { return out_.capacity() + path_.capacity() + reader_.memory(); }
  size_t bytes_of_links() const { return bytes_of_links_; }
  bool is_too_long() const { return is_too_long_; }

 private:
  bool on_string(std::string_view text) override {
    if (is_left_out()) return end_value();
    separate();
    const std::string_view attribute = date_range_attribute(kind_, path_);
    if (attribute == "CLASS") x_uri_is_address_ = has_address_in_x_uri(text);
    const size_t at = out_.size();
    const auto kind = link_kind_of(kind_, path_, text);
    append_json_string(kind ? child_of(text, *kind) : text, out_);
    if (attribute == "X-URI") x_uris_.push_back({at, out_.size() - at, std::string(text)});
    return end_value();
  }
  bool on_scalar(std::string_view text) override {
    if (!is_left_out()) {
      separate();
      out_ += text;
    }
    return end_value();
  }
  bool on_name(std::string_view name) override {
    Level& level = levels_.back();
    path_.resize(level.path_size);
    path_.append("/").append(name);
    if (is_left_out()) return true;
    if (is_unwanted(kind_, path_)) {
      left_out_at_ = levels_.size();
      return true;
    }
    if (level.has_items) out_ += ',';
    level.has_items = true;
    append_json_string(name, out_);
    out_ += ':';
    return check_size();
  }
  bool on_open(char bracket) override {
    if (levels_.size() == kMaxDepth) return refuse("JSON with more than 64 levels");
    if (!is_left_out()) {
      separate();
      out_ += bracket;
    }
    levels_.push_back({bracket == '{', false, path_.size()});
    if (bracket == '[') path_ += "/*";
    return check_size();
  }
  bool on_close(char bracket) override {
    path_.resize(levels_.back().path_size);
    levels_.pop_back();
    if (path_ == kDateRange) end_date_range();
    if (!is_left_out()) out_ += bracket;
    return end_value();
  }

  static constexpr const char* kMalformed = "not well-formed JSON";
  struct Level {
    bool is_object;
    bool has_items;
    size_t path_size;  // of the path of the object or array itself
  };

  // The link of an X-URI. The class, which decides whether it is one, may come after it.
  struct XUri {
    size_t at;  // in out_
    size_t size;
    std::string text;  // in its place if it is none
  };

  bool is_left_out() const { return left_out_at_ != 0; }
  // Called before each value. For the value of a member, on_name() has already written the comma
  // and the name.
  void separate() {
    if (levels_.empty() || levels_.back().is_object) return;
    if (levels_.back().has_items) out_ += ',';
    levels_.back().has_items = true;
  }
  bool end_value() {
    if (left_out_at_ == levels_.size()) left_out_at_ = 0;
    return check_size();
  }
  // The links in `data:` URIs count even if nothing comes of them.
  bool check_size() {
    const size_t most = place_ == Place::response ? kMaxOutput : kMaxOutputInUri;
    is_too_long_ = is_too_long_ || std::max(out_.size(), bytes_in_uris_) > most;
    return !is_too_long_ ||
           refuse(place_ == Place::response ? "a rewritten JSON document of more than 4 MiB"
                                            : "a list that is too long");
  }
  bool refuse(const char* problem) {
    problem_ = problem;
    return false;
  }
  void end_date_range() {
    if (!std::exchange(x_uri_is_address_, true) && !x_uris_.empty()) restore_x_uris();
    x_uris_.clear();
  }
  void restore_x_uris() {
    const std::string rest = out_.substr(x_uris_.front().at);
    const size_t rest_at = x_uris_.front().at;
    out_.resize(rest_at);
    size_t copied = 0;  // of the rest
    for (const XUri& link : x_uris_) {
      out_.append(rest, copied, link.at - rest_at - copied);
      append_json_string(link.text, out_);
      copied = link.at - rest_at + link.size;
    }
    out_.append(rest, copied);
  }
  // Browsers ignore blanks around a URL.
  std::string_view child_of(std::string_view written, LinkKind kind) {
    const std::string_view reference = ascii::trim(written);
    if (kind == LinkKind::assets && place_ == Place::response) {
      list_ = rewrite_data_uri(reference, DocumentKind::asset_list, setting_);
      bytes_in_uris_ += list_.made_bytes;
      bytes_of_links_ += list_.made_bytes + list_.uri.size();
      is_too_long_ = list_.outcome == RewrittenDataUri::Outcome::too_long;
      if (list_.outcome != RewrittenDataUri::Outcome::none) return list_.uri;
    }
    child_.clear();
    absolute_.clear();
    own_.kind = kind;
    // Players resolve a relative RELOAD-URI against different URLs: that of the manifest, that of
    // the playlist, or the last RELOAD-URI. So it never stays, not even in the path form.
    const bool must_be_absolute = own_.kind == LinkKind::steering && !reference.empty();
    if (must_be_absolute) resolve_reference(split_uri(setting_.base_url), reference, absolute_);
    const std::string_view text = must_be_absolute ? absolute_ : reference;
    const bool is_child = children_.append({text, SegmentFormat::none, &own_}, child_);
    bytes_of_links_ += child_.size();
    return is_child ? child_.text() : written;
  }

  JsonReader reader_;
  const DocumentKind kind_;
  const Place place_;
  const DocumentSetting& setting_;
  ChildUrlWriter& children_;
  LinkContext own_;
  BlockBuffer child_;  // scratch, like the next two
  std::string absolute_;
  RewrittenDataUri list_;
  std::string out_;
  std::string path_;
  std::vector<Level> levels_;
  bool x_uri_is_address_ = true;  // in the open date range, as far as it is known
  std::vector<XUri> x_uris_;      // of that date range
  size_t left_out_at_ = 0;  // the number of levels around the member that is left out; 0: none is
  size_t bytes_of_links_ = 0;
  size_t bytes_in_uris_ = 0;  // of the links in `data:` URIs
  bool is_too_long_ = false;
  const char* problem_ = nullptr;
};

JsonRewriter::JsonRewriter(DocumentKind kind, Place place) : kind_(kind), place_(place) {}
JsonRewriter::~JsonRewriter() = default;

void JsonRewriter::begin(const DocumentSetting& setting) {
  children_.begin(setting);
  copy_ = std::make_unique<Copy>(kind_, place_, setting, children_);
  bytes_ = 0;
  problem_ = nullptr;
  is_too_long_ = false;
}

size_t JsonRewriter::write(std::string_view bytes, BlockBuffer&, size_t) {
  bytes_ += bytes.size();
  is_too_long_ = bytes_ > (place_ == Place::response ? kMaxBytes : kMaxBytesInUri);
  if (is_too_long_) problem_ = "a JSON document of more than 1 MiB";
  if (problem_ == nullptr) problem_ = copy_->read(bytes);
  return bytes.size();
}

void JsonRewriter::finish(BlockBuffer& out) {
  if (problem_ == nullptr) problem_ = copy_->finish();
  if (problem_ == nullptr) out.append(copy_->text());
  is_too_long_ = is_too_long_ || copy_->is_too_long();
  copy_.reset();
}

size_t JsonRewriter::costly_bytes() const { return copy_ ? copy_->bytes_of_links() : 0; }

size_t JsonRewriter::memory_bytes() const { return copy_ ? copy_->memory() : 0; }

}  // namespace streamgate
