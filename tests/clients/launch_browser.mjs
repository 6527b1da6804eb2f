// Starts a headless browser for browser.mjs and page.mjs: Chromium through playwright-core, Firefox through
// puppeteer-core (WebDriver BiDi; playwright needs its own patched Firefox). The pages of both
// libraries have the functions that both scripts use; others are functions of the result. Both browsers resolve proxy.test to 127.0.0.1.
import {mkdir, readdir, readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

// The libraries are installed in the working directory, not beside this file.
const require = createRequire(process.cwd() + '/');

async function launchChromium(executablePath, folder, {language = 'en'}) {
  const {chromium} = require('playwright-core');
  const browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath,
    headless: true,
    locale: language,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--autoplay-policy=no-user-gesture-required', '--host-resolver-rules=MAP proxy.test 127.0.0.1',
    ],
  });
  const download = async (url) => {
    const page = await browser.newPage();
    const started = page.waitForEvent('download');
    await page.goto(url).catch(() => {});
    const file = await started;
    const text = await readFile(await file.path(), 'utf8');
    await page.close();
    return {name: file.suggestedFilename(), text};
  };
  const insertText = (page, text) => page.keyboard.insertText(text);
  const view = async (page, width, colorScheme) => {
    await page.setViewportSize({width, height: 800});
    await page.emulateMedia({colorScheme});
  };
  // Not page.evaluate(): the policy of a page may forbid to evaluate text.
  const evaluateSource = async (page, expression) => {
    const session = await browser.newCDPSession(page);
    const order = {expression, awaitPromise: true, returnByValue: true};
    const {result, exceptionDetails} = await session.send('Runtime.evaluate', order);
    if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
    return result.value;
  };
  const newPage = () => browser.newPage();
  const close = () => browser.close();
  return {newPage, close, download, pause, insertText, view, evaluateSource};
}

async function launchFirefox(executablePath, folder, {language = 'en'}) {
  const {default: puppeteer} = await import(require.resolve('puppeteer-core'));
  const downloads = join(folder, 'downloads');
  await mkdir(downloads);
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    userDataDir: join(folder, 'profile'),
    extraPrefsFirefox: {
      'browser.download.alwaysOpenPanel': false,
      'browser.download.dir': downloads,
      'browser.download.folderList': 2,
      'browser.download.useDownloadDir': true,
      'intl.accept_languages': language,
      'media.autoplay.default': 0,
      'network.dns.localDomains': 'proxy.test',
    },
  });
  const finished = async () => {
    const names = await readdir(downloads);
    if (names.length !== 1) return null;
    const text = await readFile(join(downloads, names[0]), 'utf8');
    return text ? {name: names[0], text} : null;
  };
  const download = async (url) => {
    const page = await browser.newPage();
    await page.goto(url, {timeout: 5000}).catch(() => {});
    const deadline = Date.now() + 10000;
    let file = await finished();
    while (!file && Date.now() < deadline) {
      await pause(50);
      file = await finished();
    }
    await page.close();
    return file;
  };
  const insertText = (page, text) =>
    page.evaluate((inserted) => document.execCommand('insertText', false, inserted), text);
  const newPage = () => browser.newPage();
  return {newPage, close: () => browser.close(), download, pause, insertText};
}

// `options.language`: the language that the browser prefers.
export const launch = (name, program, folder, options = {}) =>
  (name === 'firefox' ? launchFirefox : launchChromium)(program, folder, options);
