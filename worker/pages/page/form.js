// The form: the text that was pasted, and the options of the request.
import {$, make} from './dom.js';
import {emptySource} from './links.js';
import {t} from './strings.js';

const mostAlternatives = 3;
const usualHeaders = ['User-Agent', 'Authorization', 'Cookie', 'Origin', 'Accept-Language'];

// A text area needs seconds for longer texts, so a pasted list of that size is not put into it.
const longestText = 20000;

let changed = () => {};

function removable(row, focusAfter) {
  const button = make('button', {type: 'button', className: 'small remove', textContent: '×'});
  button.dataset.tAriaLabel = 'remove';
  button.setAttribute('aria-label', t('remove'));
  button.addEventListener('click', () => {
    row.remove();
    focusAfter.focus();
    update();
  });
  row.append(button);
}

function input(key, values, properties) {
  const element = make('input', {spellcheck: false, autocomplete: 'off', ...properties});
  element.setAttribute('aria-label', t(key, values));
  return element;
}

export function addHeader(name = '', value = '') {
  const row = make('div', {className: 'pair header'},
    input('header_name', {}, {className: 'name', value: name, placeholder: 'User-Agent'}),
    input('header_value', {}, {className: 'value', value}));
  row.firstChild.setAttribute('list', 'usual-headers');
  removable(row, $('add-header'));
  $('headers').append(row);
  update();
  return row;
}

export function addAlternative(url = '') {
  const number = $('alternatives').childElementCount + 1;
  const row = make('div', {className: 'pair'},
    input('alternative', {number}, {type: 'url', className: 'value', value: url}));
  removable(row, $('add-alternative'));
  $('alternatives').append(row);
  update();
  return row;
}

const valuesOf = (id, name) =>
  [...$(id).children].map((row) => row.querySelector(name).value.trim());

// The options as a source without a URL.
export function readOptions() {
  const names = valuesOf('headers', '.name');
  const values = valuesOf('headers', '.value');
  return {
    ...emptySource(),
    referer: $('referer').value.trim(),
    headers: names.map((name, i) => [name, values[i]]).filter(([name]) => name),
    live: $('live').checked,
    token: $('token').value.trim(),
    alternatives: valuesOf('alternatives', '.value').filter(Boolean),
  };
}

export function writeOptions(source) {
  $('referer').value = source.referer;
  $('live').checked = source.live;
  if (source.token) $('token').value = source.token;
  $('headers').replaceChildren();
  $('alternatives').replaceChildren();
  for (const [name, value] of source.headers) addHeader(name, value);
  for (const url of source.alternatives) addAlternative(url);
  update();
}

// The number of options, in the current language.
export function showOptionCount() {
  const options = readOptions();
  const count = options.headers.length + options.alternatives.length + Boolean(options.referer) +
    Number(options.live) + Boolean(options.token);
  $('option-count').hidden = count === 0;
  $('option-count').textContent = t('option_count', {count});
}

function update() {
  showOptionCount();
  $('add-alternative').disabled = $('alternatives').childElementCount >= mostAlternatives;
  changed();
}

// As high as its text, up to the maximum in style.css.
function fitInput() {
  const {style} = $('input');
  style.height = 'auto';
  style.height = `${$('input').scrollHeight + 2}px`;  // and its borders
}

// `onChange()`: text or options have changed. `onSubmit()`: the person has pressed Play or Enter.
// `onList(text)`: a long list was pasted or opened.
export function connectForm({onChange, onSubmit, onList}) {
  changed = onChange;
  document.body.append(make('datalist', {id: 'usual-headers'},
    ...usualHeaders.map((value) => make('option', {value}))));
  $('source').addEventListener('input', () => {
    fitInput();
    update();
  });
  $('source').addEventListener('submit', (event) => {
    event.preventDefault();
    onSubmit();
  });
  $('input').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    onSubmit();
  });
  $('input').addEventListener('paste', (event) => {
    const text = event.clipboardData.getData('text/plain');
    if (text.length < longestText) return;
    event.preventDefault();
    setInput('');
    onList(text);
  });
  $('add-header').addEventListener('click', () => addHeader().querySelector('input').focus());
  $('add-alternative').addEventListener('click',
    () => addAlternative().querySelector('input').focus());
  $('open-file').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', async () => {
    const [file] = $('file').files;
    $('file').value = '';
    if (!file) return;
    setInput('');
    onList(await file.text());
  });
}

export function setInput(text) {
  $('input').value = text;
  fitInput();
  update();
}

export const readInput = () => $('input').value.trim();
