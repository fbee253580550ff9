package accesslog

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"longmen/gateway/stream"
	"longmen/tls/handshake"
	"longmen/tls/verify"
)

func text(t testing.TB) *stream.Format {
	t.Helper()
	format, err := stream.ParseFormat(DefaultText)
	if err != nil {
		t.Fatal(err)
	}
	return format
}

func jsonFormat(t testing.TB) *stream.Format {
	t.Helper()
	format, err := stream.NewJSONFormat(DefaultJSON())
	if err != nil {
		t.Fatal(err)
	}
	return format
}

// served is a stream that went well; failed one that did not.
func served() *stream.Stream {
	s := new(stream.Stream)
	s.Request.Method = []byte("GET")
	s.Request.Path = []byte("/cart/1")
	s.Request.Query, s.Request.HasQuery = []byte("a=b"), true
	s.Request.Authority = []byte("shop.example.com:8080")
	s.Request.Minor = 1
	s.Request.Header.Add("user-agent", []byte("probe/1"))
	s.Request.Header.Add("x-request-id", []byte("7f3a"))
	s.Remote = netip.MustParseAddrPort("203.0.113.9:4711")
	s.Client = s.Remote.Addr()
	s.Record = stream.Record{
		Start: time.Unix(1_700_000_000, 123e6), Begin: 5e6, End: 17e6, Listener: "http",
		Route: "public[0].rules[1]", RouteOrigin: "gateway.yaml:16:11", Cluster: "cart",
		Endpoint: netip.MustParseAddrPort("10.0.0.1:80"), Tries: 1, Status: 200, RequestBytes: 3, ResponseBytes: 1024,
	}
	return s
}

func failed() *stream.Stream {
	s := served()
	s.Record.Status, s.Record.Tries, s.Record.Retried, s.Record.RetryEnd = 502, 2, stream.RetryReset, stream.RetryAttempts
	s.Record.Err = &stream.Error{
		Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamConnectionEnd,
		Cause: errors.New("closed before a response"),
	}
	return s
}

func TestDefaultText(t *testing.T) {
	for _, c := range []struct {
		stream *stream.Stream
		want   string
	}{
		{served(), `[2023-11-14T22:13:20.123Z] 203.0.113.9 "GET /cart/1?a=b HTTP/1.1" 200 - 3 1024 12 "shop.example.com:8080" "probe/1" ` +
			`cart 10.0.0.1:80 1 - - gateway.yaml:16:11 - - "-"`},
		{failed(), `[2023-11-14T22:13:20.123Z] 203.0.113.9 "GET /cart/1?a=b HTTP/1.1" 502 UC,URX 3 1024 12 "shop.example.com:8080" "probe/1" ` +
			`cart 10.0.0.1:80 2 reset attempts gateway.yaml:16:11 upstream response-head "closed before a response"`},
	} {
		if got := string(text(t).Append(nil, c.stream, nil)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestDefaultJSON(t *testing.T) {
	var got map[string]any
	line := jsonFormat(t).Append(nil, failed(), nil)
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	want := map[string]any{
		"time": "2023-11-14T22:13:20.123Z", "listener": "http", "client": "203.0.113.9", "method": "GET", "host": "shop.example.com:8080",
		"path": "/cart/1", "query": "a=b", "protocol": "HTTP/1.1", "status": 502.0, "flag": "UC,URX", "retry_reason": "reset", "retry_end": "attempts", "side": "upstream", "phase": "response-head",
		"cause": "closed before a response", "bytes_in": 3.0, "bytes_out": 1024.0, "duration_ms": 12.0, "upstream": "10.0.0.1:80", "cluster": "cart",
		"tries": 2.0, "route": "public[0].rules[1]", "route_origin": "gateway.yaml:16:11", "user_agent": "probe/1", "request_id": "7f3a",
		"tls_version": nil, "tls_cipher": nil, "server_name": nil, "client_subject": nil,
	}
	for name, value := range want {
		if is, there := got[name]; !there || is != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d members, want %d: %s", len(got), len(want), line)
	}
	secured := served()
	secured.TLS = &handshake.Result{Version: handshake.VersionTLS13, Suite: 0x1302, ServerName: "shop.example.com", Peer: &verify.Peer{Subject: "CN=probe"}}
	got = nil
	if err := json.Unmarshal(jsonFormat(t).Append(nil, secured, nil), &got); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_256_GCM_SHA384", "server_name": "shop.example.com", "client_subject": "CN=probe"} {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	// Of a stream that went well, what a failure would have is null.
	got = nil
	if err := json.Unmarshal(jsonFormat(t).Append(nil, served(), nil), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"flag", "side", "phase", "cause", "retry_reason", "retry_end"} {
		if value, there := got[name]; !there || value != nil {
			t.Errorf("%s is %v", name, value)
		}
	}
}
