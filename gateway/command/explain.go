package command

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
)

// question is a request to explain.
type question struct {
	url     *url.URL
	method  string
	headers [][2]string // names in lower case
	alpn    []string    // what the client offers, in TLS
}

// explainCommand is "longmen explain": what becomes of a request, and why.
func explainCommand() *cobra.Command {
	var file, method, adminBind string
	var headers, alpn []string
	cmd := &cobra.Command{
		Use:   "explain URL [-X METHOD] [-H name:value]...",
		Short: "Say what becomes of a request: listener, route, cluster, and why",
		Long: `Say what becomes of a request: which listener takes it, which rule answers, where it goes,
and where each of these is written. The configuration is read from the file; nothing is sent.
The listener's line ends with the version of HTTP that is spoken; to clusters it is http/1.1 where
nothing else is said.
With --admin the health of the endpoints is asked of a running gateway.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := parseQuestion(args[0], method, headers)
			if err != nil {
				return err
			}
			q.alpn = alpn
			text, err := readConfig(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			l := load(file, text, sources{}, nil)
			if l.snapshot == nil {
				if err := l.report(cmd.ErrOrStderr()); err != nil {
					return err
				}
				return errReported
			}
			e := explanation{loaded: l, question: q}
			if adminBind != "" {
				if err := e.ask(cmd.Context(), live{adminBind}); err != nil {
					return err
				}
			}
			answered := e.explain()
			if _, err := fmt.Fprint(cmd.OutOrStdout(), e.String()); err != nil {
				return err
			}
			if !answered {
				return errReported
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVarP(&method, "request", "X", "GET", "method of the request")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, `header of the request, "name: value"; may be repeated`)
	cmd.Flags().StringSliceVar(&alpn, "alpn", []string{"h2", "http/1.1"}, "application protocols that the client offers (RFC 7301); \"\" for none")
	adminFlag(cmd, &adminBind)
	return cmd
}

// adminFlag adds --admin to a command.
func adminFlag(cmd *cobra.Command, bind *string) {
	cmd.Flags().StringVar(bind, "admin", "", `admin address of a running gateway, such as 127.0.0.1:15000 or unix:/path`)
}

func parseQuestion(text, method string, headers []string) (question, error) {
	q := question{method: method}
	var err error
	if q.url, err = url.Parse(text); err != nil || q.url.Host == "" || q.url.Scheme != "http" && q.url.Scheme != "https" {
		return q, misusef("%q must be a URL such as http://example.com/path", text)
	}
	if !stream.IsToken(method) {
		return q, misusef("-X %q is no method", method)
	}
	for _, header := range headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || !stream.IsToken(name) {
			return q, misusef("-H %q must be \"name: value\"", header)
		}
		q.headers = append(q.headers, [2]string{strings.ToLower(name), strings.Trim(value, " \t")})
	}
	return q, nil
}

// port is the URL's, or its scheme's.
func (q *question) port() string {
	switch {
	case q.url.Port() != "":
		return q.url.Port()
	case q.url.Scheme == "https":
		return "443"
	}
	return "80"
}

// request makes what the router is asked, with the path made canonical as the
// listener does it.
func (q *question) request(policy router.PathPolicy) (*stream.Request, error) {
	authority := q.url.Host
	r := &stream.Request{Method: []byte(q.method), Scheme: q.url.Scheme, Minor: 1}
	for _, header := range q.headers {
		if header[0] == "host" {
			authority = header[1]
			continue
		}
		r.Header.AddString(header[0], header[1])
	}
	r.Authority = []byte(authority)
	r.Host = []byte(hostOf(authority))
	if q.method == "CONNECT" {
		return r, nil
	}
	raw := q.url.EscapedPath()
	if raw == "" {
		raw = "/"
	}
	path, err := router.Canonical(nil, []byte(raw), policy)
	if err != nil {
		return nil, err
	}
	r.Path, r.Target = path, []byte(q.url.RequestURI())
	r.Query, r.HasQuery = []byte(q.url.RawQuery), q.url.RawQuery != "" || q.url.ForceQuery
	return r, nil
}

// hostOf is the host that routes match: in lower case, without port and final dot.
func hostOf(authority string) string {
	if host := (&url.URL{Host: authority}).Hostname(); host != "" {
		authority = host
		if strings.Contains(host, ":") {
			authority = "[" + host + "]"
		}
	}
	return strings.TrimSuffix(strings.ToLower(authority), ".")
}

// listener finds the listener that a URL reaches: by its port, or, when the URL
// has none and nothing listens on the scheme's, the first that speaks the scheme.
func (q *question) listener(s *snapshot.Snapshot) (l *snapshot.Listener, note string, err error) {
	for _, l := range s.Listeners {
		for _, bind := range l.Binds {
			if fmt.Sprint(bind.Port()) != q.port() || !q.reaches(bind.Addr()) {
				continue
			}
			switch {
			case q.speaks(l):
				return l, "", nil
			case q.url.Scheme == "https":
				return nil, "", fmt.Errorf("%s on port %s speaks no TLS", l.Name, q.port())
			}
			return nil, "", fmt.Errorf("%s on port %s speaks TLS only: ask for https://", l.Name, q.port())
		}
	}
	if q.url.Port() != "" {
		return nil, "", fmt.Errorf("no listener on port %s", q.port())
	}
	for _, l := range s.Listeners {
		if q.speaks(l) {
			return l, fmt.Sprintf("nothing listens on port %s; on %s:", q.port(), bindText(l.Binds[0])), nil
		}
	}
	if len(s.Listeners) == 0 {
		return nil, "", errors.New("there is no listener")
	}
	return nil, "", fmt.Errorf("no listener serves %s", q.url.Scheme)
}

// reaches reports whether a URL with an IP address leads to a bound address. A
// name may lead to any.
func (q *question) reaches(bound netip.Addr) bool {
	to, err := netip.ParseAddr(q.url.Hostname())
	return err != nil || bound.IsUnspecified() || bound == to.Unmap()
}

// bindText writes an address as gateway.yaml does.
func bindText(bind netip.AddrPort) string {
	if bind.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", bind.Port())
	}
	return bind.String()
}
