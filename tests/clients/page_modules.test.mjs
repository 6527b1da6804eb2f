// The modules of the page that need no browser, in the folder PAGE. Run by test_page_modules.py.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {pathToFileURL} from 'node:url';

const moduleOf = (name) => import(pathToFileURL(`${process.env.PAGE}/${name}.js`));

globalThis.document = {baseURI: 'https://proxy.example/below/?x=1'};
const {emptySource, fileNameOf, forms, linkOf, sourceOfLink, withOptions} =
  await moduleOf('links');
const {isHls, isListText, parseHls, parseList, writeList} =
  await moduleOf('playlists');
const {kindOf, kindOfName} = await moduleOf('kinds');

const bytes = (text) => new TextEncoder().encode(text);

test('a link has all options of its source, encoded', () => {
  const source = {...emptySource('https://a.example/x y.ts?k=1&l=2#f'), referer: 'https://r.example/',
    headers: [['User-Agent', 'VLC/3.0 (+)']], live: true, alternatives: ['https://b.example/'],
    other: [['sg_c', 'YT1i']]};
  assert.equal(linkOf(source), 'https://proxy.example/below/stream?url=https%3A%2F%2Fa.example%2F' +
    'x%20y.ts%3Fk%3D1%26l%3D2%23f&referer=https%3A%2F%2Fr.example%2F' +
    '&h_User-Agent=VLC%2F3.0%20(%2B)&sg_live=1&sg_alt=https%3A%2F%2Fb.example%2F&sg_c=YT1i');
  const withToken = {...source, token: 'a.b-c_d'};
  assert.ok(linkOf(withToken).includes('&sg_token=a.b-c_d&'));
  for (const form of forms.filter(({can}) => can(withToken))) {
    assert.deepEqual(sourceOfLink(linkOf(withToken, form)), withToken);
  }
});

const pathForm = forms.find(({name}) => name === 'path');

test('a link of the path form keeps the path and carries what its children inherit', () => {
  const carried = (text) => btoa(text).replaceAll('=', '').replaceAll('+', '-').replaceAll('/', '_');
  const at = (rest) => `https://proxy.example/below/at/${rest}`;
  const plain = emptySource('https://a.example:8443/b/c d/%2F;e.mpd?f=1&g=/h');
  const path = 'https/a.example:8443/b/c%20d/%2F;e.mpd?f=1&g=/h';
  assert.equal(linkOf(plain, pathForm), at(`-/${path}`));
  assert.equal(linkOf({...plain, token: 't/1'}, pathForm), at(`-/${path}&sg_token=t%2F1`));
  assert.equal(linkOf({...emptySource('http://a.example'), token: 't'}, pathForm),
    at('-/http/a.example/?sg_token=t'));
  const headers = {...plain, referer: 'https://r.example/', headers: [['X-A', '1 é']]};
  assert.equal(linkOf(headers, pathForm),
    at(`${carried('referer=https%3A%2F%2Fr.example%2F&h_X-A=1%20%C3%A9')}/${path}`));
  const secret = {...emptySource('http://u:p@a.example/'), headers: [['cookie', 'c']]};
  assert.equal(linkOf(secret, pathForm),
    at(`${carried('sg_scope=http%3A%2F%2Fa.example%2F&h_cookie=c')}/http/u:p@a.example/`));
  for (const source of [headers, secret, {...plain, token: 't'}, {...plain, other: [['sg_c', 'YT1i']]}]) {
    const again = {...source, url: source.url.replace(' ', '%20')};
    assert.deepEqual(sourceOfLink(linkOf(source, pathForm)), again);
  }
  assert.equal(sourceOfLink(at('a/https/a.example/')), null);
  for (const more of [{live: true}, {alternatives: ['https://b.example/']}, {url: 'https://a/|A=b'},
    {url: 'gopher://a/'}, {url: 'a'}, {other: [['x', '1']]}]) {
    assert.ok(!pathForm.can({...emptySource('https://a.example/'), ...more}), JSON.stringify(more));
  }
});

test('the name of a file says its kind, if browsers play that', () => {
  for (const [name, kind] of [['a.mp4', 'mp4'], ['a.b.WEBM', 'matroska'], ['a.mp3', 'mp3'],
    ['a.ts', null], ['a.m3u8', null], ['a.mpd', null], ['mp4', null], ['stream', null]]) {
    assert.equal(kindOfName(name), kind, name);
  }
});

test('the named form ends in the file name of the URL', () => {
  for (const [url, name] of [
    ['https://a.example/b/c.m3u8?x=/y', 'c.m3u8'], ['https://a.example', 'stream'],
    ['https://a.example/', 'stream'], ['https://a.example/b/', 'stream'],
    ['https://a.example/%E4%B8%AD.ts', '中.ts'], ['https://a.example/%', '%'],
    ['https://a.example/a.ts|User-Agent=x/y', 'a.ts'], ['https://a.example/..', 'stream'],
    [`https://a.example/${'x'.repeat(200)}`, 'stream'],
  ]) assert.equal(fileNameOf(url), name, url);
});

test('only a link to this proxy is taken apart', () => {
  assert.equal(sourceOfLink('https://other.example/stream?url=https%3A%2F%2Fa.example'), null);
  assert.equal(sourceOfLink('https://proxy.example/stream?url=https%3A%2F%2Fa.example'), null);
  assert.equal(sourceOfLink('https://proxy.example/below/stream'), null);
  const inner = sourceOfLink('http://inner:8080/stream/a.ts?url=https%3A%2F%2Fa.example', true);
  assert.equal(inner.url, 'https://a.example');
});

test('a channel has its own headers before those of the form', () => {
  const channel = {...emptySource('https://a.example'), headers: [['user-agent', 'own']]};
  const form = {...emptySource(), referer: 'https://r.example/', live: true,
    token: 't', headers: [['User-Agent', 'form'], ['X-Key', 'k']]};
  assert.deepEqual(withOptions(channel, form), {...channel, referer: 'https://r.example/',
    token: 't', live: true, headers: [['user-agent', 'own'], ['X-Key', 'k']]});
});

const list = `\ufeff#EXTM3U x-tvg-url="https://guide.example/"
#EXTINF:-1 tvg-id="a" tvg-logo="https://l.example/a.png" group-title="News, local",One, two
#EXTVLCOPT:http-user-agent=VLC
#EXTVLCOPT:http-referrer=https://r.example/
https://a.example/1.ts
#EXTINF:-1 tvg-name="Named",
#EXTGRP:Sport
#KODIPROP:inputstream.adaptive.stream_headers=X-A=1%202&X-B=3
#EXTHTTP:{"Cookie":"c=1"}
https://a.example/2.ts|User-Agent=Kodi
http://proxy.example/3.ts
`;

test('a channel list is read in its dialects', () => {
  const {head, entries} = parseList(list.replaceAll('\n', '\r\n'), false);
  assert.equal(head, '#EXTM3U x-tvg-url="https://guide.example/"');
  assert.deepEqual(entries.map(({name, group, logo}) => [name, group, logo]), [
    ['One, two', 'News, local', 'https://l.example/a.png'], ['Named', 'Sport', ''],
    ['http://proxy.example/3.ts', '', '']]);
  assert.equal(entries[0].source.referer, 'https://r.example/');
  assert.deepEqual(entries[0].source.headers, [['User-Agent', 'VLC']]);
  assert.deepEqual(entries[1].source.headers, [['X-A', '1 2'], ['X-B', '3'], ['Cookie', 'c=1']]);
  assert.equal(entries[1].source.url, 'https://a.example/2.ts|User-Agent=Kodi');
});

test('a saved list keeps its tags, but not the headers that are in the links', () => {
  const text = writeList(parseList(list, false), ({source}) => linkOf(source));
  assert.deepEqual(text.split('\n').filter((line) => line.startsWith('#')), [
    '#EXTM3U x-tvg-url="https://guide.example/"',
    '#EXTINF:-1 tvg-id="a" tvg-logo="https://l.example/a.png" group-title="News, local",One, two',
    '#EXTINF:-1 tvg-name="Named",', '#EXTGRP:Sport']);
  const again = parseList(text, false);
  assert.deepEqual(again.entries.map(({source}) => source),
    parseList(list, false).entries.map(({source}) => source));
  assert.ok(again.entries.every(({isRewritten}) => isRewritten));
});

test('an HLS playlist is distinguished from a list', () => {
  assert.ok(isHls('#EXTM3U\n#EXT-X-TARGETDURATION:2\n'));
  assert.ok(!isHls(list));
  assert.ok(!isHls('#EXTM3U\n#EXTINF:-1,#EXT-X-STREAM-INF\nhttps://a.example/\n'));
  assert.ok(isListText(' #EXTM3U\n'));
  assert.ok(isListText('https://a.example/\n\nhttps://b.example/'));
  assert.ok(!isListText('\n https://a.example/ \n'));
});

test('the facts of an HLS playlist', () => {
  const found = parseHls('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2.5,\na.ts\n' +
    '#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n');
  assert.deepEqual([found.isLive, found.seconds, found.segments, found.isEncrypted, found.firstLink],
    [false, 4.5, 2, true, 'a.ts']);
  const {variants, audio} = parseHls('#EXTM3U\n' +
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English, low",LANGUAGE="en",URI="a"\n' +
    '#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=640x360,FRAME-RATE=25.000,CODECS="avc1,mp4a"\nv\n');
  assert.deepEqual(audio, ['English, low (en)']);
  assert.deepEqual(variants,
    [{width: 640, height: 360, bandwidth: 1, frameRate: 25, codecs: 'avc1,mp4a'}]);
});

test('the kind comes from the bytes before the content type', () => {
  const packet = new Uint8Array(188 * 3);
  for (const at of [0, 188, 376]) packet[at] = 0x47;
  for (const [start, type, kind] of [
    [packet, 'text/plain', 'ts'], [bytes('\ufeff\n#EXTM3U'), 'text/html', 'playlist'],
    [bytes('FLV\x01'), '', 'flv'], [bytes('\0\0\0\x18ftypisom'), 'text/plain', 'mp4'],
    [bytes('<?xml version="1.0"?>\n<MPD x="">'), 'text/xml', 'dash'],
    [bytes(' <!DOCTYPE html>'), 'video/mp2t', 'html'], [bytes('ID3'), '', 'mp3'],
    [Uint8Array.of(0xff, 0xf1, 0x50), '', 'aac'], [Uint8Array.of(0xff, 0xfb, 0x90), '', 'mp3'],
    [Uint8Array.of(0xff, 0xd8, 0xff), '', 'image'], [bytes('{}'), 'application/json', 'text'],
    [bytes('x'), 'Video/MP4; codecs=x', 'video'], [bytes('x'), 'audio/aac', 'audio'],
    [bytes('x'), 'application/octet-stream', 'unknown'], [new Uint8Array(), '', 'unknown'],
  ]) assert.equal(kindOf(start, type), kind, `${kind} ${type}`);
});
