// Answers the requests of the admin listener (admin.listen): /metrics, /ready and the state of the
// service. Everything comes from shared memory, so any worker can answer. No answer has CORS
// fields.
//
// One per worker.
#pragma once

#include <optional>
#include <string_view>

#include "common/config.h"
#include "common/scoreboard.h"
#include "common/service_survey.h"
#include "worker/admin/admin_access.h"
#include "worker/admin/admin_explain.h"
#include "worker/admin/admin_purge.h"
#include "worker/client/gate.h"
#include "worker/http/own_response.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class AdminPages {
 public:
  struct Environment {
    const Config& config;
    const ScoreboardView& scoreboard;
    Slot& slot;
    TimerWheel& wheel;
    AdminExplain::Environment explain;
    Cache* cache;  // null: off
  };

  explicit AdminPages(const Environment& environment);

  // Answers the request of this gate, before the call returns; POST /explain and /purge later.
  void answer(ClientGate& gate);

 private:
  void answer_allowed(ClientGate& gate, std::string_view path);
  void answer_ready(ClientGate& gate);
  void explain(ClientGate& gate);
  void purge(ClientGate& gate);
  void refuse(ClientGate& gate, const AdminRefusal& refusal);
  static void send_page(ClientGate& gate, const ServiceSurvey& state);
  static void send(ClientGate& gate, OwnResponse response);

  Environment environment_;
  AdminExplain explain_;
  std::optional<AdminPurge> purge_;  // none: there is no cache
};

}  // namespace streamgate
