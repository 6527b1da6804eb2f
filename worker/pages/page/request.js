// One request through the proxy: its answer, and the time that it took.

const enough = 4096;  // bytes that show the kind
const largestText = 64 * 1024 * 1024;

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

// The answer to one request. `start` has its first bytes. text() begins with them, next() continues
// after them.
class Answer {
  constructor(response) {
    this.status = response.status;
    this.type = response.headers.get('Content-Type') ?? '';
    this.length = Number(response.headers.get('Content-Length')) || null;
    this.reason = response.headers.get('X-Streamgate-Error');
    this.id = response.headers.get('X-Streamgate-Id');
    this.start = new Uint8Array();
    this.firstByteMs = null;
    this.ended = false;
    this.reader = response.body?.getReader();
  }

  // `begun`: the time of the request.
  async readStart(begun) {
    const parts = [];
    let size = 0;
    while (size < enough && !this.ended) {
      const part = await this.next();
      this.firstByteMs ??= Math.round(performance.now() - begun);
      if (!part) break;
      parts.push(part);
      size += part.length;
    }
    this.start = joined(parts);
  }

  // The next bytes, or null at the end.
  async next() {
    const {value, done} = (await this.reader?.read()) ?? {done: true};
    this.ended = done;
    return done ? null : value;
  }

  async text() {
    const parts = [this.start];
    let size = this.start.length;
    while (!this.ended && size < largestText) {
      const part = await this.next();
      if (!part) break;
      parts.push(part);
      size += part.length;
    }
    return new TextDecoder().decode(joined(parts));
  }

  cancel() {
    if (!this.ended) this.reader?.cancel().catch(() => {});
    this.ended = true;
  }
}

// Requests `link` and reads the first bytes. `firstByteMs` of the answer: from the request to the
// first byte of the body, or to its end if there is none.
export async function request(link, signal) {
  const begun = performance.now();
  const answer = new Answer(await fetch(link, {signal, cache: 'no-store'}));
  await answer.readStart(begun);
  return answer;
}

// The JSON body of the proxy's own errors: {error, message, detail, status}.
export async function errorOf(answer) {
  try {
    return JSON.parse(await answer.text());
  } catch {
    return {};
  }
}
