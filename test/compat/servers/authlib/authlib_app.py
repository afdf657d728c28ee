"""Authlib's OAuth 2.0 server for Flask. The pages are this file's: login returns to the address that it was given in
next, and consent is a form that goes to its own address."""

import os
from types import SimpleNamespace

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import JsonWebKey
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, redirect, request, session, url_for

env = os.environ
app = Flask(__name__)
app.secret_key = "test"
key = JsonWebKey.generate_key("RSA", 2048, is_private=True)
codes = {}


class Client(ClientMixin):
    methods = ["client_secret_basic", "client_secret_post"]

    def get_client_id(self):
        return env["CLIENT_ID"]

    def get_default_redirect_uri(self):
        return env["REDIRECT_URIS"].split()[0]

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in env["REDIRECT_URIS"].split()

    def check_client_secret(self, client_secret):
        return client_secret == env["CLIENT_SECRET"]

    def check_endpoint_auth_method(self, method, endpoint):
        return method in self.methods

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


class PublicClient(Client):
    methods = ["none"]

    def get_client_id(self):
        return env["PUBLIC_CLIENT_ID"]

    def check_client_secret(self, client_secret):
        return False


class Code(SimpleNamespace):
    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return 0


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def save_authorization_code(self, code, request):
        data = request.data
        codes[code] = Code(
            code=code, redirect_uri=request.redirect_uri, scope=request.scope, user=request.user, nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"), code_challenge_method=data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code, client):
        return codes.get(code)

    def delete_authorization_code(self, authorization_code):
        del codes[authorization_code.code]

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class OpenID(OpenIDCode):
    def exists_nonce(self, nonce, request):
        return False

    def get_jwt_config(self, grant):
        return {"key": key, "alg": "RS256", "iss": env["PUBLIC_URL"], "exp": 3600}

    def generate_user_info(self, user, scope):
        return UserInfo(sub=user)


clients = {client.get_client_id(): client for client in (Client(), PublicClient())}
server = AuthorizationServer(
    app,
    query_client=clients.get,
    save_token=lambda token, request: None,
)
server.register_grant(CodeGrant, [OpenID(require_nonce=False), CodeChallenge(required=True)])


@app.route("/login", methods=["GET", "POST"])
def login():
    form = request.form
    if form.get("username") == env["USERNAME"] and form.get("password") == env["PASSWORD"]:
        session["user"] = form["username"]
        return redirect(request.args["next"])
    return '<form method="post"><input name="username"><input name="password" type="password"><button>Sign in</button></form>'


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    user = session.get("user")
    if not user:
        return redirect(url_for("login", next=request.url))
    if request.method == "POST":
        return server.create_authorization_response(grant_user=user if request.form.get("confirm") == "yes" else None)
    try:
        server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return error.error, 400
    return '<form method="post"><button name="confirm" value="yes">Allow</button><button name="confirm" value="no">Deny</button></form>'


@app.route("/token", methods=["POST"])
def token():
    return server.create_token_response()
