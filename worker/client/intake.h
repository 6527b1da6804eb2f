// The memory that a client connection needs from the first byte of a request to the end of its
// answer: the bytes and the parser. A gate borrows it from a store, so that a request costs no
// allocation and an idle client holds no such memory.
//
// One store per worker.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/client/exchange_id.h"
#include "worker/http/request_head_parser.h"

namespace streamgate {

struct ClientIntake {
  ClientIntake(const LimitsConfig& limits, RequestHeadParser::Bodies bodies)
      : parser(limits, bodies) {}

  std::string input;       // received and not yet part of a request
  std::string head_bytes;  // of the request being served; its head's views point in here
  RequestHeadParser parser;
  ExchangeId id;  // of that request
};

class ClientIntakes {
 public:
  explicit ClientIntakes(const LimitsConfig& limits,
                         RequestHeadParser::Bodies bodies = RequestHeadParser::Bodies::refused)
      : limits_(limits), bodies_(bodies) {}

  std::unique_ptr<ClientIntake> borrow() {
    if (spare_.empty()) return std::make_unique<ClientIntake>(limits_, bodies_);
    std::unique_ptr<ClientIntake> intake = std::move(spare_.back());
    spare_.pop_back();
    return intake;
  }

  // Ends the validity of views into its bytes and its head.
  void give_back(std::unique_ptr<ClientIntake> intake) {
    const size_t held = intake->input.capacity() + intake->head_bytes.capacity();
    if (spare_.size() == kMaxSpare || held > kMaxSpareBytes) return;
    intake->input.clear();
    intake->head_bytes.clear();
    intake->parser.reset();
    spare_.push_back(std::move(intake));
  }

 private:
  static constexpr size_t kMaxSpare = 64;
  static constexpr size_t kMaxSpareBytes = size_t{8} * 1024;  // of one intake

  const LimitsConfig& limits_;
  const RequestHeadParser::Bodies bodies_;
  std::vector<std::unique_ptr<ClientIntake>> spare_;
};

}  // namespace streamgate
