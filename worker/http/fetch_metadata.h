// The purpose of a request, as the browser declares it (W3C Fetch Metadata, or the fields that only
// its media player sends).
#pragma once

#include "worker/http/message.h"

namespace streamgate {

// Whether the browser would run the answer: as a script, a worker, a style sheet or an XSLT
// stylesheet (Sec-Fetch-Dest), or as the script of a service worker (Service-Worker).
bool would_run_answer(const HeaderFields& fields);

// Whether the browser would install the answer as a service worker.
bool is_for_service_worker(const HeaderFields& fields);

enum class MediaElement { none, video, audio };

// The element that plays the answer. Browsers send Sec-Fetch-Dest only to secure origins; without
// it the Accept of Firefox's player and the Accept-Encoding of Chromium's tell the element.
// Chromium's is the same for audio, which counts as video then.
MediaElement media_element_of(const HeaderFields& fields);

}  // namespace streamgate
