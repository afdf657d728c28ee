// oidc-provider 6 as it comes: no pushed authorization requests, and its development pages, which take any password
// and print the whole request.
import { Provider } from 'oidc-provider-6';

const { PORT, PUBLIC_URL, CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID, REDIRECT_URIS } = process.env;

const provider = new Provider(PUBLIC_URL, {
  clients: [{
    client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: REDIRECT_URIS.split(' '),
    response_types: ['code'], grant_types: ['authorization_code'],
  }, {
    client_id: PUBLIC_CLIENT_ID, token_endpoint_auth_method: 'none', redirect_uris: REDIRECT_URIS.split(' '),
    response_types: ['code'], grant_types: ['authorization_code'],
  }],
  claims: { openid: ['sub'], profile: ['name'] },
  cookies: { keys: ['test'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.proxy = true; // X-Forwarded-Proto is the public one
provider.listen(PORT, '127.0.0.1');
