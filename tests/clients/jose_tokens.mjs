// Makes tokens with the npm package jose and prints them as JSON, with the public keys.
//
//   node jose_tokens.mjs FOLDER-OF-JOSE SECRET
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, secret] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/`));
const jose = await import(pathToFileURL(require.resolve('jose')).href);

const sign = (algorithm, key, expiry, claims = {}) =>
  new jose.SignJWT(claims)
    .setProtectedHeader({ alg: algorithm, typ: 'JWT', kid: algorithm })
    .setIssuer('shop')
    .setAudience(['proxy', 'player'])
    .setIssuedAt()
    .setJti('viewer 7')
    .setExpirationTime(expiry)
    .sign(key);

const out = {};
for (const algorithm of ['HS256', 'ES256', 'EdDSA']) {
  const pair =
    algorithm === 'HS256'
      ? { privateKey: new TextEncoder().encode(secret) }
      : await jose.generateKeyPair(algorithm, { extractable: true });
  const now = Math.floor(Date.now() / 1000);
  out[algorithm] = {
    public: pair.publicKey ? await jose.exportSPKI(pair.publicKey) : null,
    good: await sign(algorithm, pair.privateKey, '10m'),
    expired: await sign(algorithm, pair.privateKey, now - 600),
    elsewhere: await sign(algorithm, pair.privateKey, '10m', { prefix: 'http://other.test/' }),
  };
}
console.log(JSON.stringify(out));
