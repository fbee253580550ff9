package command

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/ledger"
)

// keeper is an admin API whose ledger has an endpoint that goes after some questions.
func keeper(t *testing.T, questions int32) (address string) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all []ledger.Entry
		for _, at := range r.URL.Query()["endpoint"] {
			e := ledger.Entry{Endpoint: netip.MustParseAddrPort(at), Configuration: ledger.Configuration{Received: "v", InUse: "v"},
				Clusters: []ledger.Standing{{Cluster: "web", State: ledger.Draining}}, Workers: []ledger.Worker{{Current: true}}}
			if asked.Add(1) <= questions {
				e.Workers[0].Holdings = []ledger.Holding{{Cluster: "web", Streams: 3, Connections: 3, Oldest: ledger.Seconds(12 * time.Second)}}
			}
			if strings.HasSuffix(at, ":99") {
				e.Clusters = nil
			}
			e.Judge()
			all = append(all, e)
		}
		if r.URL.Path != "/ledger" || r.URL.Query().Get("format") != "json" || r.URL.Query().Get("wait") == "" {
			t.Errorf("asked for %s", r.URL)
		}
		json.NewEncoder(w).Encode(all)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestWaitGone(t *testing.T) {
	free, held, later := keeper(t, 0), keeper(t, 1<<30), keeper(t, 1)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	other := strings.TrimPrefix(elsewhere.URL, "http://")
	for name, test := range map[string]struct {
		args []string
		code int
		out  []string
		err  []string
	}{
		"gone":             {[]string{"10.0.0.1:80", "--admin", free}, 0, []string{free + ": 10.0.0.1:80: gone (draining; cluster web)\n"}, nil},
		"gone, asked once": {[]string{"10.0.0.1:80", "--admin", free, "--timeout", "0"}, 0, []string{"gone"}, nil},
		"goes":             {[]string{"10.0.0.1:80", "--admin", later, "--timeout", "20s"}, 0, []string{"gone"}, nil},
		"two endpoints":    {[]string{"10.0.0.1:80", "[::1]:80", "--admin", free}, 0, []string{"10.0.0.1:80: gone", "[::1]:80: gone"}, nil},
		"never here":       {[]string{"10.0.0.1:99", "--admin", free}, 0, []string{"is this the endpoint that is meant?"}, nil},
		"held": {[]string{"10.0.0.1:80", "--admin", held, "--timeout", "10ms"}, 1, nil,
			[]string{held + ": 10.0.0.1:80: still used: 3 streams on 1 worker, oldest 12 s, cluster web\n"}},
		"held by one of two": {[]string{"10.0.0.1:80", "--admin", free + "," + held, "--timeout", "10ms"}, 1, []string{free + ": "}, []string{held + ": "}},
		"two flags":          {[]string{"10.0.0.1:80", "--admin", free, "--admin", held, "--timeout", "0"}, 1, []string{free + ": "}, []string{held + ": "}},
		"no gateway":         {[]string{"10.0.0.1:80", "--admin", "unix:/nowhere", "--timeout", "10ms"}, 1, nil, []string{"no gateway answers on unix:/nowhere"}},
		"another server":     {[]string{"10.0.0.1:80", "--admin", other, "--timeout", "10ms"}, 1, nil, []string{"404"}},
		"nothing asked":      {nil, 2, nil, []string{"IP:PORT is missing"}},
		"a name":             {[]string{"web:80"}, 2, nil, []string{`"web:80" is not IP:PORT`}},
		"no port":            {[]string{"10.0.0.1:0"}, 2, nil, []string{"is not IP:PORT"}},
		"negative":           {[]string{"10.0.0.1:80", "--timeout", "-1s"}, 2, nil, []string{"must not be negative"}},
		"another flag":       {[]string{"10.0.0.1:80", "--time", "1s"}, 2, nil, []string{"unknown flag"}},
		"no gateway at all":  {[]string{"10.0.0.1:80", "--admin", ""}, 2, nil, []string{"names no gateway"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Main(context.Background(), append([]string{"wait-gone"}, test.args...), strings.NewReader(""), &out, &errOut)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.out {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in %q", want, out.String())
				}
			}
			for _, want := range test.err {
				if !strings.Contains(errOut.String(), want) {
					t.Errorf("no %q in %q", want, errOut.String())
				}
			}
			if len(test.out) == 0 && out.Len() > 0 || code == 0 && errOut.Len() > 0 {
				t.Errorf("out %q, error output %q", out.String(), errOut.String())
			}
		})
	}
}

// A wait that is broken off is no success.
func TestWaitGoneBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errOut bytes.Buffer
	code := Main(ctx, []string{"wait-gone", "10.0.0.1:80", "--admin", keeper(t, 0)}, strings.NewReader(""), &out, &errOut)
	if code != exitProblems || !strings.Contains(errOut.String(), "context canceled") {
		t.Errorf("exit code %d, %s", code, errOut.String())
	}
}
