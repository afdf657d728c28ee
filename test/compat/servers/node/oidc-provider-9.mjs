// oidc-provider 9 with pushed authorization requests off, and pages of its own for login and consent.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const { PORT, PUBLIC_URL, CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID, REDIRECT_URIS, USERNAME, PASSWORD } = process.env;

const provider = new Provider(PUBLIC_URL, {
  clients: [{
    client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: REDIRECT_URIS.split(' '),
    response_types: ['code'], grant_types: ['authorization_code'],
  }, {
    client_id: PUBLIC_CLIENT_ID, token_endpoint_auth_method: 'none', redirect_uris: REDIRECT_URIS.split(' '),
    response_types: ['code'], grant_types: ['authorization_code'],
  }],
  features: {
    pushedAuthorizationRequests: { enabled: false },
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
  },
  claims: { openid: ['sub'], profile: ['name'] },
  cookies: { keys: ['test'] },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.proxy = true; // X-Forwarded-Proto is the public one

const page = (res, body, status = 200) => {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(`<!doctype html><title>oidc-provider</title>${body}`);
};
const login = (uid, note = '') => `<p>${note}</p><form method="post" action="/interaction/${uid}/login">
  <input name="username"><input name="password" type="password"><button>Sign in</button></form>`;
const consent = (uid) => `<form method="post" action="/interaction/${uid}/confirm"><button>Allow</button></form>
  <form method="post" action="/interaction/${uid}/abort"><button>Deny</button></form>`;

async function interaction(req, res) {
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  const step = req.method === 'POST' ? req.url.split('/').pop() : '';
  const finish = (result) => provider.interactionFinished(req, res, result, { mergeWithLastSubmission: step === 'confirm' });
  switch (step) {
    case 'login': {
      const form = new URLSearchParams(await text(req));
      if (form.get('username') !== USERNAME || form.get('password') !== PASSWORD) return page(res, login(uid, 'Wrong password.'));
      return finish({ login: { accountId: form.get('username') } });
    }
    case 'confirm': {
      const grant = grantId ? await provider.Grant.find(grantId)
        : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      const { missingOIDCScope, missingOIDCClaims } = prompt.details;
      if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
      if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
      return finish({ consent: { grantId: await grant.save() } });
    }
    case 'abort':
      return finish({ error: 'access_denied', error_description: 'the user said no' });
    default:
      return page(res, prompt.name === 'login' ? login(uid) : consent(uid));
  }
}

const callback = provider.callback();
createServer((req, res) => {
  if (!req.url.startsWith('/interaction/')) return callback(req, res);
  return interaction(req, res).catch((err) => page(res, `<p>${err.name}</p>`, 400));
}).listen(PORT, '127.0.0.1');
