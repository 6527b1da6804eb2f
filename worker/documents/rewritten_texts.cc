#include "worker/documents/rewritten_texts.h"

#include <functional>
#include <utility>

#include "common/check.h"

namespace streamgate {

size_t RewrittenTexts::slot_of(const std::string& base_url) {
  return std::hash<std::string>()(base_url) % std::tuple_size_v<Slots>;
}

std::shared_ptr<const RewrittenText> RewrittenTexts::find(DocumentKind kind,
                                                          const DocumentSetting& setting) const {
  const auto& text = slots_[slot_of(setting.base_url)];
  const bool fits = text != nullptr && text->kind == kind && text->setting == setting;
  return fits ? text : nullptr;
}

void RewrittenTexts::store(RewrittenText text) {
  CHECK(may_store(text.setting));
  CHECK(text.original.size() + text.rewritten.size() <= RewrittenText::kMaxBytes);
  auto& slot = slots_[slot_of(text.setting.base_url)];
  slot = std::make_shared<const RewrittenText>(std::move(text));
}

}  // namespace streamgate
