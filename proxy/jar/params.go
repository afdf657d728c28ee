package jar

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	josejson "github.com/go-jose/go-jose/v4/json"

	"pargate/proxy/jwt"
	"pargate/proxy/oauth"
)

// envelope are the claims that speak of the token itself (RFC 7519 §4.1). They are not parameters of the request.
var envelope = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// structured are the parameters whose values are JSON, and travel as its text (OpenID Connect Core §5.5 and §7.2.1, RFC 9396
// §2): with the bracket that each begins with.
var structured = map[string]byte{oauth.ParamClaims: '{', "registration": '{', oauth.ParamAuthorizationDetails: '['}

// paramsOf makes parameters of claims (RFC 9101 §4), in the order of their names. What no form could say in a push is
// refused here too.
func paramsOf(claims jwt.Object) (oauth.Params, error) {
	var params oauth.Params
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if slices.Contains(envelope, name) || oauth.IsNeverKept(name) {
			continue
		}
		values, err := valuesOf(name, claims[name])
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if value != "" { // which counts as absent (RFC 6749 §3.1)
				params = append(params, oauth.Param{Name: name, Value: value})
			}
		}
	}
	return params, checkAsForm(params)
}

// checkAsForm holds the parameters to the rules for a form: how many there may be, and that no two parsers read them in
// two ways.
func checkAsForm(params oauth.Params) error {
	_, err := oauth.ParseForm(params.Encode())
	var told *oauth.Error
	if errors.As(err, &told) {
		return errors.New("cannot be sent on as a form: " + told.Description)
	}
	return err
}

var errStructure = errors.New("has an object or an array in a claim that must be a string")

// valuesOf returns the values of one parameter: a string as it is, a number or a boolean as its text, JSON where the
// parameter is that, and none for null.
func valuesOf(name string, raw josejson.RawMessage) ([]string, error) {
	switch raw[0] {
	case 'n':
		return nil, nil
	case 't', 'f':
		return []string{string(raw)}, nil
	case '"':
		return stringOf(raw)
	case '{', '[':
		switch {
		case structured[name] == raw[0]:
			return compact(raw)
		case name == oauth.ParamResource && raw[0] == '[':
			return stringsOf(raw)
		}
		return nil, errStructure
	}
	return numberOf(string(raw))
}

func stringOf(raw josejson.RawMessage) ([]string, error) {
	var value string
	if josejson.Unmarshal(raw, &value) != nil {
		return nil, errors.New("has a string that cannot be read")
	}
	return []string{value}, nil
}

// stringsOf: each element becomes a parameter of its own (RFC 8707 §2).
func stringsOf(raw josejson.RawMessage) (values []string, err error) {
	var elements []josejson.RawMessage
	if josejson.Unmarshal(raw, &elements) != nil {
		return nil, errStructure
	}
	for _, element := range elements {
		if element[0] != '"' {
			return nil, errors.New("has a resource that is neither a string nor an array of strings")
		}
		value, err := stringOf(element)
		if err != nil {
			return nil, err
		}
		values = append(values, value...)
	}
	return values, nil
}

// compact takes the blanks out of JSON; everything else keeps its bytes.
func compact(raw josejson.RawMessage) ([]string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, errStructure
	}
	return []string{b.String()}, nil
}

var plainInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,29})$`)

// numberOf writes a whole number in plain digits, however it was written; another one stays as it is.
func numberOf(raw string) ([]string, error) {
	if plainInteger.MatchString(raw) {
		return []string{raw}, nil
	}
	n, err := strconv.ParseFloat(raw, 64)
	switch {
	case err != nil || len(raw) > 30 || math.Abs(n) > 1<<53:
		return nil, errors.New("has a number that is too large or too long")
	case n == math.Trunc(n):
		return []string{strconv.FormatFloat(n, 'f', -1, 64)}, nil
	}
	return []string{raw}, nil
}
