// Rewrites an MPD for a test, and checks that the result is the same for all pieces.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "worker/documents/dash/mpd_rewriter.h"
#include "worker/http/base64.h"

namespace streamgate {

inline DocumentSetting setting_of(std::string_view base_url) {
  DocumentSetting setting;
  setting.base_url = base_url;
  setting.proxy_origin = "https://proxy";
  setting.route_path = "/stream";
  return setting;
}

inline const DocumentSetting kSetting =
    setting_of("https://up.example/live/a/manifest.mpd?tok=x/y");

struct MpdOutcome {
  std::string text;
  std::string problem;
  bool operator==(const MpdOutcome&) const = default;
};

inline MpdOutcome run(MpdRewriter& rewriter, const DocumentSetting& setting, std::string_view text,
                      size_t first, size_t step) {
  BlockBuffer out;
  rewriter.begin(setting);
  std::string_view left = text;
  for (size_t size = first; !left.empty() && rewriter.problem() == nullptr; size = step) {
    std::string_view piece = left.substr(0, std::max<size_t>(size, 1));
    left.remove_prefix(piece.size());
    while (!piece.empty() && rewriter.problem() == nullptr) {
      piece.remove_prefix(rewriter.write(piece, out, SIZE_MAX));
    }
  }
  if (rewriter.problem() == nullptr) rewriter.finish(out);
  if (rewriter.problem() != nullptr) return {"", std::string(rewriter.problem())};
  return {std::string(out.text()), ""};
}

// The rewritten document, which must not depend on where its pieces end.
inline MpdOutcome outcome(std::string_view text, const DocumentSetting& setting,
                          DocumentKind kind) {
  MpdRewriter rewriter(kind);
  const MpdOutcome whole = run(rewriter, setting, text, text.size(), 1);
  EXPECT_EQ(run(rewriter, setting, text, 1, 1), whole) << "in single bytes";
  for (size_t split = 1; split < text.size(); ++split) {
    const MpdOutcome in_two = run(rewriter, setting, text, split, text.size());
    EXPECT_EQ(in_two.problem, whole.problem) << split;
    EXPECT_EQ(in_two.text, whole.text) << "split at " << split;
    if (in_two != whole) break;
  }
  return whole;
}

inline MpdOutcome outcome(std::string_view text, const DocumentSetting& setting = kSetting) {
  return outcome(text, setting, DocumentKind::mpd);
}

inline std::string rewrite(std::string_view text, const DocumentSetting& setting = kSetting) {
  const MpdOutcome made = outcome(text, setting);
  EXPECT_EQ(made.problem, "") << text;
  return made.text;
}

inline constexpr std::string_view kAt = "https://proxy/at/-/";
inline const std::string kBase = "<BaseURL>https://proxy/at/-/https/up.example/live/a/</BaseURL>";

inline std::string at(std::string_view rest) { return std::string(kAt) + std::string(rest); }

// A link that carries `parameters`.
inline std::string carrying(std::string_view parameters, std::string_view rest) {
  std::string carry;
  append_base64url(parameters, carry);
  return "https://proxy/at/" + carry + "/" + std::string(rest);
}

// A link of this kind with a note about its manifest.
inline std::string noted(std::string_view kind, std::string_view note, std::string_view rest) {
  std::string parameters = "sg_v=";
  append_base64url(note, parameters);
  return carrying(parameters.append("&sg_k=").append(kind), rest);
}

// The content of a Period, in a document with nothing else.
inline std::string mpd(std::string_view period, std::string_view before = "") {
  return "<MPD>" + std::string(before) + "<Period>" + std::string(period) + "</Period></MPD>";
}
inline std::string rewritten_period(std::string_view period, std::string_view before = "") {
  const std::string text = rewrite(mpd(period, before));
  const std::string begin =
      (before.empty() ? "<MPD>" + kBase : "<MPD>" + std::string(before)) + "<Period>";
  EXPECT_TRUE(text.starts_with(begin)) << text;
  EXPECT_TRUE(text.ends_with("</Period></MPD>")) << text;
  const size_t size = text.size() - begin.size() - std::string_view("</Period></MPD>").size();
  return text.substr(begin.size(), size);
}

}  // namespace streamgate
