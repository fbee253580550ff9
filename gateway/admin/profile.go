package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// maxSeconds bounds how long a profile or trace may run.
const maxSeconds = 60

// profiles are the endpoints of package net/http/pprof, below /pprof/, such
// that `go tool pprof http://127.0.0.1:15000/pprof/profile` works.
func (s *Server) profiles() []endpoint {
	all := []endpoint{
		{path: "/pprof/", help: "these profiles, for go tool pprof", get: s.profileIndex},
		{path: "/pprof/profile", help: "CPU; ?seconds=1..60 (30)", get: bounded(pprof.Profile)},
		{path: "/pprof/trace", help: "execution trace, for go tool trace; ?seconds=1..60 (1)", get: bounded(pprof.Trace)},
		{path: "/pprof/symbol", help: "names of addresses", get: bounded(pprof.Symbol), post: bounded(pprof.Symbol)},
	}
	for _, p := range [...]struct{ name, help string }{
		{"heap", "memory in use; ?gc=1 collects first"},
		{"allocs", "memory allocated since the start"},
		{"goroutine", "stacks of all goroutines; ?debug=1 or 2 readable"},
		{"threadcreate", "what made threads"},
	} {
		all = append(all, endpoint{path: "/pprof/" + p.name, help: p.help, get: bounded(pprof.Handler(p.name).ServeHTTP)})
	}
	for i := range all {
		all[i].costly = true
	}
	return all
}

func (s *Server) profileIndex(ctx *fasthttp.RequestCtx) { s.listing(ctx, "/pprof/") }

// bounded refuses a profile that is to run too long.
func bounded(profile http.HandlerFunc) func(*fasthttp.RequestCtx) {
	serve := fasthttpadaptor.NewFastHTTPHandlerFunc(profile)
	return func(ctx *fasthttp.RequestCtx) {
		if asked := string(ctx.QueryArgs().Peek("seconds")); asked != "" {
			if seconds, err := strconv.ParseFloat(asked, 64); err != nil || !(seconds > 0 && seconds <= maxSeconds) {
				fail(ctx, fasthttp.StatusBadRequest, fmt.Sprintf("seconds must be more than 0 and at most %d", maxSeconds))
				return
			}
		}
		serve(ctx)
	}
}
