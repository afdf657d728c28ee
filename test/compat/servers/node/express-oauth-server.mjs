// @node-oauth/express-oauth-server. It has no pages; these carry the whole request in the login page's address, and
// consent is a form that goes to its own address, as its documentation does it.
import { randomBytes } from 'node:crypto';
import express from 'express';
import session from 'express-session';
import OAuthServer from '@node-oauth/express-oauth-server';

const { PORT, CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID, REDIRECT_URIS, USERNAME, PASSWORD } = process.env;
const client = { id: CLIENT_ID, redirectUris: REDIRECT_URIS.split(' '), grants: ['authorization_code'] };
const publicClient = { ...client, id: PUBLIC_CLIENT_ID };
const codes = new Map();
const tokens = new Map();

const oauth = new OAuthServer({
  model: {
    getClient: (id, secret) => (id === CLIENT_ID && (secret === null || secret === CLIENT_SECRET) && client)
      || (id === PUBLIC_CLIENT_ID && !secret && publicClient),
    validateScope: (user, c, scope) => scope,
    saveAuthorizationCode: (code, c, user) => { const saved = { ...code, client: c, user }; codes.set(code.authorizationCode, saved); return saved; },
    getAuthorizationCode: (code) => codes.get(code),
    revokeAuthorizationCode: (code) => codes.delete(code.authorizationCode),
    saveToken: (token, c, user) => { const saved = { ...token, client: c, user }; tokens.set(token.accessToken, saved); return saved; },
    getAccessToken: (token) => tokens.get(token),
    generateAccessToken: () => randomBytes(16).toString('hex'),
  },
  useErrorHandler: false,
});

const app = express();
app.use(session({ secret: 'test', resave: false, saveUninitialized: false }));
app.use(express.urlencoded({ extended: false }));

const query = (req) => new URL(req.originalUrl, 'http://here').search;
const loggedIn = (req, res, next) => (req.session.user ? next() : res.redirect(`/login${query(req)}`));
const loginPage = (req, res) => res.send(`<form method="post" action="/login${query(req).replaceAll('&', '&amp;')}">
  <input name="username"><input name="password" type="password"><button>Sign in</button></form>`);

app.get('/login', loginPage);
app.post('/login', (req, res) => {
  if (req.body.username !== USERNAME || req.body.password !== PASSWORD) return loginPage(req, res);
  req.session.user = { id: req.body.username };
  return res.redirect(`/oauth/authorize${query(req)}`);
});
app.get('/oauth/authorize', loggedIn, (req, res) => res.send(`<form method="post">
  <button name="allowed" value="true">Allow</button><button name="allowed" value="false">Deny</button></form>`));
app.post('/oauth/authorize', loggedIn, oauth.authorize({ authenticateHandler: { handle: (req) => req.session.user } }));
app.post('/oauth/token', oauth.token());
app.listen(PORT, '127.0.0.1');
