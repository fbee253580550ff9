package yaml

import (
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	stateful "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	cookiesession "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	previous "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	typehttp "github.com/envoyproxy/go-control-plane/envoy/type/http/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/resource"
)

// The names of what attempts use in xDS.
const (
	statefulName   = "envoy.filters.http.stateful_session"
	cookieName     = "envoy.http.stateful_session.cookie"
	prioritiesName = "envoy.retry_priorities.previous_priorities"
)

// retryWords are the conditions of retries, as Envoy names them.
var retryWords = []string{"5xx", "gateway-error", "connect-failure", "refused-stream", "reset", "reset-before-request", "retriable-4xx", statusCodes,
	retriableHeaders, "envoy-ratelimited", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}

// The conditions that other keys add.
const (
	statusCodes      = "retriable-status-codes"
	retriableHeaders = "retriable-headers"
)

const (
	maxRetryHeaders = 16
	maxStickyKeys   = 16
)

// retry reads "retry" of a rule, or of a host, where extra is nil.
func (d *decoder) retry(v value, extra resource.Values) *route.RetryPolicy {
	f := d.object(v, retryTable)
	out := &route.RetryPolicy{
		NumRetries:        f.uint32("attempts", 1, 100),
		PerTryTimeout:     f.duration("per_try", 0),
		PerTryIdleTimeout: f.duration("per_try_idle", 0),
	}
	on := []string{"connect-failure", "reset-before-request"}
	if v, ok := f.get("on"); ok {
		on = nil
		for _, entry := range d.oneOrMore(v) {
			if word, ok := d.choice(entry, retryWords...); ok {
				on = append(on, word)
			}
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one condition")
		}
	}
	add := func(word string) {
		if !slices.Contains(on, word) {
			on = append(on, word)
		}
	}
	if v, ok := f.get("codes"); ok {
		for _, entry := range d.oneOrMore(v) {
			if n, ok := d.integer(entry, 200, 599); ok {
				out.RetriableStatusCodes = append(out.RetriableStatusCodes, uint32(n))
			}
		}
		add(statusCodes)
	}
	if v, ok := f.get("headers"); ok {
		out.RetriableHeaders = d.retryHeaders(v)
		add(retriableHeaders)
	}
	if v, ok := f.get("request_headers"); ok {
		out.RetriableRequestHeaders = d.retryHeaders(v)
	}
	out.RetryOn = strings.Join(on, ",")
	if v, ok := f.get("backoff"); ok {
		out.RetryBackOff = d.backoff(v)
	}
	if v, ok := f.get("retry_after"); ok {
		out.RateLimitedRetryBackOff = d.retryAfter(v)
	}
	if n, ok := f.number("other_priorities", 1, 100); ok {
		out.RetryPriority = &route.RetryPolicy_RetryPriority{Name: prioritiesName, ConfigType: &route.RetryPolicy_RetryPriority_TypedConfig{
			TypedConfig: d.pack(v, &previous.PreviousPrioritiesConfig{UpdateFrequency: int32(n)}),
		}}
	}
	if unsafe, ok := f.flag("unsafe"); ok && extra != nil {
		extra["retry_unsafe"] = unsafe
	} else if ok {
		d.fail(f.written("unsafe"), "is for rules: only they can say that requests may run twice")
	}
	return out
}

func (d *decoder) retryHeaders(v value) []*route.HeaderMatcher {
	var out []*route.HeaderMatcher
	entries := d.entries(v)
	if v.isMap() && (len(entries) == 0 || len(entries) > maxRetryHeaders) {
		d.fail(v, "must name 1 to %d header fields", maxRetryHeaders)
	}
	for _, entry := range entries {
		if d.fieldName(entry.key, entry.path, entry.key.Value) {
			out = append(out, d.matchHeader(entry))
		}
	}
	return out
}

func (d *decoder) backoff(v value) *route.RetryPolicy_RetryBackOff {
	b := d.object(v, backoffTable)
	out := &route.RetryPolicy_RetryBackOff{
		BaseInterval: b.duration("base", time.Millisecond),
		MaxInterval:  b.duration("max", time.Millisecond),
	}
	if out.BaseInterval == nil { // which xDS needs
		out.BaseInterval = durationpb.New(25 * time.Millisecond)
	}
	if highest := out.MaxInterval; highest != nil && highest.AsDuration() < out.BaseInterval.AsDuration() {
		d.fail(b.written("max"), "%v is less than base", highest.AsDuration())
	}
	return out
}

// retryAfter reads which fields of a response say when to come again.
func (d *decoder) retryAfter(v value) *route.RetryPolicy_RateLimitedRetryBackOff {
	standard := []*route.RetryPolicy_ResetHeader{{Name: "retry-after", Format: route.RetryPolicy_SECONDS}}
	out := &route.RetryPolicy_RateLimitedRetryBackOff{ResetHeaders: standard}
	if !v.isMap() {
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "leave it out", "retry_after: false says nothing")
		}
		return out
	}
	f := d.object(v, retryAfterTable)
	out.MaxInterval = f.duration("max", time.Millisecond)
	headers, ok := f.get("headers")
	if !ok {
		return out
	}
	out.ResetHeaders = nil
	entries := d.entries(headers)
	if headers.isMap() && (len(entries) == 0 || len(entries) > maxRetryHeaders) {
		d.fail(headers, "must name 1 to %d header fields", maxRetryHeaders)
	}
	for _, entry := range entries {
		one := &route.RetryPolicy_ResetHeader{Name: entry.key.Value}
		word, ok := d.choice(entry, "seconds", "unix")
		if word == "unix" {
			one.Format = route.RetryPolicy_UNIX_TIMESTAMP
		}
		if ok && d.fieldName(entry.key, entry.path, one.Name) {
			out.ResetHeaders = append(out.ResetHeaders, one)
		}
	}
	return out
}

func (d *decoder) hedge(v value) *route.HedgePolicy {
	f := d.object(v, hedgeTable)
	out := &route.HedgePolicy{InitialRequests: f.uint32("requests", 1, 8)}
	if v, ok := f.get("chance"); ok {
		if share, ok := d.percent(v); ok {
			out.AdditionalRequestChance = fraction(share)
		}
	}
	if v, ok := f.get("on_timeout"); ok {
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "leave it out", "on_timeout: false says nothing")
		}
		out.HedgeOnPerTryTimeout = true
	}
	if v.isMap() && len(f.found) == 0 {
		d.fail(v, "says nothing: requests, chance or on_timeout")
	}
	return out
}

// sticky reads a rule's sticky session, which in xDS is a filter's settings.
func (d *decoder) sticky(v value, extra resource.Values) *anypb.Any {
	f := d.object(v, stickyTable)
	cookie := &typehttp.Cookie{Ttl: f.duration("ttl", 0), Path: d.cookiePath(f, "path")}
	if v, ok := f.get("cookie"); ok {
		if name, ok := d.word(v); ok && d.cookieName(v, name) {
			cookie.Name = name
		}
	} else {
		f.missing("cookie", "the name of the cookie")
	}
	if v, ok := f.get("attributes"); ok {
		d.attributes(v, func(name, text string) {
			cookie.Attributes = append(cookie.Attributes, &typehttp.CookieAttribute{Name: name, Value: text})
		})
	}
	session := &stateful.StatefulSession{SessionState: &core.TypedExtensionConfig{
		Name: cookieName, TypedConfig: d.pack(v, &cookiesession.CookieBasedSessionState{Cookie: cookie}),
	}}
	session.Strict, _ = f.flag("strict")
	if v, ok := f.get("keys"); ok {
		var names []string
		for _, entry := range d.oneOrMore(v) {
			if name, ok := d.word(entry); ok {
				names = append(names, d.fileName(name))
			}
		}
		switch {
		case v.isList() && len(v.node.Content) == 0 || len(names) > maxStickyKeys:
			d.fail(v, "must name 1 to %d files", maxStickyKeys)
		case len(names) > 0:
			extra["sticky_keys"] = names
		}
	}
	return d.pack(v, &stateful.StatefulSessionPerRoute{Override: &stateful.StatefulSessionPerRoute_StatefulSession{StatefulSession: session}})
}

// subset reads the labels that a rule, or one of its clusters, asks for.
func (d *decoder) subset(f fields) *core.Metadata {
	v, ok := f.get("subset")
	if !ok {
		return nil
	}
	labels := d.labels(v, false)
	if len(labels.GetFields()) == 0 {
		return nil
	}
	return &core.Metadata{FilterMetadata: map[string]*structpb.Struct{labelsKey: labels}}
}

// routing reads what a rule says of the endpoints that its tries go to.
func (d *decoder) routing(f fields, out *route.RouteAction) {
	if v, ok := f.get("hash"); ok {
		out.HashPolicy = d.hashes(v)
	}
	if v, ok := f.get("hedge"); ok {
		out.HedgePolicy = d.hedge(v)
	}
	out.MetadataMatch = d.subset(f)
	if word, _ := f.choice("priority", "default", "high"); word == "high" {
		out.Priority = core.RoutingPriority_HIGH
	}
}

// routingNodes writes it.
func routingNodes(out *mapping, a *route.RouteAction) {
	if len(a.GetHashPolicy()) > 0 {
		out.put("hash", hashNode(a.GetHashPolicy()))
	}
	if a.GetHedgePolicy() != nil {
		out.put("hedge", hedgeMap(a.GetHedgePolicy()).node())
	}
	out.sub("subset", labelsMap(a.GetMetadataMatch().GetFilterMetadata()[labelsKey]))
	if a.GetPriority() == core.RoutingPriority_HIGH {
		out.word("priority", "high")
	}
}

func hedgeMap(h *route.HedgePolicy) *mapping {
	out := &mapping{}
	out.number("requests", h.GetInitialRequests())
	if chance := h.GetAdditionalRequestChance(); chance != nil {
		out.word("chance", percentText(chance))
	}
	if h.GetHedgeOnPerTryTimeout() {
		out.put("on_timeout", truth(true))
	}
	return out
}

// stickyNode writes a rule's sticky session; nil for what is none.
func (e *encoder) stickyNode(packed *anypb.Any, values resource.Values) *yaml.Node {
	per, cookies := &stateful.StatefulSessionPerRoute{}, &cookiesession.CookieBasedSessionState{}
	if packed.UnmarshalTo(per) != nil || per.GetStatefulSession().GetSessionState().GetTypedConfig().UnmarshalTo(cookies) != nil {
		e.fail("filter %q cannot be written as YAML by this version", statefulName)
		return nil
	}
	out, cookie := &mapping{}, cookies.GetCookie()
	out.put("cookie", text(cookie.GetName()))
	out.duration("ttl", cookie.GetTtl())
	out.word("path", cookie.GetPath())
	attributes := &mapping{}
	for _, a := range cookie.GetAttributes() {
		attributes.put(a.GetName(), text(a.GetValue()))
	}
	out.sub("attributes", attributes)
	if per.GetStatefulSession().GetStrict() {
		out.put("strict", truth(true))
	}
	if names := values.Strings("sticky_keys"); names != nil {
		out.put("keys", texts(names))
	}
	return out.node()
}

func (e *encoder) retryMap(r *route.RetryPolicy, values resource.Values) *mapping {
	out := &mapping{}
	out.number("attempts", r.GetNumRetries())
	out.put("on", texts(strings.Split(r.GetRetryOn(), ",")))
	out.duration("per_try", r.GetPerTryTimeout())
	out.duration("per_try_idle", r.GetPerTryIdleTimeout())
	if b := r.GetRetryBackOff(); b != nil {
		backoff := &mapping{}
		backoff.duration("base", b.GetBaseInterval())
		backoff.duration("max", b.GetMaxInterval())
		out.put("backoff", backoff.node())
	}
	if b := r.GetRateLimitedRetryBackOff(); b != nil {
		out.put("retry_after", retryAfterNode(b))
	}
	out.value("unsafe", values, "retry_unsafe")
	if len(r.GetRetriableStatusCodes()) > 0 {
		var codes []*yaml.Node
		for _, code := range r.GetRetriableStatusCodes() {
			codes = append(codes, number(code))
		}
		out.put("codes", list(codes...))
	}
	out.sub("headers", headerTests(r.GetRetriableHeaders()))
	out.sub("request_headers", headerTests(r.GetRetriableRequestHeaders()))
	if p := r.GetRetryPriority(); p != nil {
		config := &previous.PreviousPrioritiesConfig{}
		if err := p.GetTypedConfig().UnmarshalTo(config); err != nil {
			e.fail("retry priority %q: %w", p.GetName(), err)
		}
		out.put("other_priorities", number(int64(config.GetUpdateFrequency())))
	}
	return out
}

func retryAfterNode(b *route.RetryPolicy_RateLimitedRetryBackOff) *yaml.Node {
	out, headers := &mapping{}, &mapping{}
	standard := len(b.GetResetHeaders()) == 1 && b.GetResetHeaders()[0].GetName() == "retry-after" && b.GetResetHeaders()[0].GetFormat() == route.RetryPolicy_SECONDS
	for _, h := range b.GetResetHeaders() {
		word := "seconds"
		if h.GetFormat() == route.RetryPolicy_UNIX_TIMESTAMP {
			word = "unix"
		}
		headers.word(h.GetName(), word)
	}
	if !standard {
		out.put("headers", headers.node())
	}
	out.duration("max", b.GetMaxInterval())
	if len(out.content) == 0 {
		return truth(true)
	}
	return out.node()
}
