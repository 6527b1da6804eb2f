// Opens each page in a headless Chromium until its video has played for a second. Prints, as JSON, a
// list of {position, console}.
//   node watch.mjs PROGRAM FOLDER SECONDS PAGE_URL...
import {launch} from './launch_browser.mjs';

const [program, folder, seconds, ...urls] = process.argv.slice(2);
const browser = await launch('chromium', program, folder);
const reports = [];
try {
  for (const url of urls) {
    const page = await browser.newPage();
    const console_ = [];
    page.on('console', (message) => console_.push(message.text()));
    page.on('pageerror', (error) => console_.push(String(error)));
    await page.goto(url, {waitUntil: 'commit'});
    const position = () => page.evaluate(() => document.querySelector('video')?.currentTime ?? 0);
    const deadline = Date.now() + Number(seconds) * 1000;
    while (await position() < 1 && Date.now() < deadline) await browser.pause(100);
    reports.push({position: await position(), console: console_});
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(reports));
