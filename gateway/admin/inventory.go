package admin

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"

	"longmen/gateway/telemetry/metrics"
)

// Listener is one listener as /listeners shows it.
type Listener struct {
	Name      string   `json:"name"`
	Origin    string   `json:"origin"` // where it is written
	Addresses []string `json:"addresses"`
	Routes    string   `json:"routes"`  // name of its route table
	Version   string   `json:"version"` // of the configuration that it serves
	Draining  bool     `json:"draining"`
}

// Cluster is one cluster as /clusters shows it.
type Cluster struct {
	Name      string     `json:"name"`
	Origin    string     `json:"origin"`    // where it is written
	Discovery string     `json:"discovery"` // "static", "strict_dns", "logical_dns", "original_dst"
	Balance   string     `json:"balance"`   // "round_robin", "maglev", ... as gateway.yaml has it
	Protocol  string     `json:"protocol"`  // "http/1.1", "h2", "auto"
	Endpoints []Endpoint `json:"endpoints"`

	Hosts     uint64   `json:"hosts"`             // version of its host set
	Available float64  `json:"available"`         // part of the requests, 0 to 1, that usable endpoints can take
	Panic     bool     `json:"panic"`             // some priority uses endpoints that are not healthy
	Subsets   int      `json:"subsets,omitempty"` // how many there are
	Groups    []Group  `json:"groups,omitempty"`
	Limits    []Limits `json:"limits,omitempty"`
	Standby   *Standby `json:"standby,omitempty"`  // nil: it has none
	Failover  []Share  `json:"failover,omitempty"` // how it and those it fails over to share its requests now
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	Address string `json:"address"`
	Health  string `json:"health"` // "healthy", "unhealthy", "draining", "ejected", "unknown"
	// Reason is the last failed check's; "" when there was none.
	Reason string `json:"reason,omitempty"`
	Weight uint32 `json:"weight"`
	// Percent is how much of its weight it has now: less than 100 in its slow start.
	Percent  uint32   `json:"weight_percent"`
	Priority int      `json:"priority"`
	Locality string   `json:"locality,omitempty"` // region/zone/subzone
	Labels   []string `json:"labels,omitempty"`   // key=value
	Active   int      `json:"active"`             // requests under way, where they are counted
	Origin   string   `json:"origin,omitempty"`

	// Average is the response time that peak_ewma goes by, in milliseconds, and Failed the part of
	// requests, 0 to 1; nil where neither is known.
	Average *float64 `json:"average_ms,omitempty"`
	Failed  *float64 `json:"failed,omitempty"`

	Ejection *Ejection `json:"ejection,omitempty"` // the last one; nil: there was none
}

// Ejection is what outlier detection did to an endpoint.
type Ejection struct {
	Active bool      `json:"active"` // it is ejected now
	Cause  string    `json:"cause"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // when it will end, or has ended
	Times  int       `json:"times"` // how often the endpoint was ejected
}

// String says it in one line.
func (e *Ejection) String() string {
	const clock = "15:04:05"
	if e.Active {
		return fmt.Sprintf("ejected at %s until %s (%d. time): %s", e.Since.UTC().Format(clock), e.Until.UTC().Format(clock), e.Times, e.Reason)
	}
	return fmt.Sprintf("ejected %d times, back at %s: %s", e.Times, e.Until.UTC().Format(clock), e.Reason)
}

// listenerNumbers are a listener's counters, over all workers.
type listenerNumbers struct {
	Connections    uint64 `json:"connections"`
	Active         int64  `json:"active_connections"`
	Refused        uint64 `json:"refused_connections"`
	Requests       uint64 `json:"requests"`
	ActiveRequests int64  `json:"active_requests"`
}

// clusterNumbers are a cluster's counters, over all workers.
type clusterNumbers struct {
	Connections     uint64 `json:"connections"`
	Active          int64  `json:"active_connections"`
	Idle            int64  `json:"idle_connections"`
	HTTP2           int64  `json:"http2_connections"` // of the active ones, those that speak HTTP/2
	Streams         int64  `json:"http2_streams"`     // open on them
	ConnectFailures uint64 `json:"connect_failures"`
	Requests        uint64 `json:"requests"`
	ServerErrors    uint64 `json:"server_errors"` // 5xx answers
	Unanswered      uint64 `json:"unanswered"`
	ActiveRequests  int64  `json:"active_requests"`
	Pending         int64  `json:"pending_requests"`
	Retries         uint64 `json:"retries"`
}

func (s *Server) listeners(ctx *fasthttp.RequestCtx) {
	type shown struct {
		Listener
		Numbers listenerNumbers `json:"numbers"`
	}
	numbers := map[string]listenerNumbers{}
	if s.options.Registry != nil {
		for _, l := range s.options.Registry.Listeners() {
			numbers[l.Name] = sumListener(l.Workers)
		}
	}
	all := []shown{}
	for _, l := range s.options.Listeners() {
		all = append(all, shown{l, numbers[l.Name]})
	}
	show(ctx, all, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "LISTENER\tADDRESS\tROUTES\tVERSION\tCONNECTIONS\tACTIVE\tREFUSED\tREQUESTS\tSTATE\tORIGIN")
		for _, l := range all {
			state := "serving"
			if l.Draining {
				state = "draining"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", l.Name, strings.Join(l.Addresses, ","), orDash(l.Routes), orDash(l.Version),
				l.Numbers.Connections, l.Numbers.Active, l.Numbers.Refused, l.Numbers.Requests, state, orDash(l.Origin))
		}
	})
}

func (s *Server) clusters(ctx *fasthttp.RequestCtx) {
	type shown struct {
		Cluster
		Numbers clusterNumbers `json:"numbers"`
	}
	numbers := map[string]clusterNumbers{}
	if s.options.Registry != nil {
		for _, c := range s.options.Registry.Clusters() {
			numbers[c.Name] = sumCluster(c.Workers)
		}
	}
	all := []shown{}
	for _, c := range s.options.Clusters() {
		if c.Endpoints == nil {
			c.Endpoints = []Endpoint{}
		}
		all = append(all, shown{c, numbers[c.Name]})
	}
	show(ctx, all, func(w *tabwriter.Writer) {
		for i, c := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			n := c.Numbers
			fmt.Fprintf(w, "%s  %s  %s  %s  %s\n", c.Name, c.Discovery, c.Balance, c.Protocol, c.Origin)
			fmt.Fprintf(w, "  requests %d (5xx %d, unanswered %d, retries %d), active %d, pending %d\n",
				n.Requests, n.ServerErrors, n.Unanswered, n.Retries, n.ActiveRequests, n.Pending)
			fmt.Fprintf(w, "  connections %d (failed %d), open %d, idle %d", n.Connections, n.ConnectFailures, n.Active, n.Idle)
			if c.Protocol == "h2" || c.Protocol == "auto" {
				fmt.Fprintf(w, "; HTTP/2: %d open, %d streams", n.HTTP2, n.Streams)
			}
			fmt.Fprintln(w)
			c.writeSpread(w)
			c.writeStandby(w)
			c.writeFailover(w)
			if len(c.Endpoints) == 0 {
				fmt.Fprintln(w, "  no endpoints")
			}
			for _, e := range c.Endpoints {
				reason := e.Reason
				if e.Ejection != nil {
					reason = strings.Trim(reason+"; "+e.Ejection.String(), "; ")
				}
				fmt.Fprintf(w, "  %s\t%s\tweight %s\tactive %d%s\t%s%s\t%s\n", e.Address, e.Health, e.weight(), e.Active, e.answers(), e.place(), orDash(e.Origin), reason)
			}
		}
	})
}

// answers says how long those take.
func (e *Endpoint) answers() string {
	if e.Average == nil {
		return ""
	}
	return fmt.Sprintf(", %.3g ms, %.3g %% failed", *e.Average, 100**e.Failed)
}

func sumListener(workers []*metrics.ListenerStats) (n listenerNumbers) {
	for _, l := range workers {
		n.Connections += l.Connections.Load()
		n.Active += l.ConnectionsActive.Load()
		for i := range l.Refused {
			n.Refused += l.Refused[i].Load()
		}
		for i := range l.Requests {
			n.Requests += l.Requests[i].Load()
		}
		n.ActiveRequests += l.RequestsActive.Load()
	}
	return n
}

func sumCluster(workers []*metrics.ClusterStats) (n clusterNumbers) {
	for _, c := range workers {
		n.Connections += c.Connections.Load()
		n.Active += c.ConnectionsActive.Load()
		n.Idle += c.ConnectionsIdle.Load()
		n.HTTP2 += c.HTTP2.ConnectionsActive.Load()
		n.Streams += c.HTTP2.StreamsActive.Load()
		n.ConnectFailures += c.ConnectFailures.Load() + c.ConnectTimeouts.Load()
		for i := range c.Requests {
			n.Requests += c.Requests[i].Load()
		}
		n.Unanswered += c.Requests[0].Load()
		n.ServerErrors += c.Requests[5].Load()
		n.ActiveRequests += c.RequestsActive.Load()
		n.Pending += c.RequestsPending.Load()
		n.Retries += c.Retries.Load()
	}
	return n
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
