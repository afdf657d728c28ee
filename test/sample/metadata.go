package sample

// Metadata is what an OpenID provider of today without PAR says of itself at https://as.example (OpenID Connect Discovery
// §3, RFC 8414 §2).
const Metadata = `{
  "issuer": "https://as.example",
  "authorization_endpoint": "https://as.example/authorize",
  "token_endpoint": "https://as.example/token",
  "introspection_endpoint": "https://as.example/introspect",
  "revocation_endpoint": "https://as.example/revoke",
  "userinfo_endpoint": "https://as.example/userinfo",
  "end_session_endpoint": "https://as.example/logout",
  "jwks_uri": "https://as.example/jwks.json",
  "check_session_iframe": "https://as.example/session.html",
  "registration_endpoint": "https://as.example/register",
  "device_authorization_endpoint": "https://as.example/device",
  "frontchannel_logout_supported": true,
  "backchannel_logout_supported": true,
  "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"],
  "response_types_supported": ["code", "none", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token"],
  "response_modes_supported": ["query", "fragment", "form_post"],
  "subject_types_supported": ["public", "pairwise"],
  "acr_values_supported": ["0", "1"],
  "id_token_signing_alg_values_supported": ["PS384", "ES384", "RS384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512"],
  "userinfo_signing_alg_values_supported": ["PS384", "ES384", "RS384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512", "none"],
  "request_object_signing_alg_values_supported": ["PS384", "ES384", "RS384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512", "none"],
  "request_object_encryption_alg_values_supported": ["RSA-OAEP", "RSA-OAEP-256"],
  "request_object_encryption_enc_values_supported": ["A256GCM", "A192GCM", "A128GCM"],
  "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"],
  "token_endpoint_auth_signing_alg_values_supported": ["PS384", "ES384", "RS384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512"],
  "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "given_name", "family_name", "preferred_username", "email", "acr"],
  "claim_types_supported": ["normal"],
  "claims_parameter_supported": true,
  "scopes_supported": ["openid", "offline_access", "profile", "email", "address", "phone", "roles"],
  "request_parameter_supported": true,
  "request_uri_parameter_supported": true,
  "require_request_uri_registration": true,
  "code_challenge_methods_supported": ["plain", "S256"],
  "tls_client_certificate_bound_access_tokens": true,
  "dpop_signing_alg_values_supported": ["PS384", "ES384", "RS384", "ES256", "RS256", "ES512", "PS256", "PS512", "RS512"],
  "mtls_endpoint_aliases": {
    "token_endpoint": "https://mtls.as.example/token",
    "revocation_endpoint": "https://mtls.as.example/revoke",
    "introspection_endpoint": "https://mtls.as.example/introspect"
  }
}
`
