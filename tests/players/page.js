// Plays one stream with one player and follows the plan. The parameters of the page: `player`,
// `src`, `type` (of the stream), `plan` (JSON, below). window.report is for watch_pages.mjs.
//
// A plan: {steps: [..], thumbnails}. The steps are done in order:
//   ['play', seconds]    until it has played for so long
//   ['seek', seconds]    to a position; negative: from the end
//   ['end']              until the end
//   ['switch', height]   to the variant of that height, until its picture is there
//   ['cue', text]        until a text track has this text
//   ['thumbnail']        the picture of a position, as the player offers it
const parameters = new URLSearchParams(location.search);
const source = parameters.get('src');
const type = parameters.get('type');
const plan = JSON.parse(parameters.get('plan'));
const video = document.getElementById('video');
const report = {done: false, step: 'load', errors: [], played: 0, latency: 0, behind: 0};
window.report = report;

const fail = (text) => {
  report.errors.push(text);
  report.done = true;
};
window.addEventListener('error', (event) => fail(`page: ${event.message}`));
window.addEventListener('unhandledrejection', (event) => fail(`page: ${event.reason}`));

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(condition) {
  while (!(await condition())) await pause(50);
}

function script(path) {
  return new Promise((done, failed) => {
    const element = document.createElement('script');
    element.onload = done;
    element.onerror = () => failed(new Error(`${path} did not load`));
    element.src = path;
    document.head.append(element);
  });
}

const loadPicture = (url, [x, y] = [0, 0]) => new Promise((done, failed) => {
  const picture = new Image();
  picture.onload = () => (picture.naturalWidth > x && picture.naturalHeight > y ? done()
    : failed(new Error('a thumbnail outside of its picture')));
  picture.onerror = () => failed(new Error(`no thumbnail at ${url}`));
  picture.src = url;
});

// Each player: load() begins to play, switchTo(height), thumbnail(), videos() for the elements,
// latency() behind the live edge.
const own = () => [video];

const players = {
  async browser() {
    video.src = source;
    video.addEventListener('error', () => fail(`browser: ${video.error.message}`));
    await video.play();
    return {videos: own, texts: null};
  },

  async 'hls.js'() {
    await script('/hls.min.js');
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (data.fatal) fail(`hls.js: ${data.type} ${data.details} ${data.error?.message}`);
    });
    hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => {
      hls.subtitleDisplay = true;
      hls.subtitleTrack = 0;
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    hls.loadSource(source);
    hls.attachMedia(video);
    return {
      videos: () => [video, ...document.querySelectorAll('video')],
      latency: () => hls.latency,
      switchTo: (height) => {
        hls.nextLevel = hls.levels.findIndex((level) => level.height === height);
      },
    };
  },

  async shaka() {
    await script('/shaka-player.compiled.js');
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(video);
    const onError = (error) => {
      if (error.severity === 2) fail(`shaka: ${error.code} ${error.data}`);
    };
    player.addEventListener('error', (event) => onError(event.detail));
    player.configure({drm: {clearKeys: plan.clearKeys ?? {}}});
    player.configure('streaming.lowLatencyMode', true);
    player.getAdManager().setContainers?.(document.getElementById('box'), null);
    player.getAdManager().initInterstitial?.(document.getElementById('box'), player, video);
    await player.load(source, null, type).catch((error) => onError(error));
    if (plan.texts) {
      const [track] = player.getTextTracks();
      if (track) player.selectTextTrack(track);
      player.setTextTrackVisibility?.(true);
    }
    video.play();
    return {
      videos: () => [...document.querySelectorAll('video')],
      switchTo: (height) => {
        player.configure('abr.enabled', false);
        const track = player.getVariantTracks().find((found) => found.height === height);
        player.selectVariantTrack(track, true);
      },
      thumbnail: async () => {
        if (plan.thumbnails) await player.addThumbnailsTrack(plan.thumbnails, 'text/vtt');
        const [track] = player.getImageTracks();
        const found = await player.getThumbnails(track.id, 3);
        await loadPicture(found.uris[0], [found.positionX, found.positionY]);
      },
    };
  },

  async 'video.js'() {
    await script('/video.min.js');
    const player = videojs(video, {html5: {vhs: {overrideNative: true}, nativeTextTracks: false}});
    player.on('error', () => fail(`video.js: ${player.error().code} ${player.error().message}`));
    player.src({src: source, type});
    player.on('loadedmetadata', () => {
      for (const track of Array.from(player.textTracks())) track.mode = 'showing';
    });
    player.ready(() => player.play());
    const vhs = () => player.tech({IWillNotUseThisInPlugins: true}).vhs;
    return {
      videos: () => [...document.querySelectorAll('video')],
      texts: () => Array.from(player.textTracks()),
      switchTo: (height) => vhs().representations()
        .forEach((found) => found.enabled(found.height === height)),
    };
  },

  async 'dash.js'() {
    await script('/dash.all.min.js');
    const player = dashjs.MediaPlayer().create();
    player.updateSettings({debug: {logLevel: dashjs.Debug.LOG_LEVEL_NONE}});
    player.on(dashjs.MediaPlayer.events.ERROR, ({error}) =>
      fail(`dash.js: ${error?.code} ${error?.message}`));
    player.initialize();
    if (plan.clearKeys) {
      const base64 = (hex) => btoa(hex.match(/../g).map((byte) =>
        String.fromCharCode(parseInt(byte, 16))).join('')).replaceAll('=', '');
      const [[id, key]] = Object.entries(plan.clearKeys);
      player.setProtectionData({'org.w3.clearkey': {clearkeys: {[base64(id)]: base64(key)}}});
    }
    player.attachView(video);
    player.attachSource(source);
    player.setAutoPlay(true);
    return {
      videos: own,
      thumbnail: () => new Promise((done, failed) => player.provideThumbnail(3, (found) =>
        (found ? loadPicture(found.url, [found.x, found.y]).then(done, failed)
          : failed(new Error('no thumbnail'))))),
    };
  },
};

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

// The seconds that have been played, without the jumps of seeks.
function countPlayed(player) {
  const last = new Map();
  const latencies = [];
  const behind = [];  // the time of day when the position 0 was played
  setInterval(() => {
    if (report.played > 1 && player.latency) {
      latencies.push(player.latency());
      report.latency = median(latencies);
      behind.push(Date.now() / 1000 - video.currentTime);
      report.behind = median(behind);
    }
    for (const element of new Set(player.videos())) {
      const step = element.currentTime - (last.get(element) ?? element.currentTime);
      if (step > 0 && step < 1) report.played += step;
      last.set(element, element.currentTime);
    }
  }, 100);
}

const textsOf = (player) => (player.texts?.() ?? [...video.textTracks])
  .flatMap((track) => Array.from(track.cues ?? []).map((cue) => cue.text));
const shownTexts = () => document.getElementById('box').innerText;

const steps = {
  play: (player, seconds) => {
    const before = report.played;
    return until(() => report.played - before >= seconds && video.videoWidth > 0);
  },
  // The element that video.js and shaka show may be another one than `video`.
  seek: async (player, to) => {
    const [element] = player.videos();
    await until(() => element.duration > 0 || element.readyState > 0);
    element.currentTime = to < 0 ? Math.max(0, element.duration + to) : to;
    await until(() => !element.seeking && element.readyState >= 2);
  },
  end: (player) => until(() => player.videos().some((element) =>
    element.ended || (element.duration > 0 && element.currentTime > element.duration - 0.3))),
  switch: (player, height) => {
    player.switchTo(height);
    return until(() => player.videos().some((element) => element.videoHeight === height));
  },
  // Nothing to do for a player without subtitles.
  cue: (player, text) => player.texts === null ||
    until(() => textsOf(player).includes(text) || shownTexts().includes(text)),
  // Nothing to do for a player without pictures.
  thumbnail: (player) => player.thumbnail?.(),
};

const player = await players[parameters.get('player')]();
countPlayed(player);
for (const [name, argument] of plan.steps) {
  report.step = name;
  await steps[name](player, argument);
}
report.step = 'done';
report.done = true;
