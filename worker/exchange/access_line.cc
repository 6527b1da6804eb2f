#include "worker/exchange/access_line.h"

#include <charconv>
#include <utility>

#include "common/json_string.h"
#include "common/log.h"
#include "worker/http/head_writer.h"
#include "worker/links/logged_link.h"

namespace streamgate {
namespace {

// The most bytes of a value in a line, with its quotes and escapes. All of them together, the names
// and the numbers are less than PIPE_BUF.
constexpr size_t kMaxUrlBytes = 1024;
constexpr size_t kMaxTextBytes = 480;

constexpr size_t kDefaultFields = static_cast<size_t>(AccessField::detail) + 1;

// The name of a field with the characters before its value. A macro, because the two forms are
// literals made of the same word, whose size the compiler knows.
#define KEY(name) std::string_view(Fields::kIsJson ? ",\"" #name "\":" : " " #name "=")

void append_number(int64_t value, TextBuffer& line) {
  constexpr size_t kMaxDigits = 20;
  char* const digits = line.room(kMaxDigits);
  if (value >= 0 && value < 10) {  // half of all numbers
    *digits = static_cast<char>('0' + value);
    return line.advance_to(digits + 1);
  }
  line.advance_to(std::to_chars(digits, digits + kMaxDigits, value).ptr);
}

// A User-Agent is a text that may have a URL in it.
void append_redacted_agent(std::string_view agent, std::string& out) {
  if (agent.find("://") == agent.npos) {
    out += agent;
  } else {
    log::append_redacted(agent, out);
  }
}

// A field of the client's request for which the access log has a field.
struct LoggedField {
  std::string_view name;
  void (*append)(std::string_view value, std::string& out);  // without secrets
};
constexpr LoggedField kUserAgent = {"User-Agent", append_redacted_agent};
constexpr LoggedField kReferer = {"Referer", append_logged_url};

std::string_view protocol_of(const RequestHead& head) {
  return head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

// The fields as ` name=value`. The functions are inlined, so that the size of a key is a constant
// and its copy two or three instructions.
class TextFields {
 public:
  static constexpr bool kIsJson = false;

  TextFields(TextBuffer& line, std::string& escaped) : line_(line), escaped_(escaped) {}

  // A word that needs no quotes.
  [[gnu::always_inline]] void word(std::string_view key, std::string_view value) {
    line_.append_row(key, value);
  }
  [[gnu::always_inline]] void text(std::string_view key, std::string_view value, size_t most) {
    line_.append(key);
    append_text(value, most);
  }
  [[gnu::always_inline]] void number(std::string_view key, int64_t value) {
    line_.append(key);
    append_number(value, line_);
  }
  [[gnu::always_inline]] void flag(std::string_view key, bool value) {
    line_.append_row(key, value ? kOne : kZero);
  }

 private:
  void append_text(std::string_view value, size_t most) {
    if (value.size() <= most && !log::needs_quotes(value)) return line_.append(value);
    escaped_.clear();
    log::append_quoted(value, most, escaped_);
    line_.append(escaped_);
  }

  static constexpr std::string_view kOne = "1";
  static constexpr std::string_view kZero = "0";

  TextBuffer& line_;
  std::string& escaped_;
};

// The fields as `,"name":value`.
class JsonFields {
 public:
  static constexpr bool kIsJson = true;

  JsonFields(TextBuffer& line, std::string& escaped) : line_(line), escaped_(escaped) {}

  void word(std::string_view key, std::string_view value) {
    line_.append_row(key, kQuote, value, kQuote);
  }
  void text(std::string_view key, std::string_view value, size_t most) {
    line_.append(key);
    escaped_.clear();
    append_json_string(value, most, escaped_);
    line_.append(escaped_);
  }
  void number(std::string_view key, int64_t value) {
    line_.append(key);
    append_number(value, line_);
  }
  void flag(std::string_view key, bool value) { line_.append_row(key, value ? kTrue : kFalse); }

 private:
  static constexpr std::string_view kQuote = "\"";
  static constexpr std::string_view kTrue = "true";
  static constexpr std::string_view kFalse = "false";

  TextBuffer& line_;
  std::string& escaped_;
};

// Writes the value of a field in either format, or nothing if the field has no value.
template <class Fields>
class FieldWriter {
 public:
  FieldWriter(const AccessRecord& record, const AccessLine::Origin& origin, std::string& redacted,
              Fields out)
      : record_(record), origin_(origin), redacted_(redacted), out_(out) {}

  // Inlined, so that only one case is left where `field` is a constant, see write_default().
  [[gnu::always_inline]] void write(AccessField field) {
    switch (field) {
      case AccessField::id:
        return out_.word(KEY(id), record_.id);
      case AccessField::client:
        return out_.text(KEY(client), record_.client, kMaxTextBytes);
      case AccessField::method:
        return out_.word(KEY(method), record_.method);
      case AccessField::route:
        return out_.text(KEY(route), record_.route, kMaxTextBytes);
      case AccessField::status:
        return out_.number(KEY(status), record_.status);
      case AccessField::reason:
        return out_.word(KEY(reason), record_.reason);
      case AccessField::bytes:
        return out_.number(KEY(bytes), static_cast<int64_t>(record_.body_bytes));
      case AccessField::ms:
        return out_.number(KEY(ms), record_.duration_ms);
      case AccessField::detail:
        if (record_.detail.empty()) return;
        return write_redacted(KEY(detail), record_.detail, kMaxTextBytes);
      case AccessField::worker:
        return out_.number(KEY(worker), origin_.worker);
      case AccessField::generation:
        return out_.number(KEY(generation), static_cast<int64_t>(origin_.generation));
      case AccessField::user_agent:
      case AccessField::referer:
      case AccessField::protocol:
        if (record_.head != nullptr) write_of_head(field, *record_.head);
        return;
      default:
        if (!record_.upstream.empty() || !record_.redacted_upstream.empty()) write_upstream(field);
    }
  }

  // The default fields in their order, in 1,430 instructions. The loop over chosen fields needs
  // 2,120.
  void write_default() { write_each(std::make_index_sequence<kDefaultFields>()); }

 private:
  template <size_t... I>
  void write_each(std::index_sequence<I...> /*fields*/) {
    (write(static_cast<AccessField>(I)), ...);
  }

  void write_redacted(std::string_view key, std::string_view value, size_t most) {
    redacted_.clear();
    log::append_redacted(value, redacted_);
    out_.text(key, redacted_, most);
  }

  void write_of_head(AccessField field, const RequestHead& head) {
    if (field == AccessField::protocol) {
      return out_.word(KEY(protocol), protocol_of(head));
    }
    const bool is_agent = field == AccessField::user_agent;
    const LoggedField& logged = is_agent ? kUserAgent : kReferer;
    const auto value = find_field(head.fields, logged.name);
    if (!value) return;
    redacted_.clear();
    logged.append(*value, redacted_);
    out_.text(is_agent ? KEY(user_agent) : KEY(referer), redacted_, kMaxTextBytes);
  }

  [[gnu::always_inline]] void write_upstream(AccessField field) {
    switch (field) {
      case AccessField::upstream:
        if (record_.redacted_upstream.empty()) {
          return write_redacted(KEY(upstream), record_.upstream, kMaxUrlBytes);
        }
        return out_.text(KEY(upstream), record_.redacted_upstream, kMaxUrlBytes);
      case AccessField::upstream_status:
        return out_.number(KEY(upstream_status), record_.upstream_status);
      case AccessField::attempts:
        return out_.number(KEY(attempts), record_.attempts);
      case AccessField::reused:
        return out_.flag(KEY(reused), record_.reused_connection);
      case AccessField::playlist:
        return out_.flag(KEY(playlist), record_.playlist);
      case AccessField::resumed:
        if (record_.resumed > 0) out_.number(KEY(resumed), record_.resumed);
        return;
      case AccessField::discontinuities:
        if (record_.discontinuities > 0) out_.number(KEY(discontinuities), record_.discontinuities);
        return;
      case AccessField::cache:
        if (!record_.cache_outcome.empty()) out_.word(KEY(cache), record_.cache_outcome);
        return;
      case AccessField::first_byte_ms:
        if (record_.first_byte_ms) out_.number(KEY(first_byte_ms), *record_.first_byte_ms);
        return;
      case AccessField::upstream_host:
        return out_.text(KEY(upstream_host), record_.upstream_host, kMaxTextBytes);
      default:
        return;
    }
  }

  const AccessRecord& record_;
  const AccessLine::Origin& origin_;
  std::string& redacted_;
  Fields out_;
};

#undef KEY

// `192.0.2.1:4711`, `[2001:db8::1]:4711` or either address without a port, as the address alone.
std::string_view host_of(std::string_view client) {
  if (client.starts_with('[')) return client.substr(1, client.find(']') - 1);
  const size_t colon = client.find(':');
  const bool has_port = colon != client.npos && client.find(':', colon + 1) == client.npos;
  return has_port ? client.substr(0, colon) : client;
}

// As nginx escapes: quotes, backslashes and bytes that are not printable ASCII as `\xHH`. A blank
// too, because it separates the parts of a request line.
enum class Blanks { kept, escaped };
void append_escaped(std::string_view value, Blanks blanks, size_t most, TextBuffer& line) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr std::string_view kCut = "...";
  for (size_t used = 0; const char c : value) {
    const bool is_plain = c > ' ' && c < 0x7f && c != '"' && c != '\\';
    const bool is_kept = is_plain || (c == ' ' && blanks == Blanks::kept);
    used += is_kept ? 1 : 4;
    if (used + kCut.size() > most) return line.append(kCut);
    char* at = line.room(4);
    if (is_kept) {
      *at++ = c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      *at++ = '\\';
      *at++ = 'x';
      *at++ = kHex[byte >> 4];
      *at++ = kHex[byte & 15];
    }
    line.advance_to(at);
  }
}

// `27/Nov/2026:03:48:13 +0000`, from `Fri, 27 Nov 2026 03:48:13 GMT`.
void append_combined_time(TextBuffer& line) {
  constexpr std::string_view kSlash = "/";
  constexpr std::string_view kColon = ":";
  constexpr std::string_view kZone = " +0000";
  const std::string_view date = http_date();
  line.append_row(date.substr(5, 2), kSlash, date.substr(8, 3), kSlash, date.substr(12, 4), kColon,
                  date.substr(17, 8), kZone);
}

}  // namespace

AccessLine::AccessLine(const LogConfig& config, Origin origin)
    : config_(config),
      origin_(origin),
      has_default_fields_(config.fields == default_access_fields()) {}

std::string_view AccessLine::write(const AccessRecord& record) {
  line_.clear();
  if (config_.format == LogFormat::combined) {
    write_combined(record);
  } else if (config_.format == LogFormat::json) {
    line_.append("{\"time\":\"");
    line_.append(log::time_text());
    line_.append("\",\"level\":\"");
    line_.append(log::name_of(record.level));
    line_.append("\",\"event\":\"access\"");
    FieldWriter fields(record, origin_, redacted_, JsonFields(line_, escaped_));
    for (const AccessField field : config_.fields) fields.write(field);
    line_.append("}");
  } else {
    line_.append(log::time_text());
    line_.append(" access");
    FieldWriter fields(record, origin_, redacted_, TextFields(line_, escaped_));
    if (has_default_fields_) {
      fields.write_default();
    } else {
      for (const AccessField field : config_.fields) fields.write(field);
    }
  }
  line_.append("\n");
  return line_.text();
}

// `%h - - [%t] "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`. The request line has the redacted URL
// of the upstream in place of the query. A client that left before an answer has 499, as with
// nginx.
void AccessLine::write_combined(const AccessRecord& record) {
  constexpr int kClientClosedRequest = 499;
  line_.append(host_of(record.client));
  line_.append(" - - [");
  append_combined_time(line_);
  line_.append("] \"");
  append_request_line(record);
  line_.append("\" ");
  append_number(record.status == 0 ? kClientClosedRequest : record.status, line_);
  line_.append(" ");
  append_number(static_cast<int64_t>(record.body_bytes), line_);
  for (const LoggedField& logged : {kReferer, kUserAgent}) {
    redacted_.clear();
    if (record.head != nullptr) {
      logged.append(field_or_empty(record.head->fields, logged.name), redacted_);
    }
    line_.append(" \"");
    append_escaped(redacted_.empty() ? "-" : redacted_, Blanks::kept, kMaxTextBytes, line_);
    line_.append("\"");
  }
}

void AccessLine::append_request_line(const AccessRecord& record) {
  if (record.head == nullptr) return line_.append("-");
  line_.append(record.method);
  line_.append(" ");
  append_escaped(record.route, Blanks::escaped, kMaxTextBytes, line_);
  redacted_ = record.redacted_upstream;
  if (redacted_.empty()) log::append_redacted(record.upstream, redacted_);
  if (!redacted_.empty()) line_.append("?url=");
  append_escaped(redacted_, Blanks::escaped, kMaxUrlBytes, line_);
  line_.append(" ");
  line_.append(protocol_of(*record.head));
}

}  // namespace streamgate
