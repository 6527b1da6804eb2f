// The page's policy for Trusted Types. The Content-Security-Policy forbids to turn text into HTML
// or code; only the URLs of the embedded players become scripts. Imported before everything else.

const scripts = ['mpegts.js', 'hls.worker.js'].map(
  (name) => new URL(`players/${name}`, import.meta.url).href);

window.trustedTypes?.createPolicy('default', {
  createScriptURL: (url) => {
    const absolute = new URL(url, document.baseURI).href;
    return scripts.includes(absolute) ? absolute : null;  // null: refused
  },
});
