package jwt

import (
	"errors"
	"fmt"
)

// readKey reads the key in the header (RFC 7515 §4.1.3). Its error repeats nothing of it, unlike those about a client's
// registered keys. How much work a key can make is bounded: go-jose takes RSA keys of at most 4096 bits.
func (t *Token) readKey() error {
	raw := t.Header["jwk"]
	if raw == nil {
		return errors.New("has no jwk in its header; put the public key there")
	}
	key, err := parseKey(raw)
	switch {
	case errors.Is(err, errPrivate):
		return errors.New("has a private key in its header; send the public one, and do not use this key any more")
	case errors.Is(err, errShort):
		return fmt.Errorf("has an RSA key of less than %d bits in its header", minRSA)
	case err != nil || key == nil:
		return errors.New("has a jwk in its header that is no public key for signatures")
	case !key.Fits(t.Algorithm):
		return errors.New("has a jwk in its header that is not for its alg")
	}
	t.Key = key
	return nil
}
