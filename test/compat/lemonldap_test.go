//go:build compat

package compat

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func lemonLDAP() *server {
	s := &server{
		name: "lemonldap-ng", title: "LemonLDAP::NG", version: debianVersion("liblemonldap-ng-portal-perl"),
		missing: func() string {
			if _, err := exec.LookPath("plackup"); err != nil {
				return "plackup"
			}
			// The portal needs what its package only recommends.
			if exec.Command("perl", "-MLemonldap::NG::Portal", "-MGD::SecurityImage", "-MImage::Magick", "-MString::Random", "-MIO::String", "-e1").Run() != nil {
				return "Lemonldap::NG::Portal, GD::SecurityImage, Image::Magick, String::Random or IO::String of perl"
			}
			return ""
		},
		authorize: "/oauth2/authorize", token: "/oauth2/token", metadata: "/",
		scope: "openid profile", idToken: true, formPost: true, fragment: true, hidden: true, takesPOST: true, latePublic: true,
		act:  refuseAtLemonLDAP,
		host: "localhost", // its cookies name a domain, which an address is not
		user: "rtyler", password: "rtyler",
		setup: "`portal` and the OpenID Connect issuer are the public address; behind nginx, `large_client_header_buffers` of 16 KB for big requests",
		notes: []string{"It was run by plackup, without nginx."},
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		host, port, _ := net.SplitHostPort(p.addr)
		private, public := newKey(t)
		values := map[string]string{
			"Public": p.public, "Domain": s.host, "PrivateKey": private, "PublicKey": public,
			"ClientID": clientID, "ClientSecret": clientSecret, "PublicID": publicID, "RedirectURIs": redirectURI + " " + otherURI,
			"Dir": t.TempDir(),
		}
		dir := copySetup(t, "lemonldap", values)
		for _, sub := range []string{"conf", "sessions", "lock", "psessions", "cache"} {
			if err := os.Mkdir(filepath.Join(values["Dir"], sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(dir, "lmConf-1.json"), filepath.Join(values["Dir"], "conf", "lmConf-1.json")); err != nil {
			t.Fatal(err)
		}
		process{
			command: []string{"plackup", "-E", "deployment", "-s", "HTTP::Server::PSGI", "--host", host, "--port", port, "portal.psgi"},
			dir:     dir, env: []string{"LLNG_DEFAULTCONFFILE=" + filepath.Join(dir, "lemonldap-ng.ini")}, addr: p.addr,
		}.run(t)
		return func() { // consents are kept in the persistent session
			kept, _ := filepath.Glob(filepath.Join(values["Dir"], "psessions", "*"))
			for _, file := range kept {
				os.Remove(file)
			}
		}
	}
	return s
}

// refuseAtLemonLDAP does what the script of the consent page does when its second button is pressed.
func refuseAtLemonLDAP(_ *browser, p person, page *page) request {
	for _, f := range page.forms {
		for _, button := range f.buttons {
			if p.deny && button.label == "Refuse" {
				return f.submit(page, nil, func(f field) string {
					if f.name == "confirm" {
						return "-" + f.value
					}
					return f.value
				})
			}
		}
	}
	return request{}
}
