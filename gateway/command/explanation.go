package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/plugins"
)

// maxNots is how many of the rules that do not match are shown: the last ones.
const maxNots = 20

// explanation writes down what becomes of a request.
type explanation struct {
	*loaded
	question question
	health   map[string]liveCluster // nil: offline
	lines    []explained
}

// explained is one line: a label and what is to be said, two blanks or more
// apart. Where a line is about a part of the file, its name and place stand in
// columns of their own.
type explained struct {
	label, name, place string
	rest               []string
}

// ask gets the health of endpoints from a running gateway.
func (e *explanation) ask(ctx context.Context, l live) (err error) {
	if e.health, err = l.clusters(ctx); err != nil {
		return err
	}
	listeners, err := l.listeners(ctx)
	if err != nil {
		return err
	}
	for _, listener := range listeners {
		if listener.Version != e.snapshot.Version {
			e.line("note", fmt.Sprintf("the running gateway serves version %s; %s is version %s", listener.Version, e.file, e.snapshot.Version))
			break
		}
	}
	return nil
}

// line adds a line.
func (e *explanation) line(label string, parts ...string) {
	e.lines = append(e.lines, explained{label: label, rest: parts})
}

// placed adds a line about a part of the file.
func (e *explanation) placed(label, name, origin string, parts ...string) {
	e.lines = append(e.lines, explained{label: label, name: name, place: short(origin), rest: parts})
}

// String is all lines.
func (e *explanation) String() string {
	names, places := 0, 0
	for _, l := range e.lines {
		names, places = max(names, len(l.name)), max(places, len(l.place))
	}
	var out strings.Builder
	for _, l := range e.lines {
		parts := l.rest
		if l.place != "" {
			columns := fmt.Sprintf("%-*s   %-*s", names, l.name, places, l.place)
			parts = append([]string{columns}, parts...)
		}
		parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
		text := fmt.Sprintf("%-9s %s", l.label, strings.Join(parts, "   "))
		out.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return out.String()
}

// explain reports whether a rule answers the request.
func (e *explanation) explain() bool {
	listener, note, err := e.question.listener(e.snapshot)
	if err != nil {
		e.line("listener", err.Error())
		return false
	}
	if note != "" {
		e.line("note", note)
	}
	parts, read, passed := e.terminate(listener)
	e.placed("listener", listener.Name, listener.Origin, parts...)
	if !read {
		return passed
	}
	request, err := e.question.request(listener.HTTP.Path)
	if err != nil {
		e.line("answer", "400: "+err.Error())
		return false
	}
	if given := e.question.url.EscapedPath(); given != string(request.Path) && given != "" {
		e.line("path", string(request.Path), "(canonical form of "+given+")")
	}
	client := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	name := listener.RoutesName
	if name == "" {
		name = "of " + listener.Name
	}
	steps := listener.Routes.Explain(request, client, 0)
	skipped := 0
	for i, step := range steps {
		if step.Route != nil && !step.Matched && len(steps)-i > maxNots {
			skipped++
			continue
		}
		if skipped > 0 {
			e.line("not", count(skipped, "rule")+" before these")
			skipped = 0
		}
		switch {
		case step.Route == nil && step.Host == nil:
			e.line("route", name, "404: "+step.Why)
		case step.Route == nil:
			e.placed("host", strings.TrimPrefix(step.Why, "host "), step.Host.Origin)
		case !step.Matched:
			e.placed("not", "", step.Route.Origin, step.Why)
		default:
			e.placed("route", name, step.Route.Origin, step.Why)
		}
	}
	last := steps[len(steps)-1]
	if !last.Matched || last.Route == nil {
		if last.Host != nil {
			e.line("answer", "404: no rule of this host matches")
		}
		e.filters(listener.Unrouted)
		return false
	}
	if listener.Chains != nil {
		e.filters(listener.Chains[last.Route.Index])
	}
	e.action(last.Route)
	return true
}

// filters lists filters in the order in which the request passes them.
func (e *explanation) filters(chain filter.Chain) {
	var names []string
	for _, step := range chain {
		name := step.Name
		for _, kind := range plugins.All() {
			if kind.XDS == name {
				name = kind.Name
			}
		}
		names = append(names, name)
	}
	if names != nil {
		e.line("filters", strings.Join(names, ", "))
	}
}

// action says what a rule does.
func (e *explanation) action(r *router.Route) {
	switch {
	case r.Redirect != nil:
		e.line("redirect", describeRedirect(r.Redirect))
	case r.Respond != nil:
		e.line("respond", fmt.Sprintf("%d with %s", r.Respond.Status, count(len(r.Respond.Body), "byte")))
	default:
		e.forward(r.Forward)
	}
	if r.EarlyData {
		e.line("early data", "GET, HEAD and OPTIONS without a body may be served before the handshake is complete")
	}
	e.edits("request", r.Request)
	e.edits("response", r.Response)
}

func (e *explanation) forward(f *router.Forward) {
	if f.ClusterHeader != "" {
		e.line("to", "the cluster that header "+f.ClusterHeader+" names")
	} else {
		var targets []string
		for _, t := range f.Clusters {
			target := t.Cluster.Name
			if len(f.Clusters) > 1 {
				target += fmt.Sprintf(" %.4g %%", 100*float64(t.Weight)/float64(f.TotalWeight))
			}
			targets = append(targets, target+"  "+e.endpoints(t.Cluster)+overProtocol(e.snapshot.Clusters[t.Cluster.Slot].Config()))
		}
		e.line("to", targets...)
		e.onward(f)
	}
	switch {
	case f.PrefixRewrite != nil:
		e.line("rewrite", "prefix becomes "+*f.PrefixRewrite)
	case f.RegexRewrite != nil:
		e.line("rewrite", fmt.Sprintf("%s becomes %s", f.RegexRewrite.Pattern, f.RegexRewrite.Substitution))
	}
	if f.HostRewrite != "" {
		e.line("rewrite", "host becomes "+f.HostRewrite)
	}
	total := "no time limit"
	if f.Timeout > 0 {
		total = "total " + timeText(f.Timeout)
	}
	if f.Retry == nil {
		e.line("timeout", total)
	} else {
		e.line("retry", retryText(f.Retry, snapshot.RetryConditions(f.Retry.On))+"; "+total)
	}
	if f.Hedge != nil {
		if text := hedgeText(f.Hedge, f.Retry); text != "" {
			e.line("hedge", text)
		}
	}
	e.traffic(f)
	e.deadline(f.GRPCTimeout)
}

// deadline says what becomes of the deadlines that gRPC clients set.
func (e *explanation) deadline(g *router.GRPCTimeout) {
	if g == nil {
		return
	}
	parts := []string{"of a gRPC client's own, in place of the timeout"}
	if g.Max > 0 {
		parts = append(parts, "at most "+timeText(g.Max))
	}
	if g.Margin > 0 {
		parts = append(parts, "less "+timeText(g.Margin))
	}
	e.line("deadline", parts...)
}

// endpoints counts the endpoints of a cluster, with their health when it is known.
func (e *explanation) endpoints(ref router.ClusterRef) string {
	if e.health != nil {
		c, ok := e.health[ref.Name]
		if !ok {
			return "(not in the running gateway)"
		}
		return fmt.Sprintf("(%d of %d healthy)", c.healthy(), len(c.Endpoints))
	}
	config := e.snapshot.Clusters[ref.Slot].Config()
	if config.Discovery == cluster.OriginalDst {
		return "(where the connection was going)"
	}
	if config.Discovery != cluster.Static {
		var names []string
		for _, endpoint := range config.Endpoints {
			names = append(names, fmt.Sprintf("%s:%d", endpoint.Host, endpoint.Port))
		}
		return "(dns " + strings.Join(names, ", ") + ")"
	}
	return "(" + count(len(config.Endpoints), "endpoint") + ")"
}

// edits lists the fields that a rule changes.
func (e *explanation) edits(direction string, edits *router.HeaderEdits) {
	if edits == nil {
		return
	}
	var parts []string
	for _, name := range edits.Remove {
		parts = append(parts, "-"+name)
	}
	for _, field := range edits.Fields {
		parts = append(parts, "+"+field.Name)
	}
	e.line("headers", direction+": "+strings.Join(parts, " "))
}

func describeRedirect(r *router.Redirect) string {
	parts := []string{fmt.Sprint(r.Status)}
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, what+" "+value)
		}
	}
	add("scheme", r.Scheme)
	add("host", r.Host)
	if r.Port != 0 {
		add("port", fmt.Sprint(r.Port))
	}
	add("path", r.Path)
	switch {
	case r.Prefix != nil:
		add("prefix", *r.Prefix)
	case r.Regex != nil:
		add("regex", r.Regex.Pattern+" to "+r.Regex.Substitution)
	}
	if r.StripQuery {
		parts = append(parts, "without query")
	}
	return strings.Join(parts, ", ")
}

// short drops the column of "file:line:column".
func short(origin string) string {
	if i := strings.LastIndexByte(origin, ':'); i > 0 && strings.Count(origin, ":") > 1 {
		return origin[:i]
	}
	return origin
}

// timeText writes a duration without needless zeros: "1m", not "1m0s".
func timeText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}
