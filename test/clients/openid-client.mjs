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

async function begin(asked) {
  const issuer = new URL(asked.issuer);
  // Without a method it takes its own choice for the secret.
  const config = await client.discovery(issuer, asked.client_id, asked.secret, await methods[asked.method]?.(asked), {
    execute: issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [],
    [client.customFetch]: fetchWith(asked),
  });
  const verifier = client.randomPKCECodeVerifier();
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: asked.redirect_uri, scope: 'openid', state: asked.state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  return { url, asked, config, verifier };
}

const finish = (response, { asked, config, verifier }) =>
  client.authorizationCodeGrant(config, response, { expectedState: asked.state, pkceCodeVerifier: verifier });

await converse(begin, finish);
