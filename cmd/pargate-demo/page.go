package main

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
)

// page is what a person sees at the end.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>pargate demo</title></head>
<body>
<main>
{{if .Problem}}<h1>Not signed in</h1>
<p>{{.Problem}}</p>
{{else}}<h1>Signed in{{with .Subject}} as {{.}}{{end}}</h1>
<p>{{with .Name}}{{.}}{{else}}The code was redeemed for an access token. This server gives no ID token.{{end}}</p>
{{if .Size.Short}}<table>
<tr><th scope="row">the request, pushed by the client</th><td>{{.Size.Pushed}} bytes</td></tr>
<tr><th scope="row">the URL that your browser was sent to</th><td>{{.Size.Short}} bytes</td></tr>
<tr><th scope="row">that URL without PAR</th><td>{{.Size.Plain}} bytes</td></tr>
</table>
{{end}}{{end}}{{with .Home}}<p><a href="{{.}}">Back to the picture</a></p>
{{else}}<p><a href="/">{{if .Problem}}Try again{{else}}Sign in again{{end}}</a></p>
{{end}}
</main>
</body>
</html>
`))

func writeOutcome(w http.ResponseWriter, o outcome) {
	data := struct {
		Problem, Subject, Name, Home string
		Size                         sizes
	}{Size: o.size, Home: o.home}
	status := http.StatusOK
	if o.err != nil {
		data.Problem, status = o.err.Error(), o.status()
	} else if o.idToken != nil {
		data.Subject = o.idToken.Subject
		var profile struct{ Name string }
		if o.userInfo.Claims(&profile) == nil {
			data.Name = profile.Name
		}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code in it
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// status is that of a page which says what went wrong: the browser's request, the person's or the server's no, or the server.
func (o outcome) status() int {
	switch {
	case o.stranger:
		return http.StatusBadRequest
	case errors.As(o.err, new(responseError)):
		return http.StatusForbidden
	}
	return http.StatusBadGateway
}
