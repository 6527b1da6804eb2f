#include "worker/admin/admin_explain.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/explain/explainer.h"
#include "worker/explain/report_text.h"
#include "worker/loop/request_note.h"

namespace streamgate {
namespace {

Error bad_form(std::string_view detail) {
  return Error::for_client(Reason::bad_request, std::string(detail));
}

Result<ExplainForm> parse_json(std::string_view body) {
  constexpr auto kNoCallback = nullptr;
  constexpr bool kThrows = false;
  const auto json = nlohmann::json::parse(body, kNoCallback, kThrows);
  if (!json.is_object()) return bad_form("the body is not a JSON object");
  ExplainForm form;
  if (const auto url = json.find("url"); url != json.end() && url->is_string()) {
    form.url = url->get<std::string>();
  }
  if (const auto headers = json.find("headers"); headers != json.end()) {
    if (!headers->is_object()) return bad_form("headers is not a JSON object");
    for (const auto& [name, value] : headers->items()) {
      if (!value.is_string()) return bad_form("the value of a header is not a string");
      form.headers.emplace_back(name, value.get<std::string>());
    }
  }
  return form;
}

// application/x-www-form-urlencoded: a plus is a blank.
std::string decode(std::string_view text) {
  std::string encoded(text);
  std::replace(encoded.begin(), encoded.end(), '+', ' ');
  return percent_decode(encoded);
}

ExplainForm parse_pairs(std::string_view body) {
  ExplainForm form;
  while (!body.empty()) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(pair.size() + 1, body.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string name = decode(pair.substr(0, equals));
    const std::string value = decode(pair.substr(std::min(equals + 1, pair.size())));
    if (name == "url") form.url = value;
    if (name == "referer" && !value.empty()) form.headers.emplace_back("Referer", value);
    if (name.starts_with("h_")) form.headers.emplace_back(name.substr(2), value);
  }
  return form;
}

}  // namespace

Result<ExplainForm> parse_explain_form(std::string_view content_type, std::string_view body) {
  const std::string_view type = ascii::trim(content_type.substr(0, content_type.find(';')));
  Result<ExplainForm> form = parse_pairs(body);
  if (ascii::iequals(type, "application/json")) form = parse_json(body);
  if (form && form->url.empty()) return bad_form("the body has no url");
  return form;
}

// One explanation. Ends when it has answered, or when the client has left.
class AdminExplain::Job final : public Retirable,
                                private Explainer::Observer,
                                private ClientStream::Observer {
 public:
  Job(AdminExplain& owner, ClientGate& gate, ExplainRequest request)
      : owner_(owner),
        gate_(gate),
        note_(gate.stream().client_text(), gate.stream().id().text(), "POST"),
        explainer_(owner.environment_.fetches, owner.environment_.config, std::move(request),
                   static_cast<Explainer::Observer&>(*this)) {
    note_.set_target("/explain");
    gate_.stream().set_observer(*this);
  }

  void start() {
    const RequestScope scope(&note_);
    explainer_.start();
  }

 private:
  void on_explained(const Report& report) override {
    end();
    owner_.send_json(gate_, report);
  }

  void on_client_drained() override {}

  void on_client_gone(Reason /*reason*/) override {
    const RequestScope scope(&note_);
    explainer_.stop();
    end();
  }

  void end() {
    owner_.release();
    owner_.environment_.reaper.retire(std::move(owner_.job_));
  }

  AdminExplain& owner_;
  ClientGate& gate_;
  RequestNote note_;  // the fetch refers to it
  Explainer explainer_;
};

AdminExplain::AdminExplain(const Environment& environment, Send send)
    : environment_(environment), send_(send) {}

AdminExplain::~AdminExplain() = default;

bool AdminExplain::start(ClientGate& gate, const ExplainForm& form) {
  auto request = parse_explained(form.url, form.headers, environment_.config.public_url);
  if (!request) {
    send_json(gate, report_on_refused(form.url, request.error()));
    return true;
  }
  if (!claim()) return false;
  job_ = std::make_unique<Job>(*this, gate, ExplainRequest{*std::move(request)});
  job_->start();
  return true;
}

// Of two workers that claim at the same moment each sees the other's mark, and neither explains.
// The master clears the mark of a worker that dies.
bool AdminExplain::claim() {
  if (job_) return false;
  environment_.slot.explains_now.store(1);
  const ScoreboardView& scoreboard = environment_.scoreboard;
  for (size_t i = 0; i < scoreboard.slot_count(); ++i) {
    if (!scoreboard.is_live(i)) continue;
    const Slot& slot = scoreboard.columns[i].slot;
    if (&slot == &environment_.slot || slot.explains_now.load() == 0) continue;
    release();
    return false;
  }
  return true;
}

void AdminExplain::release() { environment_.slot.explains_now.store(0); }

void AdminExplain::send_json(ClientGate& gate, const Report& report) const {
  const std::string body = report_as_json(report);
  OwnResponse response;
  response.content_type = "application/json";
  response.body = body;
  send_(gate, response);
}

}  // namespace streamgate
