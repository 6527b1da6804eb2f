// Inflates a gzip or deflate body (RFC 1950 to 1952). `deflate` may be zlib-wrapped or raw: servers
// send both.
#pragma once

#include <memory>
#include <string_view>

#include "worker/http/decoder.h"

namespace streamgate {

class Inflater final : public Decoder {
 public:
  explicit Inflater(ContentCoding coding);  // gzip or deflate
  ~Inflater() override;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Result<std::string_view> next(std::string_view& bytes) override;
  bool may_have_more() const override;
  Result<void> finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
