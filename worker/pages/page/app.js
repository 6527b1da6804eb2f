// The page: connects the form, the request, the players and the reports.
import './trust.js';
import {$, make} from './dom.js';
import {builtIn, enginesFor, missingPlayer, titleOf} from './engines.js';
import {connectForm, readInput, readOptions, setInput, showOptionCount, writeOptions}
  from './form.js';
import {kindOf} from './kinds.js';
import {forms, linkOf, sourceOfLink, withOptions} from './links.js';
import {isHls, isListText, parseHls, parseList, writeList} from './playlists.js';
import {clearReport, hasFact, note, say, setFact, showError, showVariants, wordsOfReason, wordsOfStatus}
  from './report.js';
import {errorOf, request} from './request.js';
import {Channels} from './channels.js';
import {firstLanguage, rememberLanguage, setLanguage, t, translatePage} from './strings.js';

const video = $('video');
let shown = {source: null, name: ''};  // whose links are shown; the name of a channel
let list = null;                       // the entries of the channel list
let now = null;                        // {abortion, stop, engine}: what is requested or plays
let status = ['', null];               // of the status line, for a change of language

function setStatus(key, values) {
  status = [key, values];
  say(key, values);
}

// --- links ---

async function copy(field, button) {
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Without https browsers have no clipboard for pages; the old way still works.
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
  $('links').replaceChildren(...(source ? forms.map((form) => linkRow(form, source)) : []));
}

// The source in the form, or null: there is none, or the text is a list.
function sourceInForm() {
  const text = readInput();
  return text && !isListText(text) ? {...readOptions(), url: text} : null;
}

function onFormChange() {
  const pasted = sourceOfLink(readInput());
  if (pasted) {
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

async function showProxyError(answer) {
  const {message, detail} = await errorOf(answer);
  showError(wordsOfReason(answer.reason, message), {code: answer.reason, details: [detail]});
}

function showAnswer(answer) {
  setFact('first_byte', t('milliseconds', {count: answer.firstByteMs}));
  setFact('answer', String(answer.status));
  if (answer.type) setFact('type', answer.type);
  if (answer.id) setFact('id', answer.id);
}

function showFound(kind, answer) {
  setFact('kind', t(`kind_${kind}`));
  showAnswer(answer);
}

// Requests the source, says what it is, and plays it.
async function run(source) {
  const mine = begin();
  const link = linkOf(source);
  setStatus('requesting');
  note(link);
  let answer;
  try {
    answer = await request(link, mine.abortion.signal);
  } catch (error) {
    if (mine !== now) return;
    showError(t('proxy_unreachable'), {details: [error.message]});
    return stop();
  }
  if (mine !== now) return answer.cancel();
  if (answer.status >= 400) {
    showAnswer(answer);
    if (answer.reason) await showProxyError(answer);
    else showError(wordsOfStatus(answer.status), {code: String(answer.status)});
    answer.cancel();
    return stop();
  }
  return showKind(kindOf(answer.start, answer.type), {link, answer}, mine);
}

async function showKind(kind, stream, mine) {
  if (kind === 'playlist') {
    const text = await stream.answer.text();
    if (mine !== now) return;
    if (isHls(text)) return playHls(text, stream, mine);
    showFound('list', stream.answer);
    stop();
    return showList(parseList(text, true));
  }
  showFound(kind, stream.answer);
  const refusals = {dash: 'no_dash', html: 'not_media_html', text: 'not_media_text',
    image: 'not_media_image'};
  if (kind in refusals) {
    stream.answer.cancel();
    showError(t(refusals[kind]));
    return stop();
  }
  return play(kind, stream, mine);
}

const clock = (seconds) => {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':').replace(/^00:/, '');
};

function playHls(text, stream, mine) {
  const found = parseHls(text);
  showFound(found.isMultivariant ? 'hls_multivariant' : 'hls', stream.answer);
  if (!found.isMultivariant) {
    setFact('length', found.isLive ? t('live')
      : `${clock(found.seconds)}, ${t('segments', {count: found.segments})}`);
  }
  if (found.audio.length) setFact('audio', found.audio.join(', '));
  if (found.subtitles.length) setFact('subtitles', found.subtitles.join(', '));
  if (found.isEncrypted) setFact('encryption', t('yes'));
  showVariants(found.variants);
  const origin = found.firstLink ? new URL(found.firstLink, stream.link).origin : location.origin;
  if (origin !== location.origin) note(t('other_origin', {origin}));
  return play('hls', {...stream, wrongOrigin: origin === location.origin ? null : origin}, mine);
}

function showPlayerError(failure, stream) {
  const details = [failure.message];
  if (stream.wrongOrigin) {
    return showError(t('other_origin', {origin: stream.wrongOrigin}), {details});
  }
  if (failure.reason || failure.status >= 400) {
    const words = failure.reason ? wordsOfReason(failure.reason) : wordsOfStatus(failure.status);
    const part = failure.url ? sourceOfLink(failure.url, true)?.url : '';
    if (part) details.unshift(t('part_failed', {url: part}));
    return showError(words, {code: failure.reason ?? String(failure.status), details});
  }
  return showError(t('player_failed'), {details});
}

function nameOf(engine) {
  return engine.name === 'browser' ? t('player_browser') : titleOf(engine.name);
}

// Tries the engines that play this kind, one after the other.
async function play(kind, stream, mine) {
  const engines = enginesFor(kind, video);
  if (!engines.length) {
    stream.answer.cancel();
    showError(t('no_player', {player: missingPlayer(kind)}));
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
    showPlayerError(failure, stream);
    stop();
  };
  setFact('player', nameOf(engine));
  setStatus('starting', {player: nameOf(engine)});
  document.body.classList.add('plays');
  try {
    const end = await engine.start(video, {...stream, kind}, {
      note: (key, values) => isCurrent() && note(t(key, values)),
      fact: (name, value) => isCurrent() && setFact(name, value),
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
    if (now?.engine) setStatus(key, {player: nameOf(now.engine)});
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
    if (video.duration === Infinity) setFact('length', t('live'));
    else if (video.duration) setFact('length', clock(video.duration));
  });
}

// --- channels ---

const number = (value) => value.toLocaleString(document.documentElement.lang);

const channels = new Channels($('channel-list'), {
  choose: (entry) => {
    const source = entry.isRewritten ? entry.source : withOptions(entry.source, readOptions());
    showLinks(source, entry.name);
    $('player').scrollIntoView({block: 'nearest'});
    run(source);
  },
  changed: (count, all) => {
    const shown = number(count);
    $('channel-count').textContent = t('channel_count', {shown, all: number(all)});
  },
});

function showList(entries) {
  if (!entries.length) return showError(t('empty_list'));
  list = entries;
  $('channels').hidden = false;
  $('search').value = '';
  channels.set(entries);
  fillGroups();
  setStatus('list_read', {count: number(entries.length)});
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
    const options = readOptions();
    const text = writeList(list, (source) => linkOf(withOptions(source, options)));
    const url = URL.createObjectURL(new Blob([text], {type: 'application/vnd.apple.mpegurl'}));
    make('a', {href: url, download: 'streamgate.m3u'}).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
}

// --- the page ---

function submit() {
  const text = readInput();
  if (!text) return $('input').focus();
  if (!isListText(text)) return run(sourceInForm());
  begin();
  stop();
  if (isHls(text)) return showError(t('pasted_hls'));
  return showList(parseList(text, false));
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
    channels.changed(channels.shown.length, list.length);
  }
  say(...status);
}

connectForm({onChange: onFormChange, onSubmit: submit});
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
// A link to the page may bring a URL along: `#url=...`. It fills the form and starts nothing.
const brought = new URLSearchParams(location.hash.slice(1)).get('url');
if (brought) setInput(brought);
$('input').focus();
