// The page: connects the form, the request, the players and the reports.
import './trust.js';
import {$, make} from './dom.js';
import {builtIn, enginesFor, missingPlayer, titleOf} from './engines.js';
import {connectForm, readInput, readOptions, setInput, showOptionCount, writeOptions}
  from './form.js';
import {kindOf, kindOfName} from './kinds.js';
import {fileNameOf, forms, linkOf, sourceOfLink, withOptions} from './links.js';
import {isHls, isListText, parseHls, parseList, writeList} from './playlists.js';
import {clearReport, hasFact, note, say, setFact, showError, showVariants, translateReport,
  wordsOfReason, wordsOfStatus} from './report.js';
import {errorOf, request} from './request.js';
import {Channels} from './channels.js';
import {firstLanguage, rememberLanguage, setLanguage, t, translatePage} from './strings.js';

const video = $('video');
let shown = {source: null, name: ''};  // the source whose links are shown; the channel's name
let list = null;                       // {head, entries}: the channel list
let now = null;                        // {abortion, stop, engine}: the stream that is requested or plays

// `values`: a function, because some values depend on the language.
const setStatus = (key, values = () => ({})) => say(() => t(key, values()));

// --- links ---

async function copy(field, button) {
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Without https, browsers give pages no clipboard API; execCommand still works.
    field.select();
    document.execCommand('copy');
    button.focus();
  }
  button.textContent = t('copied');
  setTimeout(() => { button.textContent = t('copy'); }, 2000);
}

function linkRow(form, source) {
  const title = t(`form_${form.name}`);
  const id = `link-${form.name}`;
  const field = make('input', {id, readOnly: true, value: linkOf(source, form)});
  const button = make('button', {type: 'button', className: 'small', textContent: t('copy')});
  button.setAttribute('aria-label', t('copy_form', {form: title}));
  button.addEventListener('click', () => copy(field, button));
  field.addEventListener('focus', () => field.select());
  return make('div', {className: 'link'}, make('label', {for: id, textContent: title}),
    make('div', {className: 'pair'}, field, button));
}

function showLinks(source, name = '') {
  shown = {source, name};
  $('link-of').hidden = Boolean(source) && !name;
  $('link-of').textContent = source ? name : t(list ? 'links_list' : 'links_empty');
  const possible = source ? forms.filter((form) => form.can(source)) : [];
  $('links').replaceChildren(...possible.map((form) => linkRow(form, source)));
}

// The source in the form, or null: there is none, or the text is a list.
function sourceInForm() {
  const text = readInput();
  if (!text || isListText(text)) return null;
  // The cookies of a pasted link are kept for that link's URL only.
  const other = text === lastPasted?.url ? lastPasted.other : [];
  return {...readOptions(), url: text, other};
}

let lastPasted = null;

function onFormChange() {
  const pasted = sourceOfLink(readInput());
  if (pasted) {
    lastPasted = pasted;
    // A link to this proxy: show what it contains.
    setInput(pasted.url);
    writeOptions(pasted);
    return;
  }
  const source = sourceInForm();
  showLinks(source);
}

// --- play ---

function stop() {
  now?.abortion.abort();
  now?.stop?.();
  now = null;
  video.removeAttribute('src');
  video.load();
  document.body.classList.remove('plays');
  $('stop').hidden = true;
}

function begin() {
  stop();
  clearReport();
  document.body.classList.add('used');
  now = {abortion: new AbortController(), stop: null, engine: null};
  $('stop').hidden = false;
  return now;
}

async function showAnswerError(answer) {
  if (!answer.reason) {
    return showError(() => wordsOfStatus(answer.status), {code: String(answer.status)});
  }
  const {message, detail} = await errorOf(answer);
  return showError(() => wordsOfReason(answer.reason, message),
    {code: answer.reason, details: [detail]});
}

function showAnswer(answer) {
  setFact('first_byte', () => t('milliseconds', {count: answer.firstByteMs}));
  setFact('answer', String(answer.status));
  if (answer.type) setFact('type', answer.type);
  if (answer.id) setFact('id', answer.id);
}

function showFound(kind, answer) {
  setFact('kind', () => t(`kind_${kind}`));
  showAnswer(answer);
}

// Requests the source, shows its kind, and plays it.
async function run(source) {
  const mine = begin();
  const link = linkOf(source);
  note(link);
  // The browser requests a file itself: a request to see its kind would be the second one.
  const named = source.live ? null : kindOfName(fileNameOf(source.url));
  if (named) {
    setFact('kind', () => t(`kind_${named}`));
    return play(named, {link, answer: null}, mine);
  }
  return look(link, mine);
}

// Requests the link to see what it is.
async function look(link, mine) {
  setStatus('requesting');
  let answer = null;
  try {
    answer = await request(link, mine.abortion.signal);
    if (mine === now) await showResult({link, answer}, mine);
    else answer.cancel();
  } catch (error) {
    if (mine !== now) return;
    showError(() => t(answer ? 'broken_off' : 'proxy_unreachable'), {details: [error.message]});
    stop();
  }
}

const refusals = {html: 'not_media_html', text: 'not_media_text',
  image: 'not_media_image'};

async function showResult(stream, mine) {
  const {answer} = stream;
  if (answer.status >= 400) {
    showAnswer(answer);
    await showAnswerError(answer);
    answer.cancel();
    return stop();
  }
  const kind = kindOf(answer.start, answer.type);
  if (kind === 'playlist') return showPlaylist(await answer.text(), stream, mine);
  showFound(kind, answer);
  if (!(kind in refusals)) return play(kind, stream, mine);
  answer.cancel();
  showError(() => t(refusals[kind]));
  return stop();
}

function showPlaylist(text, stream, mine) {
  if (mine !== now) return undefined;
  if (isHls(text)) return playHls(text, stream, mine);
  showFound('list', stream.answer);
  stop();
  return showList(parseList(text, true));
}

const clock = (seconds) => {
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60];
  const padded = parts.map((part) => String(Math.floor(part)).padStart(2, '0'));
  return padded.join(':').replace(/^00:/, '');
};

function playHls(text, stream, mine) {
  const found = parseHls(text);
  showFound(found.isMultivariant ? 'hls_multivariant' : 'hls', stream.answer);
  if (!found.isMultivariant) {
    setFact('length', () => (found.isLive ? t('live')
      : `${clock(found.seconds)}, ${t('segments', {count: found.segments})}`));
  }
  if (found.audio.length) setFact('audio', found.audio.join(', '));
  if (found.subtitles.length) setFact('subtitles', found.subtitles.join(', '));
  if (found.isEncrypted) setFact('encryption', () => t('yes'));
  showVariants(found.variants);
  const firstPart = found.firstLink ? new URL(found.firstLink, stream.link).href : null;
  return play('hls', {...stream, firstPart}, mine);
}

// The first part of an HLS stream that cannot be loaded, as a failure, or null. Needed because some
// players do not report why they failed.
async function firstFailure(link, depth = 2) {
  if (!link || depth === 0) return null;
  const answer = await request(link);
  if (answer.status >= 400) {
    answer.cancel();
    return {message: '', url: link, status: answer.status, reason: answer.reason};
  }
  const isPlaylist = kindOf(answer.start, answer.type) === 'playlist';
  const {firstLink} = isPlaylist ? parseHls(await answer.text()) : {};
  answer.cancel();
  return firstFailure(firstLink && new URL(firstLink, link).href, depth - 1);
}

const wordsOfFailure = ({reason, status}) =>
  (reason ? wordsOfReason(reason) : wordsOfStatus(status));

function showPartFailure({message, url, status, reason}) {
  const part = url ? sourceOfLink(url, true)?.url : '';
  showError(() => wordsOfFailure({reason, status}),
    {code: reason ?? String(status), details: [part && t('part_failed', {url: part}), message]});
}

// A failure after which the player tries again by itself.
function showTrouble(failure) {
  note(t('player_warning', {message: failure.message}));
  if (!(failure.status >= 400)) return;
  const code = failure.reason ?? failure.status;
  say(() => `${wordsOfFailure(failure)} (${code}) ${t('tries_again')}`);
}

async function showPlayerError(failure, {firstPart}) {
  const origin = firstPart ? new URL(firstPart).origin : location.origin;
  if (origin !== location.origin) {
    return showError(() => t('other_origin', {origin}), {details: [failure.message]});
  }
  const isKnown = failure.reason || failure.status >= 400;
  const found = isKnown ? failure : await firstFailure(firstPart).catch(() => null);
  if (now) return undefined;  // something else has been started
  if (found) return showPartFailure({...found, message: failure.message});
  return showError(() => t(failure.isNetwork ? 'broken_off' : 'player_failed'),
    {details: [failure.message]});
}

function nameOf(engine) {
  return engine.name === 'browser' ? t('player_browser') : titleOf(engine.name);
}

// Tries the engines that play this kind, one after the other.
async function play(kind, stream, mine) {
  const engines = enginesFor(kind, video);
  if (!engines.length) {
    stream.answer?.cancel();
    showError(() => t('no_player', {player: missingPlayer(kind)}));
    return stop();
  }
  return start(engines, kind, stream, mine);
}

async function start([engine, ...others], kind, stream, mine) {
  const isCurrent = () => mine === now && mine.engine === engine;
  mine.engine = engine;
  const failed = (failure) => {
    if (!isCurrent()) return;
    mine.stop?.();
    mine.stop = null;
    if (others.length) {
      note(t('next_player', {player: nameOf(engine), next: nameOf(others[0])}));
      note(failure.message);
      start(others, kind, stream, mine);
      return;
    }
    if (!stream.answer) {
      // The name did not say why.
      look(stream.link, begin());
      return;
    }
    stop();
    showPlayerError(failure, stream);
  };
  setFact('player', () => nameOf(engine));
  setStatus('starting', () => ({player: nameOf(engine)}));
  document.body.classList.add('plays');
  try {
    const end = await engine.start(video, {...stream, kind}, {
      note: (key, values) => isCurrent() && note(t(key, values)),
      fact: (name, value) => isCurrent() && setFact(name, value),
      variants: (found) => isCurrent() && showVariants(found),
      trouble: (failure) => isCurrent() && showTrouble(failure),
      failed,
    });
    if (isCurrent()) mine.stop = end;
    else end();
  } catch (error) {
    failed({message: error.message});
  }
}

function connectVideo() {
  const on = (event, key) => video.addEventListener(event, () => {
    const engine = now?.engine;
    if (engine) setStatus(key, () => ({player: nameOf(engine)}));
  });
  on('playing', 'playing');
  on('waiting', 'waiting');
  on('pause', 'paused');
  on('ended', 'ended');
  video.addEventListener('resize', () => {
    if (video.videoWidth) setFact('picture', `${video.videoWidth}×${video.videoHeight}`);
  });
  video.addEventListener('durationchange', () => {
    if (!now?.engine || hasFact('length')) return;
    if (video.duration === Infinity) setFact('length', () => t('live'));
    else if (video.duration) setFact('length', clock(video.duration));
  });
}

// --- channels ---

const number = (value) => value.toLocaleString(document.documentElement.lang);

// The links of a rewritten list carry the options of the list already. Credentials of the form must
// not be added to them: the proxy leaves these out for channels of other origins.
function sourceOfEntry(entry) {
  const options = readOptions();
  if (!entry.isRewritten) return withOptions(entry.source, options);
  return {...entry.source, live: entry.source.live || options.live};
}

function showChannelCount(count, all) {
  $('channel-count').textContent = t('channel_count', {shown: number(count), all: number(all)});
}

const channels = new Channels($('channel-list'), {
  choose: (entry) => {
    const source = sourceOfEntry(entry);
    showLinks(source, entry.name);
    run(source);
    $('player').scrollIntoView({block: 'nearest'});
  },
  changed: showChannelCount,
});

function showList(found) {
  if (!found.entries.length) return showError(() => t('empty_list'));
  list = found;
  $('channels').hidden = false;
  $('search').value = '';
  channels.set(list.entries);
  fillGroups();
  setStatus('list_read', () => ({count: number(list.entries.length)}));
  if (!shown.source) showLinks(null);
  $('channel-list').focus();
  return undefined;
}

function fillGroups() {
  const chosen = $('group').value;
  $('group').replaceChildren(make('option', {value: '', textContent: t('all_groups')}),
    ...channels.groups().map((group) => make('option', {value: group, textContent: group})));
  $('group').value = chosen;
  if ($('group').selectedIndex < 0) $('group').value = '';
}

function connectChannels() {
  const filter = () => channels.filter($('search').value, $('group').value);
  $('search').addEventListener('input', filter);
  $('group').addEventListener('change', filter);
  $('search').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      $('channel-list').focus();
    }
  });
  $('logos').addEventListener('change', () => channels.showLogos($('logos').checked));
  $('save-list').addEventListener('click', () => {
    const text = writeList(list, (entry) => linkOf(sourceOfEntry(entry)));
    const url = URL.createObjectURL(new Blob([text], {type: 'application/vnd.apple.mpegurl'}));
    make('a', {href: url, download: 'streamgate.m3u'}).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
}

// --- the page ---

function showListText(text) {
  begin();
  stop();
  if (isHls(text)) return showError(() => t('pasted_hls'));
  return showList(parseList(text, false));
}

function submit() {
  const text = readInput();
  if (!text) return $('input').focus();
  return isListText(text) ? showListText(text) : run(sourceInForm());
}

function showLanguage(language) {
  setLanguage(language);
  translatePage();
  $('language').value = language;
  $('players-built-in').textContent = builtIn.length
    ? t('built_in', {players: builtIn.map(([name]) => titleOf(name)).join(', ')})
    : t('built_in_none');
  showOptionCount();
  showLinks(shown.source, shown.name);
  if (list) {
    fillGroups();
    showChannelCount(channels.shown.length, list.entries.length);
  }
  translateReport();
}

connectForm({onChange: onFormChange, onSubmit: submit, onList: showListText});
connectVideo();
connectChannels();
$('stop').addEventListener('click', () => {
  stop();
  setStatus('stopped');
  $('play').focus();
});
$('language').addEventListener('change', () => {
  rememberLanguage($('language').value);
  showLanguage($('language').value);
});
showLanguage(firstLanguage());
// A link to the page may contain a URL: `#url=...`. It fills the form and starts nothing.
const brought = new URLSearchParams(location.hash.slice(1)).get('url');
if (brought) setInput(brought);
$('input').focus();
