// How a test talks with a library: a line of JSON for each thing that is asked, and one for each answer.
import { createInterface } from 'node:readline';
import { Agent, fetch as undiciFetch } from 'undici';

// converse takes two kinds of questions: begin makes a request and returns the URL that opens it, finish returns what the
// authorization response to it is worth.
export function converse(begin, finish) {
  let kept;
  return reply(async (asked) => {
    if (asked.response) return finish(new URL(asked.response), kept, asked);
    kept = await begin(asked);
    return { url: kept.url };
  });
}

// reply answers every question until there are no more.
export async function reply(answerTo) {
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await answerTo(JSON.parse(line)));
    } catch (err) {
      say({ failure: await told(err) });
    }
  }
  process.exit();
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

// told is what an application can learn from the error that a library has thrown.
const told = async (err) => ({
  name: err.name,
  message: err.message,
  status: err.status,
  error: err.error,
  description: err.error_description,
  challenges: err.name === 'WWWAuthenticateChallengeError' ? err.cause : undefined,
  body: err.response && !err.response.bodyUsed ? await err.response.json() : undefined,
});

const algorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  Ed25519: { name: 'Ed25519' },
  EdDSA: { name: 'Ed25519' },
};

// privateKey is what signs the client's assertions and request objects.
export const privateKey = async ({ algorithm, key }) => ({
  key: await crypto.subtle.importKey('jwk', key, algorithms[algorithm], false, ['sign']),
  kid: key.kid,
});

// renamed are the options of an assertion or request object: both libraries call the algorithm Ed25519 (RFC 9864), older ones EdDSA.
export const renamed = ({ algorithm }, modifyAssertion) =>
  algorithm === 'EdDSA' ? { [modifyAssertion]: (header) => { header.alg = algorithm; } } : undefined;

// fetchWith shows the client's certificate where there is one. Node's own fetch cannot.
export function fetchWith({ tls }) {
  if (!tls) return fetch;
  const dispatcher = new Agent({ connect: tls });
  return (url, options) => undiciFetch(url, { ...options, dispatcher });
}
