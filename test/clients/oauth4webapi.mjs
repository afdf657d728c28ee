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

// proofs are of one key in all logins. They have the nonces that the server gave out in earlier ones.
let proofs;

async function begin(asked) {
  const issuer = new URL(asked.issuer);
  const options = { [oauth.allowInsecureRequests]: issuer.protocol === 'http:', [oauth.customFetch]: fetchWith(asked) };
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
  const client = { client_id: asked.client_id };
  const authentication = await methods[asked.method](asked);
  const verifier = oauth.generateRandomCodeVerifier();
  const session = { asked, as, client, authentication, verifier, options };
  const short = await reference(session, {
    response_type: 'code', redirect_uri: asked.redirect_uri, scope: 'openid', state: asked.state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...asked.params,
  });
  const url = new URL(as.authorization_endpoint);
  url.searchParams.set('client_id', asked.client_id);
  for (const [name, value] of Object.entries(short)) url.searchParams.set(name, value);
  return { url, ...session };
}

// reference is what the URL has beside the client_id.
async function reference({ asked, as, client, authentication, options }, params) {
  if (asked.signed) {
    params = { request: await oauth.issueRequestObject(as, client, params, await privateKey(asked), renamed(asked, oauth.modifyAssertion)) };
    if (asked.unpushed) return params;
  }
  if (asked.dpop) proofs ??= await newProofs(client);
  const DPoP = asked.dpop ? proofs : undefined;
  const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, authentication, params, { ...options, DPoP }));
  return { request_uri };
}

const newProofs = async (client) => oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

async function finish(response, session, { key }) {
  const { asked, as, client, authentication, options } = session;
  const DPoP = await { own: () => proofs, other: () => newProofs(client) }[key]?.();
  const tokens = await redeem(oauth.validateAuthResponse(as, client, response, asked.state), session, DPoP);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const answer = { access_token: tokens.access_token, token_type: tokens.token_type, sub: claims?.sub, thumbprint: await DPoP?.calculateThumbprint() };
  if (claims) {
    if (!asked.params.resource) {
      await oauth.processUserInfoResponse(as, client, claims.sub,
        await oauth.userInfoRequest(as, client, tokens.access_token, { ...options, DPoP }));
    }
    answer.introspection = await oauth.processIntrospectionResponse(as, client,
      await oauth.introspectionRequest(as, client, authentication, tokens.access_token, options));
  }
  return answer;
}

// redeem asks again when the server wants a nonce in the proof.
async function redeem(params, { asked, as, client, authentication, verifier, options }, DPoP) {
  const attempt = async () => {
    const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, params, asked.redirect_uri, verifier, { ...options, DPoP });
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: asked.params?.nonce, requireIdToken: !!asked.params?.nonce });
    if (tokens.id_token) await oauth.validateApplicationLevelSignature(as, response, options);
    return tokens;
  };
  return attempt().catch((err) => {
    if (!oauth.isDPoPNonceError(err)) throw err;
    return attempt();
  });
}

await converse(begin, finish);
