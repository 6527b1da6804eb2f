// Links to the proxy. A source is a stream with its request options:
//   {url, referer, headers: [[name, value]], live, alternatives: [url], token, other: [[name, value]]}
// `other` has the parameters of a link that this page does not know, such as the cookies of a
// list's channels. They are kept.

const encode = encodeURIComponent;
const longestName = 128;

export const emptySource = (url = '') =>
  ({url, referer: '', headers: [], live: false, alternatives: [], token: '', other: []});

const textOf = (parameters) =>
  parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');

// What the links of a document inherit.
function inherited(source) {
  const parameters = source.headers.map(([name, value]) => [`h_${name}`, value]);
  return source.referer ? [['referer', source.referer], ...parameters] : parameters;
}

function queryOf(source) {
  const parameters = [['url', source.url], ...inherited(source)];
  if (source.live) parameters.push(['sg_live', '1']);
  for (const url of source.alternatives) parameters.push(['sg_alt', url]);
  if (source.token) parameters.push(['sg_token', source.token]);
  parameters.push(...source.other);
  return textOf(parameters);
}

// --- the path form (worker/links/path_link.h) ---

const secretHeaders = /^(authorization|cookie)$/i;

function httpUrl(text) {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && url.host ? url : null;
  } catch {
    return null;
  }
}

function toBase64Url(text) {
  const bytes = new TextEncoder().encode(text);
  const plain = btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(''));
  return plain.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return new TextDecoder().decode(Uint8Array.from(plain, (byte) => byte.charCodeAt(0)));
}

// Secrets are sent to the origin in front of them only.
function carryOf(source, origin) {
  const parameters = [...inherited(source), ...source.other];
  if (!parameters.length) return '-';
  const hasSecret = source.headers.some(([name]) => secretHeaders.test(name));
  return toBase64Url(textOf(hasSecret ? [['sg_scope', `${origin}/`], ...parameters] : parameters));
}

// sg_live and sg_alt belong to the query form, and the dialect `URL|Name=value` too.
function canBePath({url, live, alternatives, other}) {
  const isPlain = !live && !alternatives.length && !url.includes('|');
  const canCarry = other.every(([name]) => name.startsWith('sg_') && name !== 'sg_ext');
  return isPlain && canCarry && Boolean(httpUrl(url));
}

function pathOf(source) {
  const url = httpUrl(source.url);
  const user = url.username ? `${url.username}${url.password && `:${url.password}`}@` : '';
  const token = source.token && `${url.search ? '&' : '?'}sg_token=${encode(source.token)}`;
  return `at/${carryOf(source, url.origin)}/${url.protocol.slice(0, -1)}/${user}${url.host}` +
    `${url.pathname}${url.search}${token}`;
}

// The source of the path of a link in this form, or null.
function sourceOfPath(path) {
  const [, carry, scheme, rest] = /^at\/([\w-]+)\/(https?)\/(.+)$/s.exec(path) ?? [];
  if (!rest) return null;
  const source = emptySource(`${scheme}://${rest}`);
  source.url = source.url.replace(/([?&])sg_token=([^&]*)(&|$)/, (_, before, token, behind) => {
    source.token = decodeURIComponent(token);
    return behind && before;
  });
  if (carry === '-') return source;
  for (const [name, value] of new URLSearchParams(fromBase64Url(carry))) {
    if (name !== 'sg_scope') takeParameter(name, value, source);
  }
  return source;
}

// The last segment of the URL's path, for players that look at the file name.
export function fileNameOf(url) {
  const path = url.split(/[?#|]/, 1)[0].replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '');
  let name = path.slice(path.lastIndexOf('/') + 1);
  try {
    name = decodeURIComponent(name);
  } catch {
    // Not UTF-8: the text unchanged.
  }
  return name && name.length <= longestName && !/^\.+$/.test(name) ? name : 'stream';
}

// The forms of a link, as paths below the page. A further form is one more entry; its title is
// `form_<name>` in strings.js. `can`: whether the form can say this source.
export const forms = [
  {name: 'query', can: () => true, path: (source) => `stream?${queryOf(source)}`},
  {name: 'named', can: () => true,
    path: (source) => `stream/${encode(fileNameOf(source.url))}?${queryOf(source)}`},
  {name: 'path', can: canBePath, path: pathOf},
];

const base = () => new URL('.', document.baseURI).href;

export const linkOf = (source, form = forms[0]) => base() + form.path(source);

// The source of a link to a Streamgate, or null. `isOurs`: the text is a link to this proxy with any
// host, because it is from a list that this proxy has rewritten.
export function sourceOfLink(text, isOurs = false) {
  const isHere = text.startsWith(base() + 'stream') || text.startsWith(base() + 'at/');
  if (!isOurs && !isHere) return null;
  let link;
  try {
    link = new URL(text, base());
  } catch {
    return null;
  }
  const [path] = /(?<=\/)at\/[\w-]+\/https?\/.+$/s.exec(link.pathname) ?? [];
  try {
    if (path) return sourceOfPath(path + link.search);
  } catch {
    return null;  // a carry that no proxy makes
  }
  if (!/\/stream(\/[^/]*)?$/.test(link.pathname)) return null;
  const source = emptySource();
  for (const [name, value] of link.searchParams) takeParameter(name, value, source);
  return source.url ? source : null;
}

function takeParameter(name, value, source) {
  if (name === 'url') source.url = value;
  else if (name === 'referer') source.referer = value;
  else if (name.startsWith('h_')) source.headers.push([name.slice(2), value]);
  else if (name === 'sg_live') source.live = value === '1';
  else if (name === 'sg_alt') source.alternatives.push(value);
  else if (name === 'sg_token') source.token = value;
  else source.other.push([name, value]);
}

// The options of `source`, completed by those of `general`.
export function withOptions(source, general) {
  const own = source.headers.map(([name]) => name.toLowerCase());
  return {
    ...source,
    referer: source.referer || general.referer,
    headers: [...source.headers,
      ...general.headers.filter(([name]) => !own.includes(name.toLowerCase()))],
    live: source.live || general.live,
    token: source.token || general.token,
  };
}
