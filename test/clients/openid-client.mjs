// A login with openid-client.
import * as client from 'openid-client';
import { converse, fetchWith, privateKey, renamed } from './conversation.mjs';

const methods = {
  client_secret_basic: ({ secret }) => client.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => client.ClientSecretPost(secret),
  client_secret_jwt: ({ secret }) => client.ClientSecretJwt(secret),
  private_key_jwt: async (asked) => client.PrivateKeyJwt(await privateKey(asked), renamed(asked, client.modifyAssertion)),
  tls_client_auth: () => client.TlsClientAuth(),
  none: () => client.None(),
};

// proofs are of one key in all logins. They have the nonces that the server gave out in earlier ones.
let proofs;

async function begin(asked) {
  const issuer = new URL(asked.issuer);
  // Without a method it takes its own choice for the secret.
  const config = await client.discovery(issuer, asked.client_id, asked.secret, await methods[asked.method]?.(asked), {
    execute: [client.enableNonRepudiationChecks, ...issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []],
    [client.customFetch]: fetchWith(asked),
  });
  const verifier = client.randomPKCECodeVerifier();
  const url = await address(config, asked, {
    redirect_uri: asked.redirect_uri, scope: 'openid', state: asked.state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...asked.params,
  });
  return { url, asked, config, verifier };
}

async function address(config, asked, params) {
  if (asked.signed) {
    const url = await client.buildAuthorizationUrlWithJAR(config, params, await privateKey(asked), renamed(asked, client.modifyAssertion));
    if (asked.unpushed) return url;
    params = url.searchParams;
  }
  if (asked.dpop) proofs ??= await newProofs(config);
  return client.buildAuthorizationUrlWithPAR(config, params, asked.dpop && { DPoP: proofs });
}

const newProofs = async (config) => client.getDPoPHandle(config, await client.randomDPoPKeyPair());

async function finish(response, { asked, config, verifier }, { key }) {
  const DPoP = await { own: () => proofs, other: () => newProofs(config) }[key]?.();
  const tokens = await client.authorizationCodeGrant(config, response, {
    expectedState: asked.state, expectedNonce: asked.params?.nonce, pkceCodeVerifier: verifier, idTokenExpected: !!asked.params?.nonce,
  }, undefined, { DPoP });
  const claims = tokens.claims();
  const answer = { access_token: tokens.access_token, token_type: tokens.token_type, sub: claims?.sub, thumbprint: await DPoP?.calculateThumbprint() };
  if (claims) {
    if (!asked.params.resource) await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP });
    answer.introspection = await client.tokenIntrospection(config, tokens.access_token);
  }
  return answer;
}

await converse(begin, finish);
