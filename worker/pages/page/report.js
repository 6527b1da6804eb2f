// The texts that the page shows: the status line, errors, the facts about a stream, and the log.
import {$, make} from './dom.js';
import {reasons, strings, t} from './strings.js';

// The texts that are shown now. They are functions, so that they follow the language.
const facts = new Map();  // by name
let error = null;
let status = () => '';

export function say(text) {
  status = text;
  $('status').textContent = text();
}

export function clearReport() {
  facts.clear();
  error = null;
  $('facts').replaceChildren();
  $('log').replaceChildren();
  $('variants').hidden = true;
  $('variants').querySelector('tbody').replaceChildren();
  $('error').hidden = true;
  $('error').replaceChildren();
}

// A token is a part of links, and links stand in messages of players.
const withoutToken = (text) => text.replace(/\b(sg_token=)[^&\s"']+/g, '$1…');

export function note(text) {
  const time = new Date().toLocaleTimeString(document.documentElement.lang);
  $('log').append(make('li', {}, make('time', {textContent: time}), ` ${withoutToken(text)}`));
}

export const hasFact = (name) => facts.has(name);

// Sets one fact, a text or a function; a later value replaces it.
export function setFact(name, value) {
  facts.set(name, value);
  $('report').hidden = false;
  const rows = [...facts].map(([key, known]) => {
    const row = make('div', {}, make('dt', {textContent: t(`fact_${key}`)}),
      make('dd', {textContent: typeof known === 'function' ? known() : known}));
    row.dataset.fact = key;
    return row;
  });
  $('facts').replaceChildren(...rows);
}

// Writes everything except the log in the current language.
export function translateReport() {
  const [first] = facts;
  if (first) setFact(...first);
  if (error) drawError();
  $('status').textContent = status();
}

const megabits = (bits) => (bits ? `${(bits / 1e6).toFixed(bits < 1e7 ? 2 : 1)} Mbit/s` : '');

export function showVariants(variants) {
  $('variants').hidden = variants.length === 0;
  const cells = (variant) => [
    variant.width ? `${variant.width}×${variant.height}` : '',
    megabits(variant.bandwidth),
    variant.frameRate ? String(variant.frameRate) : '',
    variant.codecs,
  ];
  $('variants').querySelector('tbody').replaceChildren(...variants.map((variant) =>
    make('tr', {}, ...cells(variant).map((text) => make('td', {textContent: text || '–'})))));
}

function drawError() {
  const {sentence, code, details} = error;
  const parts = [make('h3', {textContent: t('failed')}), make('p', {textContent: sentence()})];
  if (code) {
    parts.push(make('p', {className: 'quiet'}, `${t('reason_code')}: `,
      make('code', {textContent: code})));
  }
  for (const detail of details) {
    parts.push(make('p', {className: 'quiet detail', textContent: detail}));
  }
  $('error').replaceChildren(...parts);
  $('error').hidden = false;
}

// `sentence`: a function. `code`: a reason of the proxy or a status, shown unchanged. `details`:
// further sentences, which are not translated.
export function showError(sentence, {code = '', details = []} = {}) {
  say(() => '');
  error = {sentence, code, details: details.filter(Boolean).map(withoutToken)};
  drawError();
  note([sentence(), code, ...error.details].filter(Boolean).join(' '));
}

// The sentence for a status that the upstream has sent.
export function wordsOfStatus(status) {
  const key = status >= 500 ? 'status_5xx' : `status_${status}`;
  return t(key in strings ? key : 'status_other', {status});
}

// The sentence for a reason of the proxy. `message`: the sentence from the proxy's answer.
export const wordsOfReason = (reason, message) =>
  (reason in reasons ? t(reason) : message || reason);
