// oidc-provider 9 as it serves a gateway: without pushed authorization requests and request objects of its own, with DPoP. It
// asks for nonces in the proofs. Its pages are those that it has for development.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { reply } from './conversation.mjs';

console.info = console.warn = () => {}; // what it says of development, while it is loaded and later
const { default: Provider } = await import('oidc-provider');

const accepted = new Map(); // the authorization requests that have succeeded, by their state
let nonces = 0; // how often a proof without a nonce was sent back

async function start({ issuer, redirect_uri, clients }) {
  const provider = new Provider(issuer, {
    clients: clients.map(({ client_id, jwks }) => ({
      client_id, jwks, redirect_uris: [redirect_uri], token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
      authorization_details_types: ['payment'],
    })),
    features: {
      pushedAuthorizationRequests: { enabled: false },
      requestObjects: { enabled: false },
      dPoP: { enabled: true, nonceSecret: crypto.getRandomValues(Buffer.alloc(32)), requireNonce: () => true },
      claimsParameter: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => ({ scope: '' }), useGrantedResource: () => true },
      richAuthorizationRequests: {
        enabled: true,
        types: { payment: { validate: () => {} } },
        authorizationDetailsForGrantSource: ({ oidc: { params } }) => JSON.parse(params.authorization_details),
        authorizationDetailsForAccessToken: (ctx, token, source) => source.rar,
        authorizationDetailsForIntrospection: (ctx, token) => token.rar,
      },
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  provider.proxy = true; // X-Forwarded-Proto and -Host are the public ones
  provider.on('authorization.success', ({ oidc: { params } }) => accepted.set(params.state, { ...params }));
  provider.on('grant.error', (ctx, err) => { if (err.error === 'use_dpop_nonce') nonces += 1; });
  const server = createServer(provider.callback()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}` };
}

await reply((asked) => (asked.issuer ? start(asked) : { accepted: accepted.get(asked.state), nonces }));
