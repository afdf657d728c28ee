package main

import (
	"bytes"
	"encoding/json"

	"golang.org/x/oauth2"
)

// authorizationDetails asks for a payment, a look at two accounts and two signatures (RFC 9396 §2, in the words of its
// examples).
const authorizationDetails = `[
	{
		"type": "payment_initiation",
		"actions": ["initiate", "status", "cancel"],
		"locations": ["https://bank.example/payments"],
		"instructedAmount": {"currency": "EUR", "amount": "1234.50"},
		"creditorName": "Städtische Wasserwerke Köln & Söhne",
		"creditorAccount": {"iban": "DE02100100109307118603", "bic": "PBNKDEFF"},
		"creditorAddress": {"street": "Große Straße 7", "postCode": "50667", "town": "Köln", "country": "DE"},
		"remittanceInformationUnstructured": "Rechnung 4711/2026: Abschlag + 19 % MwSt = 1.234,50 €, zahlbar „sofort“",
		"requestedExecutionDate": "2026-12-01"
	},
	{
		"type": "account_information",
		"actions": ["list_accounts", "read_balances", "read_transactions"],
		"locations": ["https://bank.example/accounts"],
		"accounts": [{"iban": "DE40100100103307118608", "owner": "Zoë Łukasiewicz"}, {"iban": "GR1601101250000000012300695", "owner": "Ζωή Λουκά"}],
		"recurringIndicator": true,
		"validUntil": "2027-03-31",
		"purpose": "家計簿アプリ"
	},
	{
		"type": "signature_creation",
		"actions": ["sign"],
		"locations": ["https://signing.example/qes"],
		"credentialID": "60916d31-932e-4820-ba82-1fcead1c9ea3",
		"documentDigests": [
			{"hash": "sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI=", "label": "Kontovertrag „Zukunft & Söhne“.pdf"},
			{"hash": "HZQzZmMAIWekfGH0/ZKW1nsdt0xg3H6bZYztgsMTLw0=", "label": "Einwilligung zur Datenübermittlung.pdf"}
		],
		"hashAlgorithmOID": "2.16.840.1.101.3.4.2.1"
	}
]`

// identityClaims asks who somebody is, and how that was found out (OpenID Connect for Identity Assurance §6).
const identityClaims = `{
	"userinfo": {
		"verified_claims": {
			"verification": {
				"trust_framework": {"value": "de_aml"},
				"time": {"max_age": 63113852},
				"evidence": [{"type": {"value": "document"}, "document_details": {"type": {"values": ["idcard", "passport"]}, "issuer": {"country": {"value": "DE"}, "name": null}, "date_of_expiry": null}}]
			},
			"claims": {
				"given_name": null,
				"family_name": {"essential": true},
				"birthdate": {"purpose": "Prüfung der Volljährigkeit für das Führen eines Kontos"},
				"place_of_birth": null,
				"nationalities": {"purpose": "Für die Meldung nach dem Geldwäschegesetz"}
			}
		},
		"address": {"essential": true},
		"phone_number": null
	},
	"id_token": {"auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]}}
}`

// requestKind is what the client asks for.
type requestKind string

const (
	bigRequest    requestKind = "big"    // authorization_details and claims
	smallRequest  requestKind = "small"  // the ordinary
	signedRequest requestKind = "signed" // the big one as a request object
)

// requestKinds are those that can be chosen, with what is said of them.
var requestKinds = []struct {
	Key        requestKind
	Name, Note string
}{
	{bigRequest, "big", "A payment, two accounts and two signatures (RFC 9396), and who somebody is (OpenID Connect for Identity Assurance)."},
	{smallRequest, "small", "scope, state, nonce and PKCE, as any client has them."},
	{signedRequest, "signed", "The big one as a signed request object (RFC 9101). pargate opens it; the server sees plain parameters."},
}

// more is what the client asks for beyond the ordinary.
func (k requestKind) more() []oauth2.AuthCodeOption {
	if k == smallRequest {
		return nil
	}
	return []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("authorization_details", compact(authorizationDetails)),
		oauth2.SetAuthURLParam("claims", compact(identityClaims)),
		oauth2.SetAuthURLParam("login_hint", "zoë@exämple.de"),
		oauth2.SetAuthURLParam("ui_locales", "de en"),
	}
}

// compact takes the blanks between the tokens out of a JSON text of ours.
func compact(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		panic(err) // it is a constant
	}
	return b.String()
}
