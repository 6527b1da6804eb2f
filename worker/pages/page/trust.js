// The page's policy for Trusted Types. The Content-Security-Policy forbids conversions of text to
// HTML or code; only the URLs of the embedded players may become scripts. Imported before all other
// modules.

const scripts = ['mpegts.js', 'hls.worker.js'].map(
  (name) => new URL(`players/${name}`, import.meta.url).href);

window.trustedTypes?.createPolicy('default', {
  createScriptURL: (url) => {
    const absolute = new URL(url, document.baseURI).href;
    return scripts.includes(absolute) ? absolute : null;  // null: refused
  },
});
