// Rewrites a DASH manifest (ISO/IEC 23009-1) so that everything the player requests next comes back
// through us. Incremental and byte-preserving: expat checks the XML and reports where the elements
// are, and only the URLs are replaced. A BaseURL is added if the MPD has none of its own, and the
// query of the MPD's URL is written out where the MPD refers to it (annex I). A document whose root
// element is not MPD passes through unchanged.
//
// Patches of an MPD and remote elements (xlink) are rewritten by the same rules. Their references
// are resolved against the MPD that they become a part of, so relative ones stay. Their links name
// its URLs (mpd_context.h). Without them, the URL of the document itself takes their place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/documents/dash/mpd_elements.h"
#include "worker/documents/dash/mpd_links.h"
#include "worker/documents/dash/mpd_namespaces.h"
#include "worker/documents/dash/mpd_patch.h"
#include "worker/documents/dash/xml_parser.h"
#include "worker/documents/dash/xml_text.h"
#include "worker/documents/document_kind.h"
#include "worker/documents/rewriter.h"

namespace streamgate {

class MpdRewriter final : public DocumentRewriter {
 public:
  // Requires is_dash(kind).
  explicit MpdRewriter(DocumentKind kind = DocumentKind::mpd) : kind_(kind) {}

  void begin(const DocumentSetting& setting) override;
  size_t write(std::string_view bytes, BlockBuffer& out, size_t max_output) override;
  void finish(BlockBuffer& out) override;

  bool has_grown_too_far() const override { return has_grown_too_far_; }
  const char* problem() const override { return problem_; }
  uint64_t lines_too_long() const override { return 0; }
  size_t costly_bytes() const override { return costly_bytes_; }
  size_t memory_bytes() const override {
    return window_.capacity() + marked_.capacity() + held_.capacity() + parser_.memory() +
           namespaces_.memory();
  }

 private:
  static constexpr size_t kMaxTextBytes = size_t{64} * 1024;   // of an element with a URL
  static constexpr size_t kMaxHeldBytes = size_t{256} * 1024;  // of output

  static constexpr size_t kMaxDepth = 256;

  // A BaseURL holds for its parent, and all elements in that.
  struct Base {
    size_t depth;  // of the parent; 1 is the root element
    MpdBase base;
  };

  static void on_start(void* rewriter, const char* name, const char** attributes);
  static void on_end(void* rewriter, const char* name);
  static void on_text(void* rewriter, const char* text, int size);
  static void on_cdata(void* rewriter);
  static void on_cdata_end(void* rewriter);
  static void on_doctype(void* rewriter, const char*, const char*, const char*, int);

  void take_context();
  void take_prolog();
  void begin_parser();
  void feed(XmlParser::Part part);
  void read_window(XmlParser::Part part);
  bool is_reading() const {
    return state_ == State::parsing && problem_ == nullptr && !has_grown_too_far_;
  }
  bool may_skip() const;
  size_t skip_segments();
  bool link_outside_segment(std::string_view element);
  void make_origin_link(std::string_view origin);
  void read(std::string_view text, XmlParser::Part part);
  std::string_view with_marked_ampersands(std::string_view text, XmlParser::Part part);
  void fail(const char* problem);
  void start_element(std::string_view name, const char** attributes);
  void start_root(std::string_view name, const char** attributes);
  void start_operation(std::string_view name, const char** attributes);
  void start_text(const MpdElement& element, std::string_view prefix);
  void note_base(const MpdBase& from, std::string_view reference);
  const MpdBase& base_of_event() const;
  std::string note_for(LinkKind kind) const;
  void end_element();
  void end_text();
  void end_operation_text(const MpdElement& element, std::string_view reference);
  void rewrite_attributes(const MpdElement& element, const char** attributes);
  void rewrite_attribute(const MpdElement& element, const char** parsed,
                         const RawAttributes::Attribute& written, std::string_view scheme);
  bool append_value(const MpdElement& element, std::string_view name, std::string_view value,
                    std::string_view scheme);
  // What is put before and after the value of an attribute.
  struct Around {
    std::string before;
    std::string after;
  };
  void rewrite_query_info(std::string_view name, const char** attributes);
  void put_around(const RawAttributes::Attribute& attribute, const Around& texts);
  std::string mark_of_origin() const;
  bool append_list(std::string_view list, std::string& out);
  void hold_for_base_url();
  void move_base_url(std::string_view link);
  void insert_base_url();
  void release_held(std::string_view inserted);
  void emit(std::string_view text);
  void replace(uint64_t from, uint64_t to, std::string_view text);
  void put(uint64_t from, uint64_t to, std::string_view text);
  void copy_until(uint64_t position);
  void forget_copied();

  const MpdBase& base() const { return bases_.empty() ? outer_ : bases_.back().base; }
  // For a BaseURL: those beside it are alternatives.
  const MpdBase& base_above_siblings() const {
    const bool has_sibling = !bases_.empty() && bases_.back().depth == depth_ - 1;
    if (!has_sibling) return base();
    return bases_.size() == 1 ? outer_ : bases_[bases_.size() - 2].base;
  }
  size_t level() const {
    return kind_ == DocumentKind::mpd_patch ? operation_.level + depth_ - content_depth() : depth_;
  }
  // The depth of the outermost elements of the MPD.
  size_t content_depth() const {
    if (kind_ == DocumentKind::mpd) return 1;
    return kind_ == DocumentKind::mpd_part ? 2 : 3;
  }
  LinkRule rule_for(const MpdBase& from, std::string_view reference) const;
  // Of the current event, in bytes of the document.
  uint64_t event_begin() const;
  uint64_t event_end() const;
  std::string_view raw(uint64_t from, uint64_t to) const;
  // Of a part of the text that raw() returns.
  uint64_t position_of(std::string_view raw_text) const;

  const DocumentKind kind_;
  const DocumentSetting* setting_ = nullptr;
  MpdLinks links_;
  XmlParser parser_;
  BlockBuffer* out_ = nullptr;  // of the current call
  enum class State { prolog, parsing, passing };
  State state_ = State::prolog;
  const char* problem_ = nullptr;  // static; null: none

  // The bytes of the document from window_at_ on that are not copied yet or not parsed yet.
  std::string window_;
  uint64_t window_at_ = 0;
  uint64_t copied_ = 0;   // position up to which the document has been copied or replaced
  uint64_t handed_ = 0;   // position up to which the parser has the document
  uint64_t skipped_ = 0;  // bytes that the parser did not get
  size_t wrapped_ = 0;    // bytes that the parser got before the document
  size_t wanted_ = 0;     // bytes that must arrive before an unfinished tag is parsed again

  size_t depth_ = 0;  // open elements
  MpdNamespaces namespaces_;
  MpdBase document_;  // references to other documents are resolved against it
  MpdBase outer_;     // all others, outside of the BaseURLs of this document
  std::vector<Base> bases_;
  bool has_base_url_ = false;  // of the MPD level
  // The output from the first Period on, while the MPD may still have a BaseURL after it.
  bool is_held_ = false;
  std::string held_;
  std::string base_url_tag_;   // the start tag of that BaseURL
  PatchOperation operation_;   // the open one
  size_t segments_depth_ = 0;  // of the open SegmentTimeline or SegmentList; 0: none is open
  size_t event_depth_ = 0;     // of the open Event; 0: none is open
  // The text in place of the origin of the last segment that was absolute or rooted (origin empty).
  // Empty: there is none. It holds for one base.
  bool has_origin_link_ = false;
  std::string linked_origin_;
  std::string origin_link_;
  bool is_in_cdata_ = false;
  std::string marked_;      // what the parser gets if there are ampersands
  bool has_marks_ = false;  // of ampersands that begin no reference

  // The open element whose text is a URL.
  const MpdElement* text_element_ = nullptr;
  std::string text_prefix_;
  size_t text_depth_ = 0;
  uint64_t text_begin_ = 0;
  std::string text_;
  std::string link_;

  size_t growth_ = 0;  // of the current piece
  bool has_grown_too_far_ = false;
  size_t costly_bytes_ = 0;
};

}  // namespace streamgate
