// Loads what an upstream sends through the proxy in every way that could run it, or plays it, in a
// headless browser. Prints a report as JSON.
//   node browser.mjs BROWSER PROGRAM FOLDER ORDER
// BROWSER: chromium or firefox. FOLDER: for its profile and its downloads.
import {launch} from './launch_browser.mjs';

const [name, program, folder, orderText] = process.argv.slice(2);
const order = JSON.parse(orderText);
const browser = await launch(name, program, folder);

const through = (origin) => (path) =>
  `${origin}/stream?url=${encodeURIComponent(order.upstream + path)}`;

// In the page: embeds every document, and runs every script in every way there is.
async function embed({docs, scripts}) {
  const messages = [];
  window.addEventListener('message', (event) => messages.push(event.data));
  const attempt = (start) => new Promise((done) => {
    setTimeout(done, 6000);  // a download has no event; all attempts run side by side
    try {
      Promise.resolve(start(done)).catch(done);
    } catch {
      done();
    }
  });
  const element = (tag, attributes) => attempt((done) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.onload = made.onerror = done;
    document.documentElement.append(made);
  });
  const worker = (Kind, url) => attempt((done) => {
    new Kind(url).onerror = done;
    setTimeout(done, 3000);  // no event says that it runs
  });
  const ways = [];
  for (const url of docs) {
    ways.push(element('iframe', {src: url}), element('object', {data: url}));
  }
  for (const url of scripts) {
    ways.push(element('script', {src: url}), element('script', {src: url, type: 'module'}));
    ways.push(element('link', {rel: 'stylesheet', href: url}));
    ways.push(worker(Worker, url), worker(SharedWorker, url));
    ways.push(attempt((done) => import(url).then(done)));
    const {audioWorklet} = new OfflineAudioContext(1, 1, 44100);
    if (audioWorklet) ways.push(attempt((done) => audioWorklet.addModule(url).then(done)));
  }
  await Promise.all(ways);
  let workers = 0;
  // One after the other, as the browser does it anyway.
  for (const url of navigator.serviceWorker ? scripts : []) {
    await navigator.serviceWorker.register(url).then(() => { ++workers; }, () => {});
  }
  return {messages, workers};
}

// A page that was slower than the limit may still navigate, which makes title() fail.
async function titleOf(page) {
  const deadline = Date.now() + 10000;
  for (;;) {
    try {
      return await page.title();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await browser.pause(50);
    }
  }
}

async function attack(base, url, {docs, scripts}) {
  const titles = [];
  const visit = async (urls) => {
    const page = await browser.newPage();
    for (const one of urls) {
      // A download makes goto() fail.
      await page.goto(one, {waitUntil: 'load', timeout: 5000}).catch(() => {});
      titles.push(await titleOf(page));
    }
    await page.close();
  };
  const urls = docs.map(url);
  const pages = name === 'firefox' ? 12 : 4;  // it waits the whole limit for each download
  const share = Math.ceil(urls.length / pages);
  await Promise.all(Array.from({length: pages},
    (_, i) => visit(urls.slice(i * share, (i + 1) * share))));
  const page = await browser.newPage();
  await page.goto(base);
  const found = await page.evaluate(embed, {docs: urls, scripts: scripts.map(url)});
  await page.close();
  return {...found, titles};
}

// In the page: plays or shows each URL.
async function playAll(urls) {
  const play = (url) => new Promise((done) => {
    const isPicture = /still/.test(url);
    const made = document.createElement(isPicture ? 'img' : 'video');
    setTimeout(() => done('timeout'), 15000);
    made.onerror = () => done('error ' + (made.error?.message ?? ''));
    made.onload = made.onloadeddata = () => done('works');
    made.preload = 'auto';
    made.src = url;
    document.documentElement.append(made);
  });
  return Promise.all(urls.map(play));
}

async function seekAll(urls) {
  const seek = (url) => new Promise((done) => {
    const video = document.createElement('video');
    setTimeout(() => done('timeout'), 15000);
    video.onerror = () => done('error ' + video.error.message);
    video.onseeked = () => done('works');
    video.onloadedmetadata = () => { video.currentTime = 50; };
    video.src = url;
    document.documentElement.append(video);
  });
  return Promise.all(urls.map(seek));
}

async function readCues(url) {
  const video = document.createElement('video');
  video.crossOrigin = 'anonymous';
  const track = document.createElement('track');
  track.default = true;
  video.append(track);
  document.documentElement.append(video);
  await new Promise((done) => {
    track.onload = track.onerror = done;
    setTimeout(done, 5000);
    track.src = url;
    track.track.mode = 'showing';
  });
  return [...(track.track.cues ?? [])].map((cue) => cue.text);
}

// Opens a media file itself: the browser makes a page for it.
async function show(url) {
  const page = await browser.newPage();
  await page.goto(url);
  const isShown = () => page.evaluate(() => {
    const [video] = document.getElementsByTagName('video');
    const [picture] = document.getElementsByTagName('img');
    return (video?.readyState ?? 0) >= 2 || (picture?.naturalWidth ?? 0) > 0;
  });
  const deadline = Date.now() + 10000;
  while (!(await isShown()) && Date.now() < deadline) await browser.pause(50);
  const shown = await isShown();
  await page.close();
  return shown ? 'works' : 'not shown';
}

async function playOrder() {
  const url = through(order.proxy);
  const named = (paths, results) => Object.fromEntries(paths.map((path, i) => [path, results[i]]));
  const page = await browser.newPage();
  await page.goto(order.upstream + '/site');
  const report = {media: {}};
  for (let i = 0; i < order.media.length; i += 12) {
    const paths = order.media.slice(i, i + 12);
    Object.assign(report.media, named(paths, await page.evaluate(playAll, paths.map(url))));
    await page.reload();
  }
  report.seeks = named(order.seeks, await page.evaluate(seekAll, order.seeks.map(url)));
  const insecure = order.seeks.map(through(order.insecure));
  report.insecureSeeks = named(order.seeks, await page.evaluate(seekAll, insecure));
  report.cues = await page.evaluate(readCues, url(order.track));
  report.shown = named(order.shown, await Promise.all(order.shown.map((path) => show(url(path)))));
  report.download = await browser.download(url('/download'));
  return report;
}

async function attackOrder() {
  const direct = (path) => order.upstream + path;
  return {
    control: await attack(direct('/site'), direct, order.control),
    proxy: await attack(order.proxy + '/health', through(order.proxy), order.attack),
    insecure: await attack(order.insecure + '/health', through(order.insecure), order.attack),
  };
}

try {
  console.log(JSON.stringify(await (order.media ? playOrder() : attackOrder())));
} finally {
  await browser.close();
}
