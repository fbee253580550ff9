package snapshot

import (
	"strings"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// Back-off between tries unless the policy says otherwise (Envoy's defaults).
const (
	defaultBackoffBase = 25 * time.Millisecond
	backoffMaxFactor   = 10
	maxRetries         = 100
	defaultRetryAfter  = 300 * time.Second
)

// retryConditions names the conditions as retry_on does.
var retryConditions = []struct {
	name string
	on   router.RetryOn
}{
	{"5xx", router.On5xx},
	{"gateway-error", router.OnGatewayError},
	{"connect-failure", router.OnConnectFailure},
	{"refused-stream", router.OnRefusedStream},
	{"reset", router.OnReset},
	{"reset-before-request", router.OnResetBeforeRequest},
	{"retriable-4xx", router.OnRetriable4xx},
	{"retriable-status-codes", router.OnRetriableStatusCodes},
	{"retriable-headers", router.OnRetriableHeaders},
	{"envoy-ratelimited", router.OnEnvoyRateLimited},
	{"cancelled", router.OnCancelled},
	{"deadline-exceeded", router.OnDeadlineExceeded},
	{"internal", router.OnInternal},
	{"resource-exhausted", router.OnResourceExhausted},
	{"unavailable", router.OnUnavailable},
}

// retry compiles the policy of the route or virtual host at; nil for none.
func (c *compiler) retry(at resource.Path, p *route.RetryPolicy) *router.Retry {
	if p == nil {
		return nil
	}
	at = join(at, "retry")
	c.only(at, p, "retry_on", "num_retries", "per_try_timeout", "retriable_status_codes", "retry_back_off", "per_try_idle_timeout",
		"retriable_headers", "retriable_request_headers", "rate_limited_retry_back_off", "retry_host_predicate", "host_selection_retry_max_attempts", "retry_priority")
	out := &router.Retry{
		Attempts:    c.number(join(at, "attempts"), p.GetNumRetries(), 0, maxRetries, 1),
		PerTry:      c.duration(join(at, "per_try"), p.GetPerTryTimeout(), 0),
		PerTryIdle:  c.duration(join(at, "per_try_idle"), p.GetPerTryIdleTimeout(), 0),
		BackoffBase: defaultBackoffBase,
		After:       c.retryAfter(at, p.GetRateLimitedRetryBackOff()),
	}
	out.Headers = c.retryHeaders(at, "headers", p.GetRetriableHeaders())
	out.RequestHeaders = c.retryHeaders(at, "request_headers", p.GetRetriableRequestHeaders())
	c.retryPlaces(at, p, out)
	for word := range strings.SplitSeq(p.GetRetryOn(), ",") {
		word = strings.TrimSpace(word)
		on := retryOn(word)
		if on == 0 {
			c.failHint(join(at, "on"), didYouMean(word, retryNames()), "%q is no condition for a retry: %s", word, strings.Join(retryNames(), ", "))
		}
		out.On |= on
	}
	for i, code := range p.GetRetriableStatusCodes() {
		if code < 200 || code > 599 {
			c.fail(item(join(at, "codes"), i), "%d: a status is from 200 to 599", code)
		}
		out.Codes = append(out.Codes, int(code))
	}
	switch listed := out.On&router.OnRetriableStatusCodes != 0; {
	case listed && len(out.Codes) == 0:
		c.fail(join(at, "on"), "retriable-status-codes without any code")
	case !listed && len(out.Codes) > 0:
		c.failHint(join(at, "codes"), "add retriable-status-codes to on", "the codes have no effect")
	}
	switch listed := out.On&router.OnRetriableHeaders != 0; {
	case listed && len(out.Headers) == 0:
		c.fail(join(at, "on"), "retriable-headers without any header")
	case !listed && len(out.Headers) > 0:
		c.failHint(join(at, "headers"), "add retriable-headers to on", "the headers have no effect")
	}
	if b := p.GetRetryBackOff(); b != nil {
		where := join(at, "backoff")
		c.only(where, b, "base_interval", "max_interval")
		out.BackoffBase = c.positive(where, b.GetBaseInterval(), defaultBackoffBase)
		if out.BackoffMax = c.duration(where, b.GetMaxInterval(), 0); b.GetMaxInterval() != nil && out.BackoffMax < out.BackoffBase {
			c.fail(where, "the longest pause (%v) is shorter than the first (%v)", out.BackoffMax, out.BackoffBase)
		}
	}
	if out.BackoffMax == 0 {
		out.BackoffMax = backoffMaxFactor * out.BackoffBase
	}
	if out.Attempts == 0 {
		return nil
	}
	return out
}

func retryOn(name string) router.RetryOn {
	for _, condition := range retryConditions {
		if condition.name == name {
			return condition.on
		}
	}
	return 0
}

// RetryConditions names a set of conditions as retry_on does.
func RetryConditions(on router.RetryOn) string {
	var names []string
	for _, condition := range retryConditions {
		if on&condition.on != 0 {
			names = append(names, condition.name)
		}
	}
	return strings.Join(names, ", ")
}

func retryNames() []string {
	names := make([]string, len(retryConditions))
	for i, condition := range retryConditions {
		names[i] = condition.name
	}
	return names
}
