// A login with oauth4webapi, request by request.
import * as oauth from 'oauth4webapi';
import { converse, fetchWith, privateKey, renamed } from './conversation.mjs';

const methods = {
  client_secret_basic: ({ secret }) => oauth.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => oauth.ClientSecretPost(secret),
  client_secret_jwt: ({ secret }) => oauth.ClientSecretJwt(secret),
  private_key_jwt: async (asked) => oauth.PrivateKeyJwt(await privateKey(asked), renamed(asked, oauth.modifyAssertion)),
  tls_client_auth: () => oauth.TlsClientAuth(),
  none: () => oauth.None(),
};

async function begin(asked) {
  const issuer = new URL(asked.issuer);
  const options = { [oauth.allowInsecureRequests]: issuer.protocol === 'http:', [oauth.customFetch]: fetchWith(asked) };
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
  const client = { client_id: asked.client_id };
  const authentication = await methods[asked.method](asked);
  const verifier = oauth.generateRandomCodeVerifier();
  const pushed = await oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, authentication, {
      response_type: 'code', redirect_uri: asked.redirect_uri, scope: 'openid', state: asked.state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    }, options));
  const url = new URL(as.authorization_endpoint);
  url.searchParams.set('client_id', asked.client_id);
  url.searchParams.set('request_uri', pushed.request_uri);
  return { url, asked, as, client, authentication, verifier, options };
}

async function finish(response, { asked, as, client, authentication, verifier, options }) {
  const params = oauth.validateAuthResponse(as, client, response, asked.state);
  return oauth.processAuthorizationCodeResponse(as, client,
    await oauth.authorizationCodeGrantRequest(as, client, authentication, params, asked.redirect_uri, verifier, options));
}

await converse(begin, finish);
