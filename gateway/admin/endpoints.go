package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/valyala/fasthttp"
)

// endpoint is one path of the server. Get (and HEAD) reads; post, if there is
// one, changes something. A nil one is answered with 405.
type endpoint struct {
	path, help string
	get, post  func(ctx *fasthttp.RequestCtx)
	// costly reads are refused to pages of other sites as changes are.
	costly bool
}

// table lists the endpoints, in the order in which the index shows them.
func (s *Server) table() []endpoint {
	o := &s.options
	all := []endpoint{{path: "/", help: "this list", get: s.index}}
	add := func(there bool, e endpoint) {
		if there {
			all = append(all, e)
		}
	}
	add(o.Ready != nil, endpoint{path: "/ready", help: "200 while it serves, 503 with the reason while it does not", get: s.ready})
	add(true, endpoint{path: "/live", help: "200 while it lives", get: s.live})
	add(true, endpoint{path: "/version", help: "what was built", get: s.version})
	add(o.Exporter != nil, endpoint{path: "/stats", help: "every number, readable; ?filter=TEXT ?format=json", get: s.stats})
	add(o.Exporter != nil, endpoint{path: "/metrics", help: "every number, for Prometheus", get: s.metrics})
	add(o.ConfigDump != nil, endpoint{path: "/config_dump", help: "the configuration that serves; ?format=yaml|json|xds", get: s.configDump})
	add(o.Clusters != nil, endpoint{path: "/clusters", help: "clusters and their endpoints; ?format=json", get: s.clusters})
	add(o.Standby != nil && o.SwitchStandby != nil, endpoint{path: "/standby", help: "clusters in standby; POST ?cluster=NAME|*&state=active|standby|configured switches", get: s.standby, post: s.setStandby})
	add(o.Listeners != nil, endpoint{path: "/listeners", help: "listeners and their addresses; ?format=json", get: s.listeners})
	add(o.Certificates != nil, endpoint{path: "/certs", help: "certificates in use and when they expire; ?format=json", get: s.certs})
	add(o.Ledger != nil, endpoint{path: "/ledger", help: "is an endpoint still used here? ?endpoint=IP:PORT ?wait=30s ?format=json", get: s.ledger})
	add(o.Overload != nil, endpoint{path: "/overload", help: "what is short, and what is done about it; ?format=json", get: s.overload})
	add(o.Level != nil, endpoint{path: "/logging", help: "level of the process log; POST ?level=debug|info|warn|error changes it", get: s.logging, post: s.setLogging})
	add(o.Drain != nil && o.Draining != nil, endpoint{path: "/drain", help: "how far draining has come; POST begins it", get: s.draining, post: s.drain})
	return append(all, s.profiles()...)
}

// dispatch finds the endpoint and checks the method.
func (s *Server) dispatch(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	for i := range s.endpoints {
		e := &s.endpoints[i]
		if e.path != path {
			continue
		}
		handle := e.post
		if ctx.IsGet() || ctx.IsHead() {
			handle = e.get
		} else if !ctx.IsPost() {
			handle = nil
		}
		if handle == nil {
			ctx.Response.Header.Set("Allow", e.allowed())
			fail(ctx, fasthttp.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s", path, e.allowed()))
			return
		}
		if e.costly || ctx.IsPost() {
			if problem := crossSite(ctx); problem != "" {
				fail(ctx, fasthttp.StatusForbidden, problem)
				return
			}
		}
		handle(ctx)
		return
	}
	s.notFound(ctx, path)
}

func (e *endpoint) allowed() string {
	switch {
	case e.get == nil:
		return "POST"
	case e.post == nil:
		return "GET, HEAD"
	}
	return "GET, HEAD, POST"
}

// index lists the endpoints.
func (s *Server) index(ctx *fasthttp.RequestCtx) { s.listing(ctx, "/") }

// listing lists the endpoints whose paths begin with prefix.
func (s *Server) listing(ctx *fasthttp.RequestCtx, prefix string) {
	text(ctx, func(w *tabwriter.Writer) {
		for _, e := range s.endpoints {
			if strings.HasPrefix(e.path, prefix) {
				fmt.Fprintf(w, "%s\t%s\n", e.path, e.help)
			}
		}
	})
}

// notFound lists the paths that could have been meant.
func (s *Server) notFound(ctx *fasthttp.RequestCtx, path string) {
	var near []string
	for _, e := range s.endpoints[1:] {
		if distance(path, e.path) <= 2 || len(path) > 3 && (strings.HasPrefix(e.path, path) || strings.HasPrefix(path, e.path+"/")) {
			near = append(near, e.path)
		}
	}
	if len(near) == 0 {
		near = append(near, "/ (the list of what there is)")
	}
	fail(ctx, fasthttp.StatusNotFound, fmt.Sprintf("no such path; did you mean %s?", strings.Join(near, ", ")))
}

// distance is how many bytes must be put in, left out or changed to make b of a.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		diagonal := last[0]
		last[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = last[j+1]
			last[j+1] = min(cost, last[j]+1, diagonal+1)
		}
	}
	return last[len(b)]
}

// wantsJSON reads ?format= (json or text), else the Accept header. On any other
// format it answers with 400 and reports false in ok.
func wantsJSON(ctx *fasthttp.RequestCtx) (asJSON, ok bool) {
	switch format := string(ctx.QueryArgs().Peek("format")); format {
	case "":
		return bytes.Contains(ctx.Request.Header.Peek("Accept"), []byte("application/json")), true
	case "json", "text":
		return format == "json", true
	}
	fail(ctx, fasthttp.StatusBadRequest, "format must be json or text")
	return false, false
}

// show answers with value as JSON, or as the text that readable writes.
func show(ctx *fasthttp.RequestCtx, value any, readable func(w *tabwriter.Writer)) {
	asJSON, ok := wantsJSON(ctx)
	switch {
	case !ok:
	case !asJSON:
		text(ctx, readable)
	default:
		body, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			fail(ctx, fasthttp.StatusInternalServerError, err.Error())
			return
		}
		ctx.SetContentType("application/json")
		ctx.SetBody(append(body, '\n'))
	}
}

// text answers with lines whose cells, separated by tabs, are aligned.
func text(ctx *fasthttp.RequestCtx, write func(w *tabwriter.Writer)) {
	ctx.SetContentType("text/plain; charset=utf-8")
	w := tabwriter.NewWriter(ctx, 0, 0, 2, ' ', 0)
	write(w)
	w.Flush()
}

// fail answers with a status and one line that says why.
func fail(ctx *fasthttp.RequestCtx, status int, why string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(why + "\n")
}
