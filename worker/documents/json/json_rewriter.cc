#include "worker/documents/json/json_rewriter.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "common/check.h"
#include "common/json_string.h"
#include "common/url.h"

namespace streamgate {
namespace {

using Json = nlohmann::ordered_json;

// The paths of members: `/name` for a member of an object, `/*` for an item of an array.
struct Paths {
  std::string_view address;   // its string is the URL of a child
  std::string_view left_out;  // with its value
  LinkKind kind;              // of the child
};

Paths paths_of(DocumentKind kind) {
  if (kind == DocumentKind::asset_list) return {"/ASSETS/*/URI", {}, LinkKind::any};
  if (kind == DocumentKind::chapters) return {"/*/images/*/url", {}, LinkKind::any};
  return {"/RELOAD-URI", "/PATHWAY-CLONES", LinkKind::steering};
}

}  // namespace

// Writes each value as the parser finds it; no tree is built, so a document cannot make the parser
// compare all names of an object with each other.
class JsonRewriter::Copy final : public nlohmann::json_sax<Json> {
 public:
  Copy(DocumentKind kind, std::string_view base_url, ChildUrlWriter& children)
      : paths_(paths_of(kind)), base_url_(base_url), children_(children) {
    own_.kind = paths_.kind;
  }

  const std::string& text() const { return out_; }
  const char* problem() const { return problem_; }

  bool null() override { return scalar("null"); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool number_integer(int64_t value) override { return scalar(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return scalar(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return scalar(text); }
  bool binary(binary_t&) override { return refuse("not well-formed JSON"); }  // never in a text
  bool string(std::string& value) override {
    if (is_left_out()) return end_value();
    separate();
    append_json_string(path_ == paths_.address ? child_of(value) : value, out_);
    return end_value();
  }
  bool start_object(size_t) override { return open('{'); }
  bool start_array(size_t) override { return open('['); }
  bool end_object() override { return close('}'); }
  bool end_array() override { return close(']'); }
  bool key(std::string& name) override {
    Level& level = levels_.back();
    path_.resize(level.path_size);
    path_.append("/").append(name);
    if (is_left_out()) return true;
    if (path_ == paths_.left_out) {
      left_out_at_ = levels_.size();
      return true;
    }
    if (level.has_items) out_ += ',';
    level.has_items = true;
    append_json_string(name, out_);
    out_ += ':';
    return check_size();
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("not well-formed JSON");
  }

 private:
  struct Level {
    bool is_object;
    bool has_items;
    size_t path_size;  // of the path of the object or array itself
  };

  bool is_left_out() const { return left_out_at_ != 0; }
  // In front of a value. key() has written what stands in front of the value of a member.
  void separate() {
    if (levels_.empty() || levels_.back().is_object) return;
    if (levels_.back().has_items) out_ += ',';
    levels_.back().has_items = true;
  }
  bool scalar(std::string_view text) {
    if (!is_left_out()) {
      separate();
      out_ += text;
    }
    return end_value();
  }
  bool end_value() {
    if (left_out_at_ == levels_.size()) left_out_at_ = 0;
    return check_size();
  }
  bool open(char bracket) {
    if (levels_.size() == kMaxDepth) return refuse("JSON with more than 64 levels");
    if (!is_left_out()) {
      separate();
      out_ += bracket;
    }
    levels_.push_back({bracket == '{', false, path_.size()});
    if (bracket == '[') path_ += "/*";
    return check_size();
  }
  bool close(char bracket) {
    path_.resize(levels_.back().path_size);
    levels_.pop_back();
    if (!is_left_out()) out_ += bracket;
    return end_value();
  }
  bool check_size() {
    return out_.size() <= kMaxOutput || refuse("a rewritten JSON document of more than 4 MiB");
  }
  bool refuse(const char* problem) {
    problem_ = problem;
    return false;
  }
  std::string_view child_of(std::string_view reference) {
    child_.clear();
    absolute_.clear();
    // Players resolve a relative RELOAD-URI against different URLs: that of the manifest, that of
    // the playlist, or the last RELOAD-URI. So it never stays, not even in the path form.
    const bool must_be_absolute = paths_.kind == LinkKind::steering && !reference.empty();
    if (must_be_absolute) resolve_reference(split_uri(base_url_), reference, absolute_);
    const std::string_view text = must_be_absolute ? absolute_ : reference;
    const bool is_child = children_.append({text, SegmentFormat::none, &own_}, child_);
    return is_child ? child_.text() : reference;
  }

  const Paths paths_;
  const std::string_view base_url_;
  ChildUrlWriter& children_;
  LinkContext own_;
  BlockBuffer child_;  // scratch, like the next one
  std::string absolute_;
  std::string out_;
  std::string path_;
  std::vector<Level> levels_;
  size_t left_out_at_ = 0;  // the number of levels around the member that is left out; 0: none is
  const char* problem_ = nullptr;
};

void JsonRewriter::begin(const DocumentSetting& setting) {
  setting_ = &setting;
  children_.begin(setting);
  text_.clear();
  problem_ = nullptr;
}

size_t JsonRewriter::write(std::string_view bytes, BlockBuffer&, size_t) {
  if (text_.size() + bytes.size() > kMaxBytes) {
    problem_ = "a JSON document of more than 1 MiB";
  } else {
    text_ += bytes;
  }
  return bytes.size();
}

void JsonRewriter::finish(BlockBuffer& out) {
  if (problem_ != nullptr) return;
  Copy copy(kind_, setting_->base_url, children_);
  const bool is_read = Json::sax_parse(text_.begin(), text_.end(), &copy);
  problem_ = copy.problem();
  CHECK(is_read == (problem_ == nullptr));
  if (is_read) out.append(copy.text());
}

}  // namespace streamgate
