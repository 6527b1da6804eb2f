#include "worker/documents/json/json_rewriter.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "common/json_string.h"
#include "common/url.h"
#include "worker/documents/json/json_reader.h"
#include "worker/documents/known_name.h"

namespace streamgate {
namespace {

// A member whose string is the URL of a child: `/name` for a member of an object, `/*` for an item
// of an array.
struct Address {
  DocumentKind document;
  std::string_view path;
  LinkKind (*kind_of)(std::string_view url);  // of the child
};

LinkKind always_any(std::string_view) { return LinkKind::any; }
LinkKind always_assets(std::string_view) { return LinkKind::assets; }
LinkKind always_steering(std::string_view) { return LinkKind::steering; }

constexpr std::array<Address, 6> kAddresses = {{
    {DocumentKind::asset_list, "/ASSETS/*/URI", always_any},
    {DocumentKind::asset_list, "/DATERANGES/*/X-ASSET-LIST", always_assets},
    {DocumentKind::asset_list, "/DATERANGES/*/X-ASSET-URI", link_kind_of_asset},
    {DocumentKind::asset_list, "/DATERANGES/*/X-URI", link_kind_of_asset},
    {DocumentKind::chapters, "/*/images/*/url", always_any},
    {DocumentKind::steering, "/RELOAD-URI", always_steering},
}};

// Null for any other member.
const Address* find_address(DocumentKind document, std::string_view path) {
  const auto found = std::find_if(kAddresses.begin(), kAddresses.end(), [&](const Address& known) {
    return known.document == document && known.path == path;
  });
  return found == kAddresses.end() ? nullptr : &*found;
}

// A member that is left out with its value.
bool is_unwanted(DocumentKind document, std::string_view path) {
  return document == DocumentKind::steering && path == "/PATHWAY-CLONES";
}

}  // namespace

// Writes each value as the reader finds it.
class JsonRewriter::Copy final : private JsonReader::Handler {
 public:
  Copy(DocumentKind kind, std::string_view base_url, ChildUrlWriter& children)
      : reader_(*this), kind_(kind), base_url_(base_url), children_(children) {}

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

 private:
  bool on_string(std::string_view text) override {
    if (is_left_out()) return end_value();
    separate();
    const Address* const address = find_address(kind_, path_);
    append_json_string(address != nullptr ? child_of(text, *address) : text, out_);
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
    if (!is_left_out()) out_ += bracket;
    return end_value();
  }

  static constexpr const char* kMalformed = "not well-formed JSON";
  struct Level {
    bool is_object;
    bool has_items;
    size_t path_size;  // of the path of the object or array itself
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
  bool check_size() {
    return out_.size() <= kMaxOutput || refuse("a rewritten JSON document of more than 4 MiB");
  }
  bool refuse(const char* problem) {
    problem_ = problem;
    return false;
  }
  std::string_view child_of(std::string_view reference, const Address& address) {
    child_.clear();
    absolute_.clear();
    own_.kind = address.kind_of(reference);
    // Players resolve a relative RELOAD-URI against different URLs: that of the manifest, that of
    // the playlist, or the last RELOAD-URI. So it never stays, not even in the path form.
    const bool must_be_absolute = own_.kind == LinkKind::steering && !reference.empty();
    if (must_be_absolute) resolve_reference(split_uri(base_url_), reference, absolute_);
    const std::string_view text = must_be_absolute ? absolute_ : reference;
    const bool is_child = children_.append({text, SegmentFormat::none, &own_}, child_);
    bytes_of_links_ += child_.size();
    return is_child ? child_.text() : reference;
  }

  JsonReader reader_;
  const DocumentKind kind_;
  const std::string_view base_url_;
  ChildUrlWriter& children_;
  LinkContext own_;
  BlockBuffer child_;  // scratch, like the next one
  std::string absolute_;
  std::string out_;
  std::string path_;
  std::vector<Level> levels_;
  size_t left_out_at_ = 0;  // the number of levels around the member that is left out; 0: none is
  size_t bytes_of_links_ = 0;
  const char* problem_ = nullptr;
};

JsonRewriter::JsonRewriter(DocumentKind kind) : kind_(kind) {}
JsonRewriter::~JsonRewriter() = default;

void JsonRewriter::begin(const DocumentSetting& setting) {
  children_.begin(setting);
  copy_ = std::make_unique<Copy>(kind_, setting.base_url, children_);
  bytes_ = 0;
  problem_ = nullptr;
}

size_t JsonRewriter::write(std::string_view bytes, BlockBuffer&, size_t) {
  bytes_ += bytes.size();
  if (bytes_ > kMaxBytes) problem_ = "a JSON document of more than 1 MiB";
  if (problem_ == nullptr) problem_ = copy_->read(bytes);
  return bytes.size();
}

void JsonRewriter::finish(BlockBuffer& out) {
  if (problem_ == nullptr) problem_ = copy_->finish();
  if (problem_ == nullptr) out.append(copy_->text());
  copy_.reset();
}

size_t JsonRewriter::costly_bytes() const { return copy_ ? copy_->bytes_of_links() : 0; }

size_t JsonRewriter::memory_bytes() const { return copy_ ? copy_->memory() : 0; }

}  // namespace streamgate
