// Links to the proxy. A source is a stream with its request options:
//   {url, referer, headers: [[name, value]], live, alternatives: [url], other: [[name, value]]}
// `other` has the parameters of a link that this page does not know, such as the cookies of a
// list's channels. They are kept.

const encode = encodeURIComponent;
const longestName = 128;

export const emptySource = (url = '') =>
  ({url, referer: '', headers: [], live: false, alternatives: [], other: []});

function queryOf(source) {
  const parameters = [['url', source.url]];
  if (source.referer) parameters.push(['referer', source.referer]);
  for (const [name, value] of source.headers) parameters.push([`h_${name}`, value]);
  if (source.live) parameters.push(['sg_live', '1']);
  for (const url of source.alternatives) parameters.push(['sg_alt', url]);
  parameters.push(...source.other);
  return parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
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
// `form_<name>` in strings.js.
export const forms = [
  {name: 'query', path: (source) => `stream?${queryOf(source)}`},
  {name: 'named', path: (source) => `stream/${encode(fileNameOf(source.url))}?${queryOf(source)}`},
];

const base = () => new URL('.', document.baseURI).href;

export const linkOf = (source, form = forms[0]) => base() + form.path(source);

// The source of a link to a Streamgate, or null. `isOurs`: the text is a link to this proxy with any
// host, because it is from a list that this proxy has rewritten.
export function sourceOfLink(text, isOurs = false) {
  if (!isOurs && !text.startsWith(base() + 'stream')) return null;
  let link;
  try {
    link = new URL(text, base());
  } catch {
    return null;
  }
  if (!/\/stream(\/[^/]*)?$/.test(link.pathname)) return null;
  const source = emptySource();
  for (const [name, value] of link.searchParams) {
    if (name === 'url') source.url = value;
    else if (name === 'referer') source.referer = value;
    else if (name.startsWith('h_')) source.headers.push([name.slice(2), value]);
    else if (name === 'sg_live') source.live = value === '1';
    else if (name === 'sg_alt') source.alternatives.push(value);
    else source.other.push([name, value]);
  }
  return source.url ? source : null;
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
  };
}
