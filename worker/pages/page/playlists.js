// HLS playlists and channel lists.
import {emptySource, sourceOfLink} from './links.js';

// A playlist with tags of HLS; any other is a channel list.
export const isHls = (text) =>
  /^#EXT-X-(TARGETDURATION|STREAM-INF|MEDIA|MEDIA-SEQUENCE|PART-INF)\b/m.test(text);

const unquoted = (text) => (text?.startsWith('"') ? text.slice(1, -1) : text);

function attributesOf(line) {
  const found = {};
  const list = line.slice(line.indexOf(':') + 1);
  for (const [, name, value] of list.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/g)) {
    found[name] = unquoted(value);
  }
  return found;
}

const lines = (text) => text.split(/\r\n|\r|\n/);

function variantOf(attributes) {
  const [width, height] = (attributes.RESOLUTION ?? '').split('x').map(Number);
  return {
    width: width || 0,
    height: height || 0,
    bandwidth: Number(attributes.BANDWIDTH) || 0,
    frameRate: Number(attributes['FRAME-RATE']) || 0,
    codecs: attributes.CODECS ?? '',
  };
}

// {isMultivariant, variants, audio, subtitles, isLive, seconds, segments, isEncrypted, firstLink}
export function parseHls(text) {
  const found = {
    isMultivariant: false, variants: [], audio: [], subtitles: [], isLive: true, seconds: 0,
    segments: 0, isEncrypted: false, firstLink: null,
  };
  for (const line of lines(text)) {
    if (line.startsWith('#EXT-X-STREAM-INF:')) {
      found.isMultivariant = true;
      found.variants.push(variantOf(attributesOf(line)));
    } else if (line.startsWith('#EXT-X-MEDIA:')) {
      const {TYPE, NAME, LANGUAGE} = attributesOf(line);
      const label = [NAME, LANGUAGE && LANGUAGE !== NAME ? `(${LANGUAGE})` : ''].join(' ').trim();
      if (TYPE === 'AUDIO') found.audio.push(label);
      if (TYPE === 'SUBTITLES') found.subtitles.push(label);
    } else if (line.startsWith('#EXTINF:')) {
      found.segments += 1;
      found.seconds += parseFloat(line.slice(8)) || 0;
    } else if (line.startsWith('#EXT-X-KEY:') || line.startsWith('#EXT-X-SESSION-KEY:')) {
      found.isEncrypted ||= attributesOf(line).METHOD !== 'NONE';
    } else if (line.startsWith('#EXT-X-ENDLIST') || /^#EXT-X-PLAYLIST-TYPE:\s*VOD/.test(line)) {
      found.isLive = false;
    } else if (line && !line.startsWith('#')) {
      found.firstLink ??= line.trim();
    }
  }
  return found;
}

function headersOfPairs(text, entry) {
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) continue;
    let value = pair.slice(equals + 1);
    try {
      value = decodeURIComponent(value);
    } catch {
      // Not encoded.
    }
    entry.source.headers.push([pair.slice(0, equals), value]);
  }
}

// The dialects of lists for the request headers of the next channel.
function takeOption(line, entry) {
  const [, option, value] = /^#(?:EXTVLCOPT|KODIPROP):([\w.-]+)=(.*)$/.exec(line) ?? [];
  if (option === 'http-referrer') entry.source.referer = value.trim();
  else if (option === 'http-user-agent') entry.source.headers.push(['User-Agent', value.trim()]);
  else if (option === 'http-origin') entry.source.headers.push(['Origin', value.trim()]);
  else if (/^inputstream\.adaptive\.(stream|manifest)_headers$/.test(option ?? '')) {
    headersOfPairs(value.trim(), entry);
  }
}

function takeJsonHeaders(line, entry) {
  try {
    for (const [name, value] of Object.entries(JSON.parse(line.slice('#EXTHTTP:'.length)))) {
      entry.source.headers.push([name, String(value)]);
    }
  } catch {
    // Not JSON: the line is a comment.
  }
}

const emptyEntry = () => ({name: '', group: '', logo: '', tags: [], source: emptySource()});

function takeInfo(line, entry) {
  const rest = line.replace(/([\w-]+)="([^"]*)"/g, (_, name, value) => {
    if (name === 'tvg-logo') entry.logo = value;
    if (name === 'group-title') entry.group = value;
    if (name === 'tvg-name') entry.name ||= value;
    return '';
  });
  entry.name = rest.slice(rest.indexOf(',') + 1).trim() || entry.name;
}

function takeTag(line, entry) {
  if (line.startsWith('#EXTHTTP:')) return takeJsonHeaders(line, entry);
  if (/^#(EXTVLCOPT|KODIPROP):/.test(line)) return takeOption(line, entry);
  if (line.startsWith('#EXTINF:')) takeInfo(line, entry);
  if (line.startsWith('#EXTGRP:')) entry.group ||= line.slice('#EXTGRP:'.length).trim();
  return entry.tags.push(line);
}

// A channel list, or lines with one URL each: {head, entries: [{name, group, logo, tags, source,
// isRewritten}]}. `head` is the line of #EXTM3U. The tags of an entry are kept for writeList(), but
// not those whose headers are in its source. `isRewritten`: the links are those of this proxy
// already, and carry the options of the list.
export function parseList(text, isRewritten) {
  const list = {head: '#EXTM3U', entries: []};
  let entry = emptyEntry();
  for (const raw of lines(text)) {
    const line = raw.trim();
    if (line.startsWith('#EXTM3U')) list.head = line;
    else if (line.startsWith('#')) takeTag(line, entry);
    else if (line) {
      const ours = sourceOfLink(line, isRewritten);
      entry.source = ours ?? {...entry.source, url: line};
      entry.isRewritten = Boolean(ours);
      entry.name ||= entry.source.url;
      list.entries.push(entry);
      entry = emptyEntry();
    }
  }
  return list;
}

// A pasted text is a list if it has the list's tag, or more than one line with a URL.
export const isListText = (text) =>
  /^\s*#EXTM3U/.test(text) || lines(text.trim()).filter((line) => line.trim()).length > 1;

// The list with links instead of URLs, for other players.
export const writeList = ({head, entries}, linkOfEntry) =>
  [head, ...entries.flatMap((entry) => [...entry.tags, linkOfEntry(entry)]), ''].join('\n');
