// Compares the rewriter, for every playlist of a corpus, with a slow and plain second
// implementation of the same rules, with the URI counts of the corpus' index, and with the expected
// text where the corpus has one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/url.h"
#include "tests/unit/corpus_index.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/http/base64.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

using testing_corpus::Row;

const std::string kBase = "https://origin.example/vod/title/main.m3u8?auth=a/b";
const std::string kOwn = "http://localhost:8080/stream?url=";

struct Outcome {
  std::string text;
  int rewritten = 0;
  std::vector<std::pair<std::string, std::string>> variables;
  bool is_media = false;
  bool has_images = false;
  bool has_map = false;
  std::string referer;  // of #EXTVLCOPT, for the next URI line
  std::string agent;
  std::string own;  // parameters of the next URI line
};

enum class Use { other, segment, map };

// The extension at the end of the link to a segment that FFmpeg would not accept by its own; empty
// if the use needs none.
std::string forced_extension(const std::string& extension, Use use, const Outcome& outcome) {
  if (use == Use::other || !outcome.is_media || outcome.has_images) return "";
  const std::string accepted =
      ",3gp,aac,avi,ac3,eac3,flac,mkv,m3u8,m4a,m4s,m4v,mpg,mov,mp2,mp3,mp4,mpeg,mpegts,ogg,ogv,oga,"
      "ts,vob,vtt,wav,webvtt,cmfv,cmfa,ec3,fmp4,html,";
  const bool is_accepted =
      extension.size() > 1 && accepted.find("," + extension.substr(1) + ",") != accepted.npos;
  if (is_accepted) return "";
  return use == Use::map || outcome.has_map ? ".mp4" : ".ts";
}

std::string joined(const std::vector<std::string>& parts, size_t from) {
  std::string out;
  for (size_t i = from; i < parts.size(); ++i) out += parts[i];
  return out;
}

// Replaces a host that the corpora have. True if it is there.
bool take_text(const std::string& from, const std::string& to, std::string& url) {
  const size_t at = url.find("//" + from);
  if (at == url.npos) return false;
  url.replace(at + 2, from.size(), to);
  return true;
}

std::string substituted(const std::string& text, const Outcome& outcome) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t taken = 0;
    for (const auto& [name, value] : outcome.variables) {
      const std::string reference = "{$" + name + "}";
      if (taken > 0 || text.compare(at, reference.size(), reference) != 0) continue;
      out += value;
      taken = reference.size();
    }
    if (taken == 0) out += text[at];
    at += std::max(taken, size_t{1});
  }
  return out;
}

void define(const std::string& name, const std::string& value, Outcome& outcome) {
  const std::string allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  if (name.empty() || name.find_first_not_of(allowed) != name.npos) return;
  for (const auto& [known, _] : outcome.variables) {
    if (known == name) return;
  }
  outcome.variables.emplace_back(name, value);
}

std::string variables_parameter(const Outcome& outcome) {
  std::string list;
  for (const auto& [name, value] : outcome.variables) list += name + "=\"" + value + "\",";
  if (list.empty()) return "";
  std::string text = "&sg_v=";
  append_base64url(list, text);
  return text;
}

// The child URL, or `written` itself if it stays. `own` are parameters for this child alone.
std::string child_of(const std::string& written, Outcome& outcome, Use use = Use::other,
                     const std::string& own = "") {
  const std::string reference = substituted(written, outcome);
  if (reference.empty()) return written;
  const UriParts parts = split_uri(reference);
  std::string scheme(parts.scheme);
  for (char& c : scheme) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (parts.has_scheme && scheme != "http" && scheme != "https") return written;
  std::string absolute;
  std::string slashed = reference;  // browsers take a backslash in front of the query for a slash
  for (size_t i = 0; i < slashed.size() && slashed[i] != '?' && slashed[i] != '#'; ++i) {
    if (slashed[i] == '\\') slashed[i] = '/';
  }
  const size_t rest_at = parts.has_scheme ? parts.scheme.size() + 1 : 0;
  const size_t path_at = std::min(slashed.find_first_not_of('/', rest_at), slashed.size());
  if (path_at - rest_at >= 2 ||
      (parts.has_scheme && scheme != "https" && path_at < slashed.size())) {
    slashed = slashed.substr(0, rest_at) + "//" + slashed.substr(path_at);
  } else if (parts.has_scheme) {
    slashed = slashed.substr(rest_at);
  }
  resolve_reference(split_uri(kBase), slashed, absolute);
  const bool has_userinfo = take_text("u:p@", "", absolute);
  take_text("m%C3%BCnchen.example", "xn--mnchen-3ya.example", absolute);
  const UriParts target = split_uri(absolute);
  if (target.authority.empty()) return written;
  ++outcome.rewritten;
  std::string url = kOwn;
  percent_encode(absolute, url);
  if (has_userinfo) url += "&h_Authorization=Basic%20dTpw";
  if (use == Use::segment && !outcome.referer.empty()) {
    percent_encode(outcome.referer, url.append("&referer="));
  }
  if (use == Use::segment && !outcome.agent.empty()) {
    percent_encode(outcome.agent, url.append("&h_User-Agent="));
  }
  url += own;
  const std::string path(target.path);
  const size_t dot = path.rfind('.');
  const bool has_extension = dot != path.npos && path.find('/', dot) == path.npos;
  const std::string extension = has_extension ? path.substr(dot) : "";
  const std::string forced = forced_extension(extension, use, outcome);
  if (!forced.empty()) return url + "&sg_ext=" + forced;
  for (const char* known : {".ts", ".m3u8", ".m3u", ".mp4", ".m4s", ".m4a", ".m4v", ".aac", ".vtt",
                            ".webvtt", ".jpg", ".png", ".mp3", ".m2ts", ".mpg", ".cmfv", ".cmfa"}) {
    const bool ends = url.size() >= extension.size() &&
                      url.compare(url.size() - extension.size(), extension.size(), extension) == 0;
    if (extension == known && !ends) return url + "&sg_ext=" + extension;
  }
  return url;
}

// Cuts an attribute list into alternating pieces: text, then name, then text up to and with the
// opening quote, then value. Every fourth piece is a value.
std::vector<std::string> pieces_of(const std::string& list) {
  std::vector<std::string> pieces;
  std::string between;
  size_t at = 0;
  while (at < list.size()) {
    std::string name;
    while (at < list.size() && list[at] != '=' && list[at] != ',') name += list[at++];
    if (at == list.size() || list[at] == ',') {
      between += name;
      if (at < list.size()) between += list[at++];
      continue;
    }
    while (!name.empty() && (name[0] == ' ' || name[0] == '\t')) {
      between += name[0];
      name.erase(0, 1);
    }
    std::string opening(1, list[at++]);
    size_t name_end = name.find_last_not_of(" \t") + 1;
    opening = name.substr(name_end) + opening;
    name.resize(name_end);
    while (at < list.size() && (list[at] == ' ' || list[at] == '\t')) opening += list[at++];
    std::string value;
    size_t after = at;
    if (at < list.size() && list[at] == '"') {
      after = list.find('"', at + 1);
      opening += '"';
      value = list.substr(at + 1, after == list.npos ? after : after - at - 1);
      if (after == list.npos) {
        value.resize(value.find_last_not_of(" \t") + 1);
        after = at + 1 + value.size();
      }
    } else {
      while (after < list.size() && list[after] != ',') value += list[after++];
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.pop_back();
        --after;
      }
      while (value.size() + at < after) --after;
    }
    pieces.insert(pieces.end(), {between, name, opening, value});
    between.clear();
    at = after;
  }
  pieces.push_back(between + list.substr(std::min(at, list.size())));
  return pieces;
}

std::string value_of(const std::vector<std::string>& pieces, const std::string& name) {
  for (size_t i = 0; i + 3 < pieces.size(); i += 4) {
    if (pieces[i + 1] == name) return pieces[i + 3];
  }
  return "";
}

bool is_uri_of(const std::string& tag, const std::string& name,
               const std::vector<std::string>& pieces) {
  const bool is_suffix = name.size() > 4 && name.compare(name.size() - 4, 4, "-URI") == 0;
  if (tag == "#EXT-X-KEY" || tag == "#EXT-X-SESSION-KEY") {
    const std::string format = value_of(pieces, "KEYFORMAT");
    const std::string method = value_of(pieces, "METHOD");
    return name == "URI" && method != "NONE" &&
           (format.empty() || format == "identity" || method.rfind("AES-", 0) == 0);
  }
  if (tag == "#EXT-X-DATERANGE") {
    const std::string kind = value_of(pieces, "CLASS");
    const bool is_schedule = kind == "com.apple.hls.daterange-schedule";
    if (name == "X-URI") return kind.empty() || kind == "com.apple.hls.preload" || is_schedule;
    return name == "X-ASSET-URI" || name == "X-ASSET-LIST";
  }
  if (tag == "#EXT-X-CONTENT-STEERING") return name == "SERVER-URI";
  for (const char* known : {"#EXT-X-MAP", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-MEDIA",
                            "#EXT-X-RENDITION-REPORT", "#EXT-X-I-FRAME-STREAM-INF",
                            "#EXT-X-IMAGE-STREAM-INF", "#EXT-X-SESSION-DATA"}) {
    if (tag == known) return name == "URI";
  }
  for (const char* other :
       {"#EXTM3U", "#EXTINF", "#EXT-X-DEFINE", "#EXT-X-ASSET", "#EXT-X-CUE", "#EXT-OATCLS-SCTE35",
        "#EXT-X-SCTE35", "#EXT-X-CUE-OUT", "#EXT-X-CUE-OUT-CONT", "#EXT-X-CUE-IN"}) {
    if (tag == other) return false;
  }
  return (name == "URI" || is_suffix) && tag.find(' ') == tag.npos;
}

// The parameters of the child in the attribute `name`.
std::string own_of(const std::string& tag, const std::string& name,
                   const std::vector<std::string>& pieces, const Outcome& outcome) {
  if (name == "X-ASSET-LIST") return "&sg_k=assets";
  if (tag == "#EXT-X-DATERANGE") {
    const std::string uri = value_of(pieces, name);
    const std::string path = uri.substr(0, uri.find_first_of("?#"));
    for (const char* known : {".m3u", ".mpd", ".mp4", ".ts", ".jpg", ".png", ".mp3", ".aac"}) {
      if (path.find(known) != path.npos) return "";
    }
    return "&sg_k=assets";
  }
  if (tag == "#EXT-X-CONTENT-STEERING") return "&sg_k=steering";
  if (tag == "#EXT-X-SESSION-DATA" && value_of(pieces, "DATA-ID") == "com.apple.hls.chapters") {
    return value_of(pieces, "FORMAT") == "RAW" ? "" : "&sg_k=chapters";
  }
  const bool is_playlist = tag == "#EXT-X-MEDIA" || tag == "#EXT-X-I-FRAME-STREAM-INF" ||
                           tag == "#EXT-X-IMAGE-STREAM-INF";
  return is_playlist ? variables_parameter(outcome) : "";
}

// A definition, with the text that the player gets.
std::string definition_of(std::vector<std::string> pieces, Outcome& outcome) {
  std::string value;
  for (size_t i = 0; i + 3 < pieces.size(); i += 4) {
    if (pieces[i + 1] == "IMPORT") return joined(pieces, 0);
    if (pieces[i + 1] != "QUERYPARAM") continue;
    const std::string name = pieces[i + 3];
    const std::string query = kBase.substr(kBase.find('?') + 1);
    if (query.compare(0, name.size() + 1, name + "=") == 0) value = query.substr(name.size() + 1);
    define(name, value, outcome);
    pieces[i + 1] = "NAME";
    pieces[i + 2] = "=\"";
    pieces[i + 3] = name + "\",VALUE=\"" + value;
    return joined(pieces, 0);
  }
  define(value_of(pieces, "NAME"), substituted(value_of(pieces, "VALUE"), outcome), outcome);
  return joined(pieces, 0);
}

std::string tag_of(const std::string& line, Outcome& outcome) {
  const size_t colon = line.find(':');
  if (line == "#EXT-X-IMAGES-ONLY") outcome.has_images = true;
  if (colon == line.npos) return line;
  const std::string tag = line.substr(0, colon);
  const std::string list = line.substr(colon + 1);
  if (tag == "#EXT-X-PREFETCH" || tag == "#EXT-X-TWITCH-PREFETCH") {
    return tag + ":" + child_of(list, outcome, Use::segment);
  }
  if (tag == "#EXT-X-TARGETDURATION" || tag == "#EXT-X-MEDIA-SEQUENCE") outcome.is_media = true;
  if (tag == "#EXT-X-MAP") outcome.has_map = true;
  std::vector<std::string> pieces = pieces_of(list);
  if (tag == "#EXT-X-DEFINE") return tag + ":" + definition_of(pieces, outcome);
  if (tag == "#EXT-X-STREAM-INF") outcome.own = variables_parameter(outcome);
  Use use = Use::other;
  if (tag == "#EXT-X-MAP") use = Use::map;
  if (tag == "#EXT-X-PART" || tag == "#EXT-X-PRELOAD-HINT") use = Use::segment;
  if (tag == "#EXT-X-PRELOAD-HINT" && value_of(pieces, "TYPE") == "MAP") use = Use::map;
  if (tag == "#EXT-X-PRELOAD-HINT" && value_of(pieces, "TYPE") == "KEY") use = Use::other;
  for (size_t i = 0; i + 3 < pieces.size(); i += 4) {
    const std::string& name = pieces[i + 1];
    if (!is_uri_of(tag, name, pieces)) continue;
    pieces[i + 3] = child_of(pieces[i + 3], outcome, use, own_of(tag, name, pieces, outcome));
  }
  return tag + ":" + joined(pieces, 0);
}

// Takes `|User-Agent=..&Referer=..` off a URI line.
std::string without_suffix(const std::string& line, Outcome& outcome) {
  const size_t bar = line.find('|');
  if (bar == line.npos || line.find('=', bar) == line.npos) return line;
  for (size_t at = bar; at != line.npos; at = line.find('&', at + 1)) {
    const size_t equals = line.find('=', at);
    if (equals == line.npos) break;
    const std::string value = line.substr(equals + 1, line.find('&', equals) - equals - 1);
    const char first = line[at + 1];
    if (first == 'u' || first == 'U') outcome.agent = percent_decode(value);
    if (first == 'r' || first == 'R') outcome.referer = percent_decode(value);
  }
  return line.substr(0, bar);
}

Outcome rewrite_plainly(std::string text) {
  Outcome outcome;
  if (text.compare(0, 3, "\xEF\xBB\xBF") == 0) text.erase(0, 3);
  size_t at = 0;
  while (at < text.size()) {
    std::string line;
    std::string line_end;
    while (at < text.size() && text[at] != '\n' && text[at] != '\r') line += text[at++];
    if (at < text.size()) line_end = text[at++];
    if (line_end == "\r" && at < text.size() && text[at] == '\n') line_end += text[at++];
    const size_t first = line.find_first_not_of(" \t");
    const size_t size = first == line.npos ? 0 : line.find_last_not_of(" \t") + 1 - first;
    const std::string body = size == 0 ? "" : line.substr(first, size);
    const std::string referer = "#EXTVLCOPT:http-referrer=";
    const std::string agent = "#EXTVLCOPT:http-user-agent=";
    if (body.compare(0, referer.size(), referer) == 0)
      outcome.referer = body.substr(referer.size());
    if (body.compare(0, agent.size(), agent) == 0) {
      outcome.agent = body.substr(agent.size());
      if (outcome.agent[0] == '"')
        outcome.agent = outcome.agent.substr(1, outcome.agent.size() - 2);
    }
    if (!body.empty() && body[0] != '#') {
      const std::string url = without_suffix(body, outcome);
      line.replace(first, size, child_of(url, outcome, Use::segment, outcome.own));
      outcome.own.clear();
      outcome.referer.clear();
      outcome.agent.clear();
    } else if (body.compare(0, 4, "#EXT") == 0) {
      line.replace(first, size, tag_of(body, outcome));
    }
    outcome.text += line + line_end;
  }
  return outcome;
}

std::string rewrite_in_pieces(const std::string& text, size_t piece) {
  DocumentSetting context;
  context.base_url = kBase;
  context.proxy_origin = "http://localhost:8080";
  context.route_path = "/stream";
  BlockBuffer out;
  PlaylistRewriter rewriter;
  rewriter.begin(context);
  for (size_t at = 0; at < text.size(); at += piece) {
    rewriter.write(std::string_view(text).substr(at, piece), out, SIZE_MAX);
  }
  rewriter.finish(out);
  return std::string(out.text());
}

int count(const Row& row, const std::string& column) { return std::stoi(row.at(column)); }

void check_playlists(const std::string& corpus) {
  const std::vector<Row> rows = testing_corpus::read_index(corpus, "playlists");
  for (const Row& row : rows) {
    SCOPED_TRACE(row.at("path"));
    const std::string& text = row.at("bytes");
    // The sniffer hands no other document to the rewriter.
    if (text.find("#EXTM3U") == text.npos) continue;
    const Outcome plain = rewrite_plainly(text);
    for (const size_t piece : {text.size() + 1, size_t{1}, size_t{13}, size_t{1460}}) {
      ASSERT_EQ(rewrite_in_pieces(text, piece), plain.text) << "in pieces of " << piece;
    }
    const int required = count(row, "uris_must") + count(row, "uris_should");
    EXPECT_GE(plain.rewritten, required);
    EXPECT_LE(plain.rewritten, required + count(row, "uris_opt"));
    if (const std::string expected = testing_corpus::cell(row, "rewritten"); !expected.empty()) {
      EXPECT_EQ(plain.text, testing_corpus::read_file(corpus + "/playlists/" + expected));
    }
  }
  EXPECT_GT(rows.size(), 0U);
}

TEST(PlaylistCorpus, OwnPlaylistsMatchTheIndexAndThePlainImplementation) {
  check_playlists(testing_corpus::kOwnCorpus);
}

TEST(PlaylistCorpus, ExternalPlaylistsMatchTheIndexAndThePlainImplementation) {
  const std::string corpus = testing_corpus::external_corpus();
  if (corpus.empty()) GTEST_SKIP() << testing_corpus::kNoExternalCorpus;
  check_playlists(corpus);
}

}  // namespace
}  // namespace streamgate
