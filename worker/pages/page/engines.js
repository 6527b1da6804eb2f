// The players that the page can use. Each engine plays some kinds of streams in the video element.
// A further player is one more entry of `engines`.
import {players} from './players.js';

const hlsType = 'application/vnd.apple.mpegurl';
const hasMediaSource = () => 'MediaSource' in window || 'ManagedMediaSource' in window;
const fileOf = (name) => new URL(`players/${name}`, import.meta.url).href;

async function play(video, on) {
  try {
    await video.play();
  } catch (error) {
    // Also rejected if the stream is replaced or fails, which has its own event.
    if (error.name === 'NotAllowedError') on.note('press_play');
  }
}

// --- the browser itself ---

function startBrowser(video, {link, answer}, on) {
  answer?.cancel();
  const fail = () => on.failed({message: video.error?.message || `code ${video.error?.code}`});
  video.addEventListener('error', fail);
  video.src = link;
  play(video, on);
  return () => video.removeEventListener('error', fail);
}

// --- hls.js ---

function describeHlsError(data) {
  const request = data.networkDetails;
  return {
    message: [data.details, data.error?.message].filter(Boolean).join(': '),
    url: data.url ?? data.frag?.url,
    status: data.response?.code || null,
    isNetwork: data.type === 'networkError',
    reason: request?.getResponseHeader?.('X-Streamgate-Error') ?? null,
  };
}

async function startHls(video, {link, answer}, on) {
  answer.cancel();
  const {default: Hls} = await import('./players/hls.mjs');
  const hls = new Hls({workerPath: fileOf('hls.worker.js')});
  let recovered = false;
  hls.on(Hls.Events.MANIFEST_PARSED, () => play(video, on));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, {level}) => {
    const {width, height, bitrate, videoCodec, audioCodec} = hls.levels[level];
    const codecs = [videoCodec, audioCodec].filter(Boolean).join(', ');
    on.note('variant_chosen', {variant: width ? `${width}×${height}` : `${bitrate} bit/s`});
    if (codecs) on.fact('codecs', codecs);
  });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return on.trouble(describeHlsError(data));
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true;
      hls.recoverMediaError();
      return on.note('player_warning', {message: data.details});
    }
    return on.failed(describeHlsError(data));
  });
  hls.loadSource(link);
  hls.attachMedia(video);
  return () => hls.destroy();
}

// --- mpegts.js ---

let mpegtsLoaded = null;

function loadMpegts() {
  mpegtsLoaded ??= new Promise((done, failed) => {
    const script = document.createElement('script');
    script.onload = () => done(window.mpegts);
    script.onerror = () => failed(new Error('mpegts.js did not load'));
    script.src = fileOf('mpegts.js');
    document.head.append(script);
  });
  return mpegtsLoaded;
}

// Continues the request whose first bytes showed the kind, because an upstream that allows one
// connection would refuse a second one. `failed`: called if a later request is answered with an error.
function makeLoader({BaseLoader}, first, failed) {
  let unused = first;
  return class Loader extends BaseLoader {
    constructor() {
      super('streamgate');
      this._needStash = true;
      this.abortion = new AbortController();
    }

    async open(source, range) {
      try {
        await this.load(source.url, range);
      } catch (error) {
        if (!this.abortion.signal.aborted) this.fail(-1, error.message);
      }
    }

    async load(url, {from}) {
      const continued = from === 0 ? unused : null;
      unused = null;
      this._status = 1;
      if (!continued) return this.read(await this.request(url, from), from);
      if (continued.length) this._onContentLengthKnown?.(continued.length);
      this.deliver(continued.start, 0);
      this.abortion.signal.addEventListener('abort', () => continued.cancel());
      return this.read(() => continued.next(), continued.start.length);
    }

    async request(url, from) {
      const response = await fetch(url, {
        signal: this.abortion.signal,
        cache: 'no-store',
        headers: from > 0 ? {Range: `bytes=${from}-`} : {},
      });
      if (!response.ok) {
        const reason = response.headers.get('X-Streamgate-Error');
        failed({message: '', status: response.status, reason});
        throw new Error(`status ${response.status}`);
      }
      const reader = response.body.getReader();
      return async () => (await reader.read()).value ?? null;
    }

    async read(next, begin) {
      let at = begin;
      for (let part = await next(); part; part = await next()) {
        if (this.abortion.signal.aborted) return;
        this.deliver(part, at);
        at += part.length;
      }
      this._status = 4;
      this._onComplete?.(0, at - 1);
    }

    deliver(bytes, at) {
      this._status = 2;
      const copy = bytes.slice().buffer;
      this._onDataArrival?.(copy, at, at + copy.byteLength);
    }

    fail(code, msg) {
      this._status = 3;
      this._onError?.('Exception', {code, msg});
    }

    abort() {
      this._status = 4;
      this.abortion.abort();
    }

    destroy() {
      this.abort();
      super.destroy();
    }
  };
}

async function startMpegts(video, {kind, link, answer}, on) {
  const mpegts = await loadMpegts();
  mpegts.LoggingControl.enableAll = false;
  const isLive = answer.length === null;
  const player = mpegts.createPlayer(
    {type: kind === 'flv' ? 'flv' : 'mpegts', isLive, url: link},
    {customLoader: makeLoader(mpegts, answer, on.failed), enableWorker: false, lazyLoad: false});
  player.on(mpegts.Events.MEDIA_INFO, (info) => {
    const codecs = [info.videoCodec, info.audioCodec].filter(Boolean).join(', ');
    if (codecs) on.fact('codecs', codecs);
  });
  player.on(mpegts.Events.ERROR, (type, detail, info) => on.failed({
    message: [type, detail, info?.msg].filter(Boolean).join(': '),
    isNetwork: type === mpegts.ErrorTypes.NETWORK_ERROR,
  }));
  player.attachMediaElement(video);
  player.load();
  play(video, on);
  return () => {
    answer.cancel();
    player.destroy();
  };
}

// --- dash.js ---

const sizeOf = ({width, height, bandwidth}) =>
  (width ? `${width}×${height}` : `${bandwidth} bit/s`);

function describeDashError(error) {
  const {request, response} = error.data ?? {};
  return {
    message: error.message ?? `code ${error.code}`,
    url: request?.url ?? response?.url,
    status: response?.status || null,
    isNetwork: error.code >= 10 && error.code < 30,
    reason: response?.headers?.['x-streamgate-error'] ?? null,
  };
}

async function startDash(video, {link, answer}, on) {
  answer.cancel();
  const {MediaPlayer, Debug} = await import('./players/dash.mjs');
  const player = MediaPlayer().create();
  player.updateSettings({debug: {logLevel: Debug.LOG_LEVEL_NONE}});
  player.on(MediaPlayer.events.STREAM_INITIALIZED, () => {
    const variants = player.getRepresentationsByType('video').map((found) => ({
      width: found.width, height: found.height, bandwidth: found.bandwidth,
      frameRate: found.frameRate, codecs: found.codecs?.replace(/^.*codecs="(.*)"$/, '$1') ?? '',
    }));
    const codecs = ['video', 'audio']
      .map((kind) => player.getCurrentTrackFor(kind)?.codec?.replace(/^.*codecs="(.*)"$/, '$1'));
    on.variants(variants);
    on.fact('codecs', codecs.filter(Boolean).join(', '));
    play(video, on);
  });
  player.on(MediaPlayer.events.REPRESENTATION_SWITCH, ({mediaType, currentRepresentation}) => {
    if (mediaType !== 'video' || !currentRepresentation) return;
    on.note('variant_chosen', {variant: sizeOf(currentRepresentation)});
  });
  player.on(MediaPlayer.events.ERROR, ({error}) => on.failed(describeDashError(error)));
  player.initialize(video, link, false);
  return () => player.destroy();
}

// --- the choice ---

const mpegtsKinds = ['ts', 'flv'];

const engines = [
  {
    name: 'browser',
    plays: (kind, video) =>
      (kind === 'hls' ? video.canPlayType(hlsType) !== ''
        : kind !== 'dash' && !mpegtsKinds.includes(kind)),
    start: startBrowser,
  },
  {
    name: 'hls.js',
    plays: (kind) => kind === 'hls' && 'hls.js' in players && hasMediaSource(),
    start: startHls,
  },
  {
    name: 'mpegts.js',
    plays: (kind) => mpegtsKinds.includes(kind) && 'mpegts.js' in players && hasMediaSource(),
    start: startMpegts,
  },
  {
    name: 'dash.js',
    plays: (kind) => kind === 'dash' && 'dash.js' in players && hasMediaSource(),
    start: startDash,
  },
];

// The player that would be needed if no engine plays the kind.
export const missingPlayer = (kind) =>
  ({hls: 'hls.js', dash: 'dash.js'})[kind] ?? 'mpegts.js';

export const enginesFor = (kind, video) => engines.filter((engine) => engine.plays(kind, video));

export const builtIn = Object.entries(players);
export const titleOf = (name) => (players[name] ? `${name} ${players[name]}` : name);
