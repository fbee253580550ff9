package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"
)

// Bounds of the demo origins.
const (
	demoMaxBody     = 1 << 20          // bytes of a request's body; more is 413
	demoMaxHead     = 64 << 10         // bytes of a request's head; more is 431
	demoMaxSlow     = 10 * time.Second // longest wait of /slow
	demoConnections = 4096             // connections of one origin at a time
	demoGrace       = 5 * time.Second  // for requests under way when told to stop
)

// A demoAddress is where one demo origin listens and who it says it is.
type demoAddress struct{ name, address string }

// demoGRPC is the name of the one origin that speaks gRPC.
const demoGRPC = "greeter"

// demoAddresses are the origins that the repository's gateway.yaml names.
var demoAddresses = []demoAddress{
	{"web", "127.0.0.1:9001"},
	{"api", "127.0.0.1:9002"},
	{"cart-1", "127.0.0.1:9003"},
	{"cart-canary", "127.0.0.1:9004"},
	{"cart-2", "127.0.0.1:9005"},
	{demoGRPC, "127.0.0.1:9006"},
}

// demoCommand is "longmen demo": small origins on loopback to try a gateway with.
func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Serve small origins on loopback ports to try gateway.yaml with",
		Long: `Serve small origins on loopback, the ones that the repository's gateway.yaml names:
web on port 9001, api on 9002, cart-1 on 9003, cart-canary on 9004, cart-2 on 9005;
and greeter on 9006, which speaks gRPC (demo/greeter.proto) over HTTP/2.

Each of the others answers in JSON who it is and what it received, and
  /healthz             200 while healthy, else 503
  POST /healthz/fail   makes it unhealthy;  POST /healthz/pass  makes it healthy again
  /slow?ms=N           answers after N milliseconds, 10000 at most
  /status/NNN          answers with that status, 200 to 599
  POST /echo           answers with the body it received, 1 MiB at most`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			listeners, err := listenDemo(demoAddresses)
			if err != nil {
				return err
			}
			return serveDemo(ctx, cmd.OutOrStdout(), listeners)
		},
	}
}

// A demoListener is a demo origin's name and its open socket.
type demoListener struct {
	name   string
	socket net.Listener
}

// A demoServer serves one of them.
type demoServer interface {
	// Serve serves until it is told to stop; then it returns nil or http.ErrServerClosed.
	Serve(net.Listener) error
	// stop lets requests under way finish, until ctx ends.
	stop(ctx context.Context) error
}

type demoPlainServer struct{ *fasthttp.Server }

func (s demoPlainServer) stop(ctx context.Context) error { return s.ShutdownWithContext(ctx) }

type demoGRPCServer struct{ *http.Server }

func (s demoGRPCServer) stop(ctx context.Context) error { return s.Shutdown(ctx) }

func newDemo(name string, stopping <-chan struct{}) demoServer {
	if name == demoGRPC {
		return demoGRPCServer{newDemoGreeter(&demoGreeter{name: name, pause: time.Second, stopping: stopping})}
	}
	return demoPlainServer{newDemoServer(&demoOrigin{name: name, stopping: stopping})}
}

// listenDemo opens every address, or none.
func listenDemo(addresses []demoAddress) ([]demoListener, error) {
	var listeners []demoListener
	for _, a := range addresses {
		socket, err := net.Listen("tcp", a.address)
		if err != nil {
			for _, opened := range listeners {
				_ = opened.socket.Close() // nothing has used it yet
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("demo origin %s: %s is already in use; does another demo run?", a.name, a.address)
			}
			return nil, fmt.Errorf("demo origin %s: %w", a.name, err)
		}
		listeners = append(listeners, demoListener{a.name, socket})
	}
	return listeners, nil
}

// serveDemo serves until ctx ends, then lets requests under way finish. It closes the
// listeners in any case.
func serveDemo(ctx context.Context, out io.Writer, listeners []demoListener) error {
	ended := make(chan error, len(listeners))
	servers := make([]demoServer, len(listeners))
	for i, l := range listeners {
		server := newDemo(l.name, ctx.Done())
		servers[i] = server
		go func() {
			err := server.Serve(l.socket)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			ended <- err
		}()
		_, _ = fmt.Fprintf(out, "demo origin %-12s http://%s\n", l.name, l.socket.Addr()) // a closed terminal is no reason to stop
	}

	var failed error
	left := len(listeners)
	select {
	case <-ctx.Done():
	case failed = <-ended: // a server that ends by itself takes the others along
		left--
		if failed == nil {
			failed = errors.New("a demo origin ended by itself")
		}
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoGrace)
	defer cancel()
	for _, server := range servers {
		failed = errors.Join(failed, server.stop(grace))
	}
	for range left {
		failed = errors.Join(failed, <-ended)
	}
	return failed
}

func newDemoServer(origin *demoOrigin) *fasthttp.Server {
	return &fasthttp.Server{
		Name:                          "longmen-demo",
		Handler:                       origin.serve,
		ErrorHandler:                  demoRefuse,
		MaxRequestBodySize:            demoMaxBody,
		ReadBufferSize:                demoMaxHead,
		Concurrency:                   demoConnections,
		ReadTimeout:                   30 * time.Second,
		WriteTimeout:                  30 * time.Second,
		IdleTimeout:                   2 * time.Minute,
		CloseOnShutdown:               true,
		DisableHeaderNamesNormalizing: true, // so that it shows what was received
		NoDefaultDate:                 true,
	}
}

// demoRefuse answers what is no request or breaks a bound.
func demoRefuse(ctx *fasthttp.RequestCtx, err error) {
	status := fasthttp.StatusBadRequest
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status = fasthttp.StatusRequestEntityTooLarge
	case errors.As(err, &small):
		status = fasthttp.StatusRequestHeaderFieldsTooLarge
	}
	ctx.Error(err.Error(), status)
}

// A demoOrigin answers for one of the demo's names.
type demoOrigin struct {
	name     string
	failing  atomic.Bool     // what /healthz says
	stopping <-chan struct{} // cuts /slow short
}

// demoAnswer is what an origin says of itself and of the request it received.
type demoAnswer struct {
	Origin  string              `json:"origin"`
	Method  string              `json:"method"`
	Target  string              `json:"target"`
	From    string              `json:"from"`
	Body    int                 `json:"body_bytes"`
	Headers map[string][]string `json:"headers"`
}

func (o *demoOrigin) serve(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Origin", o.name)
	path := string(ctx.Path())
	switch {
	case path == "/healthz":
		o.health(ctx)
	case path == "/healthz/fail" && ctx.IsPost():
		o.failing.Store(true)
		o.health(ctx)
	case path == "/healthz/pass" && ctx.IsPost():
		o.failing.Store(false)
		o.health(ctx)
	case path == "/slow":
		o.slow(ctx)
	case strings.HasPrefix(path, "/status/"):
		o.status(ctx, strings.TrimPrefix(path, "/status/"))
	case path == "/echo" && ctx.IsPost():
		ctx.SetContentTypeBytes(ctx.Request.Header.ContentType())
		ctx.SetBody(ctx.PostBody())
	default:
		o.describe(ctx)
	}
}

// health answers 200 or 503; the two POSTs that change it answer 200 with the new state.
func (o *demoOrigin) health(ctx *fasthttp.RequestCtx) {
	if !o.failing.Load() {
		ctx.SetBodyString("healthy\n")
		return
	}
	if !ctx.IsPost() {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	ctx.SetBodyString("failing\n")
}

func (o *demoOrigin) slow(ctx *fasthttp.RequestCtx) {
	ms, err := strconv.Atoi(string(ctx.QueryArgs().Peek("ms")))
	if err != nil || ms < 0 || ms > int(demoMaxSlow.Milliseconds()) {
		ctx.Error(fmt.Sprintf("want /slow?ms=N with N from 0 to %d", demoMaxSlow.Milliseconds()), fasthttp.StatusBadRequest)
		return
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		o.describe(ctx)
	case <-o.stopping:
		ctx.Error("stopping", fasthttp.StatusServiceUnavailable)
	}
}

func (o *demoOrigin) status(ctx *fasthttp.RequestCtx, text string) {
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 || status > 599 {
		ctx.Error("want /status/NNN with NNN from 200 to 599", fasthttp.StatusBadRequest)
		return
	}
	o.describe(ctx)
	ctx.SetStatusCode(status)
}

func (o *demoOrigin) describe(ctx *fasthttp.RequestCtx) {
	answer := demoAnswer{
		Origin:  o.name,
		Method:  string(ctx.Method()),
		Target:  string(ctx.RequestURI()),
		From:    ctx.RemoteAddr().String(),
		Body:    len(ctx.PostBody()),
		Headers: map[string][]string{},
	}
	for name, value := range ctx.Request.Header.All() {
		answer.Headers[string(name)] = append(answer.Headers[string(name)], string(value))
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}
