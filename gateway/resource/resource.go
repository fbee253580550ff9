// Package resource is the one model of configuration: Envoy v3 resources, each
// with the place that it came from. It does no input or output.
package resource

import (
	"fmt"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Set is everything that one source says, in the order that it says it.
type Set struct {
	Listeners []*listener.Listener
	Routes    []*route.RouteConfiguration
	Clusters  []*cluster.Cluster
	Endpoints []*endpoint.ClusterLoadAssignment
	Secrets   []*tls.Secret

	// Origins says where things were written; nil: nobody knows.
	Origins *Origins
}

// Path names a resource or a part of it as the person who wrote it would:
// "listeners.http", "routes.public", "routes.public[0]" (a virtual host),
// "routes.public[0].rules[1]", "routes.public[0].rules[1].match.prefix",
// "clusters.cart.endpoints[0]". The same paths stand in error messages.
type Path string

// Origin is a place. From YAML it has a file, line and column; from a control
// plane a resource type, name and version.
type Origin struct {
	File         string
	Line, Column int    // from 1; columns count characters
	Width        int    // characters of the token that stands there; 0: unknown
	Resource     string // "type/name@version" when it came by xDS
}

// String is "file:line:column", or the resource; "" for no place at all.
func (o Origin) String() string {
	switch {
	case o.Resource != "":
		return o.Resource
	case o.Line == 0:
		return o.File
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// WithHint gives the problem a hint.
func (p Problem) WithHint(format string, args ...any) Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}
