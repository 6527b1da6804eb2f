// Opens a page in a headless Chromium, waits for the end of its video, prints its report as JSON.
//   node play.mjs CHROMIUM USER_DATA_DIR PAGE_URL SECONDS
import {createRequire} from 'node:module';

// The players are installed in the working directory, not beside this file.
const {chromium} = createRequire(process.cwd() + '/')('playwright-core');
const [executablePath, userDataDir, pageUrl, seconds] = process.argv.slice(2);

const browser = await chromium.launchPersistentContext(userDataDir, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  const page = await browser.newPage();
  const console_ = [];
  page.on('console', (message) => console_.push(message.text()));
  page.on('pageerror', (error) => console_.push(String(error)));
  await page.goto(pageUrl);
  const deadline = Date.now() + Number(seconds) * 1000;
  const over = () => page.evaluate(() => {
    const {ended, errors} = window.report;
    return ended || errors.some((error) => error.includes('fatal=true'));
  });
  while (!(await over()) && Date.now() < deadline) await page.waitForTimeout(100);
  const report = await page.evaluate(() => window.finalReport());
  console.log(JSON.stringify({...report, console: console_}));
} finally {
  await browser.close();
}
