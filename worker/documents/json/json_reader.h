// Reads a JSON text (RFC 8259) as it arrives. nlohmann's parser needs the whole text and reads it
// in one call: 1 MiB of it, with its links, took 50 ms, in which the worker served nobody else.
//
// Strict: no comments, no trailing commas, strings are UTF-8 without lone surrogates. A byte order
// mark before the text is skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace streamgate {

class JsonReader {
 public:
  // Each call returns false to end the reading.
  class Handler {
   public:
    virtual bool on_string(std::string_view text) = 0;  // without escapes
    virtual bool on_scalar(std::string_view text) = 0;  // a number, true, false or null, as written
    virtual bool on_name(std::string_view name) = 0;    // of a member; its value follows
    virtual bool on_open(char bracket) = 0;             // `{` or `[`
    virtual bool on_close(char bracket) = 0;

   protected:
    ~Handler() = default;
  };

  // `handler` outlives the reader. It limits the depth.
  explicit JsonReader(Handler& handler) : handler_(handler) {}

  // False if the text is not JSON or the handler has ended the reading. No other call may follow.
  bool read(std::string_view bytes);
  // The text is complete.
  bool finish();
  // Bytes.
  size_t memory() const { return text_.capacity() + levels_.capacity(); }

 private:
  enum class Expects : uint8_t { value, value_or_end, name, name_or_end, colon, comma_or_end, end };
  enum class Token : uint8_t { none, mark, string, escape, code_unit, scalar };

  bool begin_token(char c);
  bool begin_string();
  bool begin_scalar(char c);
  bool open(char bracket);
  bool close(char bracket);
  bool comma();
  size_t read_string(std::string_view bytes);
  bool end_string();
  bool end_scalar();
  bool take_mark(char c);
  bool take_escape(char c);
  bool take_hex(char c);
  bool end_code_unit();
  bool may_begin_value() const {
    return expects_ == Expects::value || expects_ == Expects::value_or_end;
  }
  void end_value() { expects_ = levels_.empty() ? Expects::end : Expects::comma_or_end; }

  Handler& handler_;
  Expects expects_ = Expects::value;
  Token token_ = Token::none;
  bool is_at_begin_ = true;
  bool is_name_ = false;     // the open string is a name
  std::string levels_;       // the open brackets
  std::string text_;         // of the open token
  unsigned digits_ = 0;      // of the open code unit, and of the mark
  uint32_t unit_ = 0;        // the open code unit
  uint32_t first_half_ = 0;  // of a surrogate pair; 0: none
};

}  // namespace streamgate
