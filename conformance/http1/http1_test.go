// Package http1 holds what a gateway does with HTTP/1.1 messages against RFC
// 9110 and 9112: requests are judged by what the origin received, responses by
// what the client received.
package http1

import (
	"fmt"
	"os"
	"testing"
	"time"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func start(t *testing.T, kind string) (*harness.Proxy, *harness.Origin) {
	t.Helper()
	o, err := harness.StartOrigin(harness.Echo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	// HTTP/2's preface shall be what it is to a server of HTTP/1: malformed.
	return harness.Start(t, kind, o.Addr, harness.Options{Listener: "protocols: [http/1.1]"}), o
}

func TestVectors(t *testing.T) {
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			requests, responses := loadAll(t, kind == harness.Longmen)
			p, o := start(t, kind)
			var verdicts []harness.Verdict
			var brake harness.Brake
			for _, v := range requests {
				o.SetScript(harness.Echo)
				began := time.Now()
				fault := explain(v, runRequest(v, p, o))
				verdicts = append(verdicts, harness.Verdict{Name: "request/" + v.name, Fault: fault})
				brake.Took(t, kind, v.name, began)
				if fault != "" {
					// What should not have been sent may still be under way; the
					// next case is not to be blamed for it.
					time.Sleep(50 * time.Millisecond)
				}
			}
			for _, v := range responses {
				began := time.Now()
				verdicts = append(verdicts, harness.Verdict{Name: "response/" + v.name, Fault: explain(v, runResponse(v, p, o))})
				brake.Took(t, kind, v.name, began)
			}
			harness.Report(t, "vectors", kind, verdicts)
		})
	}
}

func loadAll(t *testing.T, strict bool) (requests, responses []*vector) {
	t.Helper()
	for _, f := range []struct {
		name string
		to   *[]*vector
	}{
		{"request-line", &requests}, {"request-fields", &requests}, {"request-framing", &requests},
		{"request-chunked", &requests}, {"request-forwarding", &requests},
		{"response-head", &responses}, {"response-framing", &responses},
	} {
		vs, err := load("testdata/"+f.name+".txt", strict)
		if err != nil {
			t.Fatal(err)
		}
		*f.to = append(*f.to, vs...)
	}
	return requests, responses
}

func explain(v *vector, fault string) string {
	if fault == "" {
		return ""
	}
	if len(fault) > 600 {
		fault = fault[:600] + "..."
	}
	sent := v.raw
	if len(sent) > 300 {
		sent = sent[:300] + "..."
	}
	return fmt.Sprintf("%s (%s, %s; sent %q)", fault, v.class, v.rfc, sent)
}
