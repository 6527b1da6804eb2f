// Opens pages in a headless Chromium, two at a time, until each has done its plan, failed, or run out
// of time. Prints their reports as JSON, in the order of the pages.
//   node watch_pages.mjs CHROMIUM FOLDER SECONDS < LIST_OF_URLS
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const {chromium} = createRequire(process.cwd() + '/')('playwright-core');
const [executablePath, folder, seconds] = process.argv.slice(2);
const urls = JSON.parse(readFileSync(0, 'utf8'));

const browser = await chromium.launchPersistentContext(folder, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
});

async function watch(url) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  let report = {};
  try {
    await page.goto(url, {waitUntil: 'commit'});
    const deadline = Date.now() + Number(seconds) * 1000;
    do {
      await page.waitForTimeout(100);
      report = (await page.evaluate(() => window.report)) ?? {};
    } while (!report.done && Date.now() < deadline);
  } catch (error) {
    said.push(String(error));
  }
  await page.close();
  return {...report, console: said.slice(0, 5)};
}

const reports = new Array(urls.length);
let next = 0;
async function work() {
  while (next < urls.length) {
    const mine = next++;
    reports[mine] = await watch(urls[mine]);
  }
}
try {
  await Promise.all([work(), work()]);
} finally {
  await browser.close();
}
console.log(JSON.stringify(reports));
