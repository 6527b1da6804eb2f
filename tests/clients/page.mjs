// Uses the page for people in a headless browser as a person does with a keyboard: no mouse, no
// script of the page is called. Prints a report as JSON.
//   node page.mjs BROWSER PROGRAM FOLDER ORDER
// ORDER: what page_tests.py writes.
import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {launch} from './launch_browser.mjs';

const [name, program, folder, orderText] = process.argv.slice(2);
const order = JSON.parse(orderText);
const browser = await launch(name, program, folder, {language: order.language});
const axe = await readFile(createRequire(process.cwd() + '/').resolve('axe-core/axe.min.js'), 'utf8');

const report = {requested: [], complaints: []};
const page = await browser.newPage();
page.on('request', (request) => report.requested.push(request.url()));
page.on('pageerror', (error) => report.complaints.push(String(error)));
page.on('console', (message) => {
  if (message.type() === 'error') report.complaints.push(message.text());
});

async function until(what, condition, argument) {
  const deadline = Date.now() + 30000;
  while (!(await page.evaluate(condition, argument))) {
    if (Date.now() > deadline) {
      const text = await page.evaluate(() => document.body.innerText);
      throw new Error(`waited for ${what}; the page says:\n${text}\n${report.complaints.join('\n')}`);
    }
    await browser.pause(30);
  }
}

const look = () => page.evaluate(() => {
  const text = (id) => document.getElementById(id).innerText;
  const facts = [...document.querySelectorAll('#facts > div')].map((row) =>
    [row.dataset.fact, row.querySelector('dd').textContent]);
  return {
    status: text('status'),
    error: text('error'),
    facts: Object.fromEntries(facts),
    variants: [...document.querySelectorAll('#variants tbody tr')].map((row) => row.innerText),
    links: [...document.querySelectorAll('#links input')].map((input) => input.value),
    log: document.getElementById('log').textContent,
  };
});

async function press(...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

async function pressWith(held, key) {
  await page.keyboard.down(held);
  await press(key);
  await page.keyboard.up(held);
}

const focused = () => page.evaluate(() => document.activeElement.id);

// Goes on with Tab until the element has the focus.
async function tabTo(id) {
  for (let i = 0; i < 40; i++) {
    if ((await focused()) === id) return;
    await press('Tab');
  }
  throw new Error(`no Tab leads to ${id}`);
}

async function open(path) {
  await page.goto(order.proxy + path);
  await until('the form', () => document.activeElement.id === 'input');
}

// Replaces the text of the form, as by pasting.
async function enter(text) {
  await tabTo('input');
  await pressWith('Control', 'a');
  await browser.insertText(page, text);
}

async function play(path) {
  await enter(order.upstream + path);
  await press('Enter');
}

const plays = () => {
  const video = document.getElementById('video');
  return video.currentTime > 0.2 && video.videoWidth > 0;
};
const fails = () => !document.getElementById('error').hidden;

async function playStreams() {
  for (const [key, path] of Object.entries(order.streams)) {
    await play(path);
    await until(`${path} to play`, plays);
    report[key] = await look();
  }
}

async function fail() {
  report.failures = {};
  for (const [key, url] of Object.entries(order.failures)) {
    await enter(url);
    await press('Enter');
    await until(`an error for ${url}`, fails);
    report.failures[key] = (await look()).error;
  }
  await play(order.broken);
  await until('the words for the missing part', () =>
    /404/.test(document.querySelector('#status').innerText + document.querySelector('#error').innerText));
  report.broken = await look();
}

const rows = () => page.evaluate(() => {
  const list = document.getElementById('channel-list');
  const active = document.getElementById(list.getAttribute('aria-activedescendant'));
  return {
    count: document.getElementById('channel-count').innerText,
    rows: list.querySelectorAll('[role=option]').length,
    active: active?.querySelector('.name').textContent,
    chosen: list.querySelector('[aria-selected=true]')?.innerText,
    markup: list.querySelectorAll('img, b').length,
  };
});

async function browse() {
  await play(order.list);
  await until('the list', () => document.activeElement.id === 'channel-list');
  report.list = await rows();
  await press('End');
  report.listEnd = await rows();
  await press('Enter');
  await until('the last channel to play', plays);
  report.channel = {...(await look()), ...(await rows())};
  await pressWith('Shift', 'Tab');
  await pressWith('Shift', 'Tab');
  report.beforeList = await focused();
  await page.keyboard.type('channel 4321');
  report.found = await rows();
  await press('ArrowDown');
  report.afterSearch = await focused();
}

async function options() {
  await enter(order.upstream + '/a b.ts');
  await page.evaluate(() => document.getElementById('options').querySelector('summary').focus());
  await press('Enter');
  await tabTo('add-header');
  await press('Enter');
  await page.keyboard.type('Authorization');
  await press('Tab');
  await page.keyboard.type('a&b');
  report.withHeader = (await look()).links;
  await tabTo('token');
  await page.keyboard.type('to.ken');
  report.withToken = (await look()).links;
  await press('Enter');
  await until('the error', fails);
  report.tokenIn = await page.evaluate(() =>
    [document.getElementById('log').textContent, JSON.stringify(localStorage), location.href]
      .map((text) => text.includes('to.ken')));
  await pressWith('Control', 'a');
  await press('Delete');
  await tabTo('live');
  await press(' ');
  report.withOptions = (await look()).links;
  report.copy = await page.evaluate(() => {
    const button = document.querySelector('#links button');
    button.focus();
    return button.innerText;
  });
  await press('Enter');
  await until('the copy', (before) =>
    document.querySelector('#links button').innerText !== before, report.copy);
  report.copied = await page.evaluate(() => document.querySelector('#links button').innerText);
  // A link to the proxy is taken apart again.
  await enter(report.withOptions[0]);
  report.takenApart = await page.evaluate(() => [document.getElementById('input').value,
    document.querySelector('#headers .name').value, document.getElementById('live').checked]);
}

async function languages() {
  const texts = () => page.evaluate(() => [document.documentElement.lang,
    document.querySelector('[data-t=play]').innerText]);
  report.languages = [await texts()];
  const other = order.language.startsWith('zh') ? 'en' : 'zh';
  await tabTo('language');
  await press(other === 'zh' ? 'End' : 'Home');
  await until('the other language', (language) =>
    document.documentElement.lang.startsWith(language), other);
  report.languages.push(await texts());
  report.untranslated = await page.evaluate(() => [...document.querySelectorAll('[data-t]')]
    .filter((element) => !element.textContent.trim()).map((element) => element.dataset.t));
  await page.reload();
  await until('the form', () => document.activeElement.id === 'input');
  report.languages.push(await texts());
}

async function checkAccess() {
  report.violations = [];
  report.overflow = [];
  for (const [width, scheme] of order.views) {
    await browser.view(page, width, scheme);
    const found = await browser.evaluateSource(page, `${axe}; axe.run()`);
    for (const {id, nodes} of found.violations) {
      report.violations.push(`${width} ${scheme} ${id}: ${nodes.map((node) => node.html)}`);
    }
    report.overflow.push(await page.evaluate(() =>
      document.documentElement.scrollWidth - document.documentElement.clientWidth));
    if (order.shots) {
      await page.screenshot({path: `${order.shots}/${width}-${scheme}.png`, fullPage: true});
    }
  }
}

const steps = {playStreams, fail, browse, options, languages, checkAccess};

try {
  await open(order.mount);
  for (const step of order.steps) await steps[step]();
  console.log(JSON.stringify(report));
} finally {
  await browser.close();
}
