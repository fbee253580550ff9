package stream

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"longmen/tls/handshake"
	"longmen/tls/verify"
)

// exampleStream is a stream about which everything is known.
func exampleStream() (*Stream, *Response) {
	s := &Stream{
		Remote: netip.MustParseAddrPort("192.0.2.7:40000"),
		Local:  netip.MustParseAddrPort("[::ffff:198.51.100.1]:8080"),
		Client: netip.MustParseAddr("2001:db8::1"),
		ID:     42,
		Record: Record{
			Start: time.Date(2026, 3, 9, 14, 5, 6, 7_089_000, time.FixedZone("x", 3600)),
			Begin: 1e9, HeadDone: 1e9 + 2_900_000, UpstreamBegin: 1e9 + 3e6, UpstreamHead: 1e9 + 10e6, End: 1e9 + 12_500_000,
			Listener: "http", Route: "public[0].rules[1]", RouteOrigin: "gateway.yaml:16:11",
			Cluster: "web", Endpoint: netip.MustParseAddrPort("10.0.0.1:8080"), Tries: 2,
			Status: 503, RequestBytes: 10, ResponseBytes: 20,
			Err: &Error{Side: Upstream, Phase: PhaseResponseHead, Flag: UpstreamRemoteReset, Cause: errors.New(`reset by "peer"`)},
		},
	}
	r := &s.Request
	r.Method, r.Scheme, r.Minor = []byte("GET"), "http", 1
	r.Authority, r.Host = []byte("Shop.example:8080"), []byte("shop.example")
	r.Target, r.Path = []byte("/a/../b?x=1"), []byte("/b")
	r.Query, r.HasQuery = []byte("x=1"), true
	r.Header.AddString("user-agent", "curl/8 \"q\" \\ \x80")
	r.Header.AddString("x-a", "one")
	r.Header.AddString("x-empty", "")
	resp := &Response{Status: 503}
	resp.Header.AddString("server", "origin")
	return s, resp
}

func TestFormatText(t *testing.T) {
	s, resp := exampleStream()
	for _, c := range []struct{ format, want string }{
		{"", ""},
		{"plain", "plain"},
		{"100 %%", "100 %"},
		{"%%%METHOD%%%", "%GET%"},
		{"%START_TIME%", "2026-03-09T13:05:06.007Z"},
		{"%START_TIME()%", "2026-03-09T13:05:06.007Z"},
		{"[%START_TIME(%d/%b/%Y:%H:%M:%S %z)%]", "[09/Mar/2026:13:05:06 +0000]"},
		{"%START_TIME(%y %e %j %I %p %a %A %B %F %T %s %Z %f %1f %6f %%)%",
			"26  9 068 01 PM Mon Monday March 2026-03-09 13:05:06 1773061506 UTC 007089000 0 007089 %"},
		{"%PROTOCOL%", "HTTP/1.1"},
		{"%RESPONSE_CODE% %RESPONSE_FLAGS%", "503 UR"},
		{"%RESPONSE_CODE_DETAILS%", `reset by \x22peer\x22`},
		{"%ERROR_SIDE% %ERROR_PHASE% %ERROR_CAUSE%", `upstream response-head reset by \x22peer\x22`},
		{"%BYTES_RECEIVED% %BYTES_SENT%", "10 20"},
		{"%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION%", "12 2 10"},
		{"%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "10.0.0.1:8080 web 2"},
		{"%ROUTE_NAME% %ROUTE_ORIGIN% %LISTENER%", "public[0].rules[1] gateway.yaml:16:11 http"},
		{"%DOWNSTREAM_REMOTE_ADDRESS%", "[2001:db8::1]:0"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", "2001:db8::1 -"},
		{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "192.0.2.7:40000"},
		{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_PORT%", "192.0.2.7 40000"},
		{"%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "198.51.100.1:8080 198.51.100.1 8080"},
		{"%STREAM_ID%", "42"},
		{"%METHOD% %PATH% %QUERY% %HOST%", "GET /b x=1 shop.example"},
		{"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %REQ(Host)%", "GET /b?x=1 Shop.example:8080 http Shop.example:8080"},
		{"%REQ(X-A)% %REQ(x-a):2% %REQ(X-A):99%", "one on one"},
		{"%REQ(X-B)% %REQ(X-B?X-A)% %REQ(X-B?:METHOD)% %REQ(X-B?X-C)%", "- one GET -"},
		{"<%REQ(X-EMPTY?X-A)%>", "<>"},
		{"%REQ(USER-AGENT)%", `curl/8 \x22q\x22 \x5C \x80`},
		{"%RESP(SERVER)% %RESP(:STATUS)% %RESP(X-B)%", "origin 503 -"},
		{"é %METHOD%", "é GET"},
	} {
		f, err := ParseFormat(c.format)
		if err != nil {
			t.Errorf("%q: %v", c.format, err)
			continue
		}
		if got := string(f.Append([]byte("> "), s, resp)); got != "> "+c.want {
			t.Errorf("%q gives %q, want %q", c.format, got, "> "+c.want)
		}
	}
}

func TestFormatAddressOfADirectClient(t *testing.T) {
	s, _ := exampleStream()
	f := mustFormat(t, "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%")
	for _, client := range []netip.Addr{s.Remote.Addr(), {}} {
		s.Client = client
		if got := string(f.Append(nil, s, nil)); got != "192.0.2.7:40000 40000" {
			t.Errorf("client %v: %q", client, got)
		}
	}
}

func TestFormatOfAnEmptyStream(t *testing.T) {
	var s Stream
	for _, op := range operators {
		if op.name == "" || op.name == "HOSTNAME" {
			continue
		}
		text, number := "%"+op.name+"%", "-"
		switch op.name {
		case "REQ", "RESP", "TRAILER":
			text = "%" + op.name + "(X-A?X-B)%"
		case "RESPONSE_CODE", "BYTES_RECEIVED", "BYTES_SENT", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "STREAM_ID":
			number = "0"
		}
		if got := string(mustFormat(t, text).Append(nil, &s, nil)); got != number {
			t.Errorf("%s gives %q, want %q", text, got, number)
		}
	}
}

func TestFormatHostname(t *testing.T) {
	if got := string(mustFormat(t, "%HOSTNAME%").Append(nil, &Stream{}, nil)); got == "" || strings.ContainsAny(got, " %\n") {
		t.Errorf("got %q", got)
	}
}

func TestFormatValue(t *testing.T) {
	s, resp := exampleStream()
	s.Record.Cluster = "a\r\nb\tc\x7f"
	for _, c := range []struct{ format, want string }{
		{"const", "const"},
		{"%REQ(USER-AGENT)%", "curl/8 \"q\" \\ \x80"},
		{"<%REQ(X-B)%>", "<>"},
		{"%REQ(X-B)%", ""},
		{"%UPSTREAM_CLUSTER%", "a  b\tc "},
	} {
		if got := string(mustFormat(t, c.format).AppendValue(nil, s, resp)); got != c.want {
			t.Errorf("%q gives %q, want %q", c.format, got, c.want)
		}
	}
}

func TestFormatIsFieldValue(t *testing.T) {
	for format, want := range map[string]bool{
		"": true, "a b": true, "a\tb": true, "é": true, "%METHOD% x": true, " %METHOD%": false, "%METHOD% ": false,
		" a": false, "a\t": false, "a\nb": false, "a\x00": false, "%METHOD%\r%METHOD%": false,
	} {
		if got := mustFormat(t, format).IsFieldValue(); got != want {
			t.Errorf("%q: %v", format, got)
		}
	}
}

func TestFormatConstant(t *testing.T) {
	if text, ok := mustFormat(t, "50%%").Constant(); !ok || text != "50%" {
		t.Errorf("got %q, %v", text, ok)
	}
	if _, ok := mustFormat(t, "%METHOD%").Constant(); ok {
		t.Error("an operator is constant")
	}
}

func TestParseFormatErrors(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"%", "column 1: a single %: write %% for a percent sign"},
		{"50% of", "column 3: a single %"},
		{"é%METHOD", "column 2: %METHOD has no closing %"},
		{"a %METOD% b", "column 3: unknown operator %METOD%, did you mean %METHOD%?"},
		{"%method%", "column 1: unknown operator %method%, did you mean %METHOD%?"},
		{"%REQUEST(X)%", "column 1: unknown operator %REQUEST%"},
		{"%REQ%", "column 1: %REQ% needs a header's name: %REQ(X-NAME)%"},
		{"%REQ()%", "column 1: %REQ% needs a header's name"},
		{"%REQ(X", "column 1: %REQ( has no closing parenthesis"},
		{"%REQ(X Y)%", `column 1: "x y" is no header name`},
		{"%REQ(X?)%", `column 1: "" is no header name`},
		{"%REQ(:FOO)%", `column 1: unknown pseudo header ":foo" in %REQ()%`},
		{"%RESP(:PATH)%", `column 1: unknown pseudo header ":path" in %RESP()%`},
		{"%REQ(X):%", "the length must be a number from 1 to 65536"},
		{"%REQ(X):0%", "the length must be a number from 1 to 65536"},
		{"%REQ(X):99999999999999999999%", "the length must be a number from 1 to 65536"},
		{"%METHOD:3%", "column 1: %METHOD% takes no length"},
		{"%METHOD(x)%", "column 1: %METHOD% takes no argument"},
		{"%START_TIME(%Q)%", "column 1: time layout \"%Q\": unknown conversion %Q"},
		{"%START_TIME(%)%", "ends in a single %"},
		{strings.Repeat("a", maxFormat+1), "format is longer than 65536 bytes"},
	} {
		_, err := ParseFormat(c.format)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want %q", c.format, err, c.want)
		}
	}
}

func TestFormatJSON(t *testing.T) {
	s, resp := exampleStream()
	f, err := NewJSONFormat([]JSONField{
		{"status", "%RESPONSE_CODE%"},
		{"flags", "%RESPONSE_FLAGS%"},
		{"agent", "%REQ(USER-AGENT)%"},
		{"none", "%REQ(X-B)%"},
		{"port", "%DOWNSTREAM_REMOTE_PORT%"},
		{"mixed \"x\"\n", "%METHOD% %REQ(X-B)% \"%RESPONSE_CODE%\""},
		{"const", "50%% é"},
		{"empty", ""},
		{"cause", "%ERROR_CAUSE%"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"status":503,"flags":"UR","agent":"curl/8 \"q\" \\ \ufffd","none":null,"port":null,` +
		`"mixed \"x\"\n":"GET - \"503\"","const":"50% é","empty":"","cause":"reset by \"peer\""}`
	if got := string(f.Append([]byte("> "), s, resp)); got != "> "+want {
		t.Errorf("got  %s\nwant > %s", got, want)
	}
	for _, fields := range [][]JSONField{nil, {{"", "x"}}, {{"a", "x"}, {"a", "y"}}, {{"a", "%X%"}}} {
		if _, err := NewJSONFormat(fields); err == nil {
			t.Errorf("%v: no error", fields)
		}
	}
}

func TestFormatDoesNotAllocate(t *testing.T) {
	s, resp := exampleStream()
	text := mustFormat(t, `%START_TIME% %DOWNSTREAM_REMOTE_ADDRESS% "%METHOD% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %UPSTREAM_HOST% "%REQ(USER-AGENT)%" %DURATION% %ERROR_PHASE%`)
	object, err := NewJSONFormat([]JSONField{{"a", "%START_TIME%"}, {"b", "%REQ(USER-AGENT)%"}, {"c", "x %PATH%"}, {"d", "%DURATION%"}})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		buf = text.Append(buf[:0], s, resp)
		buf = text.AppendValue(buf[:0], s, resp)
		buf = object.Append(buf[:0], s, resp)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFormat holds that no template and no value can break a line.
func FuzzFormat(f *testing.F) {
	f.Fuzz(func(t *testing.T, template, value string) {
		s, resp := exampleStream()
		s.Request.Header.Set("x-a", []byte(value))
		s.Request.Path = []byte(value)
		s.Record.Cluster = value
		s.TLS = &handshake.Result{Version: handshake.VersionTLS13, ServerName: value, Peer: &verify.Peer{Subject: value, Issuer: value}}
		s.Record.UpstreamTLS = s.TLS
		if text, err := ParseFormat(template); err == nil {
			if _, constant := text.Constant(); !constant && text.IsFieldValue() {
				for _, c := range text.AppendValue(nil, s, resp) {
					if control(c) {
						t.Fatalf("%q with %q: a field value holds %q", template, value, c)
					}
				}
			}
		}
		text := mustFormat(t, "%REQ(X-A)%%PATH%%UPSTREAM_CLUSTER%%REQUESTED_SERVER_NAME%%DOWNSTREAM_PEER_SUBJECT%%UPSTREAM_PEER_ISSUER%").Append(nil, s, resp)
		for _, c := range text {
			if c < ' ' || c > '~' || c == '"' {
				t.Fatalf("%q: a line holds %q", value, c)
			}
		}
		object, err := NewJSONFormat([]JSONField{{"x" + value, template}, {"y", "%REQ(X-A)%"}})
		if err != nil {
			return
		}
		line := object.Append(nil, s, resp)
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil || !utf8.Valid(line) {
			t.Fatalf("%q with %q gives %q: %v", template, value, line, err)
		}
		if want := strings.ToValidUTF8(value, "�"); utf8.ValidString(value) && got["y"] != want {
			t.Fatalf("%q came out as %q", value, got["y"])
		}
	})
}

func mustFormat(t *testing.T, text string) *Format {
	t.Helper()
	f, err := ParseFormat(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func BenchmarkFormat(b *testing.B) {
	s, resp := exampleStream()
	s.Record.Err = nil
	f, err := ParseFormat(`[%START_TIME%] "%METHOD% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "%REQ(USER-AGENT)%" %UPSTREAM_HOST%`)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], s, resp)
	}
}
