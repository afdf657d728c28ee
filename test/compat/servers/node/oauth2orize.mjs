// oauth2orize with passport and connect-ensure-login, wired as in its own examples: the login keeps the address of
// the authorization request in the session and returns to it.
import { createHash, randomBytes } from 'node:crypto';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import { Strategy } from 'passport-local';
import oauth2orize from 'oauth2orize';
import { ensureLoggedIn } from 'connect-ensure-login';

const { PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS, USERNAME, PASSWORD } = process.env;
const client = { id: CLIENT_ID, secret: CLIENT_SECRET, redirectURIs: REDIRECT_URIS.split(' ') };
const codes = new Map();

passport.use(new Strategy((name, password, done) => done(null, name === USERNAME && password === PASSWORD && { id: name })));
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser((id, done) => done(null, { id }));

const server = oauth2orize.createServer();
server.serializeClient((c, done) => done(null, c.id));
server.deserializeClient((id, done) => done(null, id === client.id && client));
// oauth2orize keeps of a request what its grant and its extensions read; PKCE and nonce are such an extension.
server.grant('*', 'request', (req) => ({ codeChallenge: req.query.code_challenge, nonce: req.query.nonce }));
server.grant(oauth2orize.grant.code((c, redirectURI, user, ares, areq, done) => {
  const code = randomBytes(16).toString('hex');
  codes.set(code, { redirectURI, scope: areq.scope, challenge: areq.codeChallenge, nonce: areq.nonce });
  done(null, code);
}));
server.exchange(oauth2orize.exchange.code((c, code, redirectURI, body, authInfo, done) => {
  const issued = codes.get(code);
  codes.delete(code);
  const challenge = createHash('sha256').update(body.code_verifier ?? '').digest('base64url');
  if (!issued || issued.redirectURI !== redirectURI || issued.challenge !== challenge) return done(null, false);
  // There is no ID token; the nonce stands beside the access token, so that a test can see which one arrived.
  return done(null, randomBytes(16).toString('hex'), null, { scope: issued.scope.join(' '), nonce: issued.nonce });
}));

function authenticateClient(req, res, next) {
  const basic = req.get('authorization');
  const [id, secret] = basic ? Buffer.from(basic.replace('Basic ', ''), 'base64').toString().split(':')
    : [req.body.client_id, req.body.client_secret];
  if (id !== client.id || secret !== client.secret) return res.status(401).end('Unauthorized');
  req.user = client;
  return next();
}

const app = express();
app.use(session({ secret: 'test', resave: false, saveUninitialized: false }));
app.use(express.urlencoded({ extended: false }));
app.use(passport.initialize());
const withUser = passport.session();

app.get('/login', (req, res) => res.send(`<form method="post" action="/login"><input name="username">
  <input name="password" type="password"><button>Sign in</button></form>`));
app.post('/login', withUser, passport.authenticate('local', { successReturnToOrRedirect: '/', failureRedirect: '/login', keepSessionInfo: true }));
app.get('/dialog/authorize', withUser, ensureLoggedIn(),
  server.authorize((id, redirectURI, done) => {
    if (id !== client.id || !client.redirectURIs.includes(redirectURI)) return done(null, false);
    return done(null, client, redirectURI);
  }),
  (req, res) => res.send(`<form method="post" action="/dialog/authorize/decision">
    <input name="transaction_id" type="hidden" value="${req.oauth2.transactionID}">
    <button>Allow</button><button name="cancel" value="Deny">Deny</button></form>`));
app.post('/dialog/authorize/decision', withUser, ensureLoggedIn(), server.decision());
app.post('/oauth/token', authenticateClient, server.token(), server.errorHandler());
app.listen(PORT, '127.0.0.1');
