package http2

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// h2specEnv names the tool; without it, it is where make setup builds it.
const h2specEnv = "H2SPEC"

// TestH2spec runs all of h2spec through to an origin of HTTP/1.1, in cleartext
// and over TLS.
func TestH2spec(t *testing.T) {
	tool := os.Getenv(h2specEnv)
	if tool == "" {
		tool = "../../.tools/bin/h2spec"
	}
	if _, err := exec.LookPath(tool); err != nil {
		t.Fatalf("no h2spec (make setup builds it, $%s names another): %v", h2specEnv, err)
	}
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o, err := harness.StartOrigin(harness.Echo)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			certificate, _ := harness.Certificate(t)
			var verdicts []harness.Verdict
			for name, file := range map[string]string{"cleartext": "", "tls": certificate} {
				p := harness.Start(t, kind, o.Addr, harness.Options{HTTP2: true, Cert: file, Listener: "protocols: [h2]"})
				began := time.Now()
				part := h2spec(t, tool, name, p.Addr, file != "")
				t.Logf("h2spec, %s: %d cases in %v", name, len(part), time.Since(began).Round(time.Millisecond))
				if fault := nothingButRequests(o.Record()); fault != "" {
					part = append(part, harness.Verdict{Name: "h2spec/" + name + "/origin", Fault: fault})
				}
				o.Reset()
				verdicts = append(verdicts, part...)
			}
			harness.Report(t, "h2spec", kind, verdicts)
		})
	}
}

// h2spec runs the tool once and reads its report.
func h2spec(t *testing.T, tool, name, addr string, secure bool) (verdicts []harness.Verdict) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"-S", "-h", host, "-p", port, "-o", "2", "-j", report, "generic", "http2", "hpack"}
	if secure {
		args = append(args, "-t", "-k")
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // a failed case is an exit status, too
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	var suites struct {
		Suites []struct {
			ID    string `xml:"id,attr"`
			Name  string `xml:"name,attr"`
			Cases []struct {
				Package string  `xml:"package,attr"`
				Name    string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Skipped *string `xml:"skipped"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	for _, s := range suites.Suites {
		for i, c := range s.Cases {
			v := harness.Verdict{Name: fmt.Sprintf("h2spec/%s/%s/%d", name, c.Package, i+1)}
			for what, said := range map[string]*string{"failed": c.Failure, "skipped": c.Skipped, "error": c.Error} {
				if said != nil {
					v.Fault = fmt.Sprintf("%s: %s: %s", what, c.Name, strings.Join(strings.Fields(*said), " "))
				}
			}
			verdicts = append(verdicts, v)
		}
	}
	if len(verdicts) < 100 {
		t.Fatalf("h2spec ran %d cases\n%s", len(verdicts), out)
	}
	return verdicts
}

// nothingButRequests judges what an origin of HTTP/1.1 has received.
func nothingButRequests(r harness.Record) string {
	if len(r.Violations) > 0 {
		return fmt.Sprintf("%d violations, the first: %s", len(r.Violations), r.Violations[0])
	}
	if len(r.Requests) == 0 {
		return "no request came through"
	}
	return ""
}
