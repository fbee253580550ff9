// Package admin is the gateway's own HTTP server for those who run it: health,
// numbers, the configuration that serves, profiles. It stands off the request path and
// knows the rest of the gateway only through the functions of Options.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"

	"longmen/gateway/ledger"
	"longmen/gateway/telemetry/exposition"
	"longmen/gateway/telemetry/metrics"
)

// DefaultBind is where the server listens when Options do not say: loopback only.
const DefaultBind = "127.0.0.1:15000"

// Bounds of the server.
const (
	maxConnections = 256
	maxHead        = 16 << 10 // bytes
	maxBody        = 64 << 10 // bytes
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 30 * time.Second
)

// Options are what the server shows and whom it asks. The functions are called
// from any goroutine. An endpoint whose source is nil does not exist.
type Options struct {
	// Bind is an address with port (0: the kernel's choice) or "unix:/path"; "" means DefaultBind.
	Bind string
	Log  *slog.Logger

	Build    exposition.Build
	Level    *slog.LevelVar       // what /logging shows and changes
	Exporter *exposition.Exporter // /stats and /metrics
	Registry *metrics.Registry    // the counters of /clusters and /listeners; may be nil

	// Ready says whether the gateway serves, and if not why ("starting", "draining").
	Ready func() (ready bool, reason string)
	// Live returns an error when only a restart can help. Nil: alive while it answers.
	Live func() error

	// ConfigDump is the configuration that serves, in the asked format. Secrets must not be in it.
	ConfigDump func(format DumpFormat) ([]byte, error)
	Clusters   func() []Cluster
	Listeners  func() []Listener
	// Standby shows where the switches of clusters stand. SwitchStandby throws that of a
	// cluster, with "*" those of all; its errors are ErrNoCluster and ErrNoStandby, or that
	// not every worker took notice. It may wait for that.
	Standby       func() []Standby
	SwitchStandby func(cluster, state string) (StandbyChange, error)
	// Certificates are those in use, without their keys.
	Certificates func() []Certificate

	// Ledger says what there is of endpoints; of none: of those on their way out. With wait it answers when all of them
	// are gone, at the latest when wait is over or ctx ends.
	Ledger func(ctx context.Context, at []netip.AddrPort, wait time.Duration) []ledger.Entry

	// Overload is what is measured of resources, and what is done about them.
	Overload func() Overload

	// Drain begins to drain and returns at once; asked again it does nothing.
	Drain    func()
	Draining func() DrainState
}

// DumpFormat is a form of the configuration.
type DumpFormat string

// The formats of /config_dump.
const (
	DumpYAML DumpFormat = "yaml" // as gateway.yaml
	DumpJSON DumpFormat = "json" // the same as JSON
	DumpXDS  DumpFormat = "xds"  // the xDS resources as JSON
)

// DrainState says how far draining has come.
type DrainState struct {
	Draining    bool      `json:"draining"`
	Since       time.Time `json:"since,omitzero"`
	Deadline    time.Time `json:"deadline,omitzero"` // when what is left is cut off
	Connections int       `json:"connections"`       // still open
	Requests    int       `json:"requests"`          // still under way
}

// Server is the admin server.
type Server struct {
	options   Options
	endpoints []endpoint
	http      *fasthttp.Server
	unix      bool
	served    chan struct{} // closed when Serve has returned
}

// New makes a server; Start starts it.
func New(options Options) *Server {
	if options.Bind == "" {
		options.Bind = DefaultBind
	}
	s := &Server{options: options, served: make(chan struct{})}
	s.endpoints = s.table()
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 unreadable,
		ReadBufferSize:               maxHead,
		MaxRequestBodySize:           maxBody,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		Concurrency:                  maxConnections,
		CloseOnShutdown:              true,
		NoDefaultServerHeader:        true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		Logger:                       printer{options.Log},
	}
	return s
}

// Start listens and serves on a goroutine of its own. It returns the address in use.
func (s *Server) Start() (net.Addr, error) {
	listener, err := listen(s.options.Bind)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	addr := listener.Addr()
	switch addr := addr.(type) {
	case *net.UnixAddr:
		s.unix = true
	case *net.TCPAddr:
		if !addr.IP.IsLoopback() {
			s.options.Log.Warn("admin can be reached from other machines, and asks for no password", "address", addr.String())
		}
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); err != nil {
			s.options.Log.Error("admin stopped", "error", err)
		}
	}()
	return addr, nil
}

// Close stops listening and waits for requests under way until ctx ends. Profiles that run are
// cut short. The server must have been started.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("admin: requests are still under way: %w", err)
	}
	<-s.served
	return nil
}

// serve answers one request.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	defer func() {
		if v := recover(); v != nil {
			s.options.Log.Error("admin panicked", "path", string(ctx.Path()), "panic", v, "stack", string(debug.Stack()))
			ctx.ResetBody()
			fail(ctx, fasthttp.StatusInternalServerError, "internal error; see the log")
		}
	}()
	header := &ctx.Response.Header
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if problem := s.foreignHost(ctx); problem != "" {
		fail(ctx, fasthttp.StatusForbidden, problem)
		return
	}
	s.dispatch(ctx)
}

// unreadable answers a request that could not be read.
func unreadable(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		fail(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request head is longer than %d bytes", maxHead))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		fail(ctx, fasthttp.StatusRequestEntityTooLarge, fmt.Sprintf("the request body is longer than %d bytes", maxBody))
	case errors.As(err, &network) && network.Timeout():
		fail(ctx, fasthttp.StatusRequestTimeout, "the request took too long to arrive")
	default:
		fail(ctx, fasthttp.StatusBadRequest, "the request is not HTTP")
	}
}

// printer lets fasthttp write to the log: what a client did wrong is not the operator's error.
type printer struct{ log *slog.Logger }

func (p printer) Printf(format string, args ...any) {
	p.log.Debug("admin: " + fmt.Sprintf(format, args...))
}
