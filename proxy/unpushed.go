package proxy

import (
	"net/http"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// pushedFields say in the log whether an authorization request was pushed, so that an operator sees who does not push yet:
// true of one of a flow on a protected path, false of one that PAR_REQUIRED refuses, on any. A request by a reference that
// has led to no flow, or not yet, is neither. The client_id is that of the flow or of a registered client: any other
// could be anything.
func (s *Server) pushedFields(r *http.Request, x *exchange) []zap.Field {
	switch {
	case x.endpoints == nil || r.Method == http.MethodHead || x.flow != nil && !x.place.protected():
		return nil
	case x.flow != nil:
		return []zap.Field{zap.Bool("pushed", true), zap.String("client_id", clip(x.flow.Party.ClientID, 128))}
	}
	if x.outcome != metrics.PassedUnpushed && x.outcome != metrics.RefusedUnpushed && !s.startsUnpushed(r, x) {
		return nil
	}
	fields := []zap.Field{zap.Bool("pushed", false)}
	id, ok := onlyValue(oauth.ParamClientID, r.URL.RawQuery+hiddenQuery(x.path), x.form)
	if c := s.Clients.Lookup(id); ok && c != nil {
		fields = append(fields, zap.String("client_id", clip(c.ID, 128)))
	}
	return fields
}

// hasReference reports whether a request_uri that may be one of ours, or a ticket, is in one of the encoded texts. One of the
// upstream's own push endpoint was not pushed here.
func (s *Server) hasReference(x *exchange, encoded ...string) bool {
	for _, text := range encoded {
		if _, ticket := findTicket(text); ticket && s.AuthorizeByPOST {
			return true
		}
		for pair := range rewrite.Pairs(text) {
			if oauth.Fold(pair.Name) == oauth.ParamRequestURI && hasURIPrefix(pair.Value) && !x.passesNatively(presented{value: pair.Value}) {
				return true
			}
		}
	}
	return false
}
