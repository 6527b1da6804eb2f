// The kind of a body by its first bytes. The content type counts only if the bytes are not known.

const encoder = new TextEncoder();

function has(bytes, text, at = 0) {
  return encoder.encode(text).every((byte, i) => bytes[at + i] === byte);
}

// An MPEG-TS packet has 188 bytes and begins with 0x47.
function isTransportStream(bytes) {
  for (let at = 0; at < 3 * 188 && at < bytes.length; at += 188) {
    if (bytes[at] !== 0x47) return false;
  }
  return bytes.length > 188;
}

const boxes = ['ftyp', 'styp', 'moov', 'moof', 'sidx', 'mdat', 'free'];

function kindOfBytes(bytes) {
  if (isTransportStream(bytes)) return 'ts';
  if (has(bytes, 'FLV\x01')) return 'flv';
  if (boxes.some((box) => has(bytes, box, 4))) return 'mp4';
  if (bytes[0] === 0x1a && bytes[1] === 0x45 && bytes[2] === 0xdf && bytes[3] === 0xa3) {
    return 'matroska';
  }
  if (has(bytes, 'OggS')) return 'ogg';
  if (has(bytes, 'fLaC')) return 'flac';
  if (has(bytes, 'RIFF') && has(bytes, 'WAVE', 8)) return 'wav';
  if (has(bytes, 'ID3')) return 'mp3';
  if (bytes[0] === 0xff && (bytes[1] & 0xf6) === 0xf0) return 'aac';
  if (bytes[0] === 0xff && (bytes[1] & 0xe0) === 0xe0) return 'mp3';
  if (has(bytes, 'GIF8') || (bytes[0] === 0x89 && has(bytes, 'PNG', 1))) return 'image';
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'image';
  return null;
}

function kindOfText(text) {
  const start = text.replace(/^\s+/, '').slice(0, 4096);
  if (start.startsWith('#EXTM3U')) return 'playlist';
  if (/<MPD[\s>]/.test(start)) return 'dash';
  if (/^<!doctype html|^<html/i.test(start)) return 'html';
  return null;
}

const kindsByName = {
  mp4: 'mp4', m4v: 'mp4', m4a: 'mp4', mov: 'mp4', webm: 'matroska', mkv: 'matroska', ogg: 'ogg',
  oga: 'ogg', ogv: 'ogg', opus: 'ogg', flac: 'flac', wav: 'wav', mp3: 'mp3', aac: 'aac',
};

// The kind that the name of a file says, if it is one that browsers play themselves; else null.
export function kindOfName(name) {
  const [, extension] = /\.([a-z0-9]+)$/i.exec(name) ?? [];
  return kindsByName[extension?.toLowerCase()] ?? null;
}

// `playlist`, `dash`, `ts`, `flv`, a media kind, or `html`, `text`, `image`, `unknown`.
export function kindOf(bytes, contentType) {
  const type = (contentType ?? '').split(';', 1)[0].trim().toLowerCase();
  const text = kindOfText(new TextDecoder().decode(bytes.subarray(0, 8192)));
  if (text) return text;
  const byBytes = kindOfBytes(bytes);
  if (byBytes) return byBytes;
  if (type.includes('mpegurl')) return 'playlist';
  if (type.startsWith('image/')) return 'image';
  if (type.startsWith('audio/')) return 'audio';
  if (type.startsWith('video/')) return 'video';
  if (type.startsWith('text/') || type.includes('json') || type.includes('xml')) return 'text';
  return 'unknown';
}
