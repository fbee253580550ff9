package transcode

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	transcoderpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/stream"
)

// What a request says becomes the message of a call.
func TestRequests(t *testing.T) {
	f := newTranscoder(t, nil)
	for _, c := range []struct{ method, target, body, called, asked string }{
		{"GET", "/v1/items/7", "", "Get", `{"id":"7"}`},
		{"GET", "/v1/items/7:peek", "", "Get", `{"id":"7"}`},
		{"GET", "/", "", "Get", `{}`},
		{"REPORT", "/v1/report", "", "Get", `{}`},
		{"GET", "/v1/makers/makers/a%2Fb/items", "", "Get", `{"maker":{"name":"makers/a%2Fb"}}`},
		{"GET", "/v1/makers/makers/%C3%A4%20b/items", "", "Get", `{"maker":{"name":"makers/ä b"}}`},
		{"GET", "/v1/files/a/b/c.txt", "", "Get", `{"path":"a/b/c.txt"}`},
		{"GET", "/v1/files/", "", "Get", `{}`},
		{"GET", "/v1/files", "", "Get", `{}`},
		{"GET", "/v1/items/7?displayName=x%20y&tags=a&tags=b+c&colour=RED&price=1.5&sold=true&maker.name=M", "", "Get",
			`{"id":"7","displayName":"x y","tags":["a","b+c"],"colour":"RED","maker":{"name":"M"},"price":1.5,"sold":true}`},
		{"GET", "/v1/items/7?display_name=x&colour=1&price=-Infinity&blob=_-8&stock=4294967295&wait=1.5s&limit=3&mask=displayName,id&on=false&weight=NaN", "", "Get",
			`{"id":"7","displayName":"x","colour":"RED","price":"-Infinity","blob":"/+8=","stock":4294967295,"wait":"1.500s","limit":3,"mask":"displayName,id","on":false,"weight":"NaN"}`},
		{"GET", "/v1/items/7?maker.since=2020-01-02T03:04:05Z&small=-5&big=18446744073709551615", "", "Get", `{"id":"7","maker":{"since":"2020-01-02T03:04:05Z"},"small":-5,"big":"18446744073709551615"}`},
		{"PUT", "/v1/items/7", `{"displayName":"x","tags":["a"]}`, "Put", `{"id":"7","displayName":"x","tags":["a"]}`},
		{"PUT", "/v1/items/7", `{"id":8}`, "Put", `{"id":"7"}`}, // what was routed by is what counts
		{"PUT", "/v1/items/7?tags=q&price=1", `{"tags":["b"],"price":2}`, "Put", `{"id":"7","tags":["b"],"price":2}`},
		{"PUT", "/v1/items/7", "", "Put", `{"id":"7"}`},
		{"PATCH", "/v1/items/7/maker?price=2", `{"name":"M"}`, "SetMaker", `{"id":"7","maker":{"name":"M"},"price":2}`},
		{"POST", "/v1/save/n", "raw\x00bytes", "Save", `{"name":"n","file":{"contentType":"text/x","data":"cmF3AGJ5dGVz"}}`},
	} {
		for _, split := range []int{0, 1, 5} {
			x := (&exchange{method: c.method, target: c.target, contentType: "text/x", body: c.body, answers: []string{`{}`}, split: split}).run(t, f)
			if x.called != "/shop.Shop/"+c.called || strings.Join(x.asked, "|") != c.asked || x.code != 200 || x.rerout {
				t.Errorf("%s %s: called %s with %s, answered %d %s", c.method, c.target, x.called, x.asked, x.code, x.got)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	f := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) { c.MaxRequestBodySize = wrapperspb.UInt32(64) })
	for _, c := range []struct {
		method, target, body string
		code                 int
		message              string
	}{
		{"GET", "/v1/items/x", "", 400, `id: \"x\" is no int64`},
		{"GET", "/v1/items/7?nope=1", "", 400, `query parameter \"nope\": shop.Item has no field \"nope\"`},
		{"GET", "/v1/items/7?maker.nope=1", "", 400, `shop.Maker has no field \"nope\"`},
		{"GET", "/v1/items/7?id.x=1", "", 400, `id is no message`},
		{"GET", "/v1/items/7?maker=1", "", 400, `maker: a message (shop.Maker) cannot be written so`},
		{"GET", "/v1/items/7?sold=yes", "", 400, `sold: \"yes\" is no bool`},
		{"GET", "/v1/items/7?stock=-1", "", 400, `stock: \"-1\" is no uint32`},
		{"GET", "/v1/items/7?price=0x1p-2", "", 400, `price: \"0x1p-2\" is no number`},
		{"GET", "/v1/items/7?blob=!", "", 400, `blob: is no base64`},
		{"GET", "/v1/items/7?colour=BLUE", "", 400, `colour: \"BLUE\" is no shop.Colour`},
		{"GET", "/v1/items/7?wait=long", "", 400, `wait: \"long\" is no google.protobuf.Duration`},
		{"GET", "/v1/items/7?tags=%zz", "", 400, `malformed percent-encoding`},
		{"GET", "/v1/items/7?" + strings.Repeat("tags=a&", 257), "", 400, `more than 256 query parameters`},
		{"PUT", "/v1/items/7", `{"nope":1}`, 400, `unknown field \"nope\"`},
		{"PUT", "/v1/items/7", `{"price":"dear"}`, 400, `price`},
		{"PUT", "/v1/items/7", `{"price":`, 400, `unexpected EOF`},
		{"PUT", "/v1/items/7", `{} {}`, 400, `syntax error`},
		{"PATCH", "/v1/items/7/maker", `{}, "id": 9`, 400, `no JSON value`},
		{"PUT", "/v1/items/7", `{"displayName":"` + strings.Repeat("x", 64) + `"}`, 413, `larger than allowed`},
		{"POST", "/v1/fill", `[{"id":1},{"nope":2}]`, 400, `unknown field \"nope\"`},
		{"POST", "/v1/fill", `[{"id":1}`, 400, `ends within`},
		{"POST", "/v1/fill", `[{"id":1}}`, 400, `no array`},
		{"POST", "/v1/fill", `[{"displayName":"` + strings.Repeat("x", 64) + `"}]`, 413, `larger than allowed`},
	} {
		x := (&exchange{method: c.method, target: c.target, body: c.body, answers: []string{`{}`}}).run(t, f)
		if x.code != c.code || !strings.Contains(x.got, c.message) || x.head != "application/json" || !strings.HasPrefix(x.got, `{"code":3,"message":"`) {
			t.Errorf("%s %s: %d %s %s", c.method, c.target, x.code, x.head, x.got)
		}
	}
}

func TestPassed(t *testing.T) {
	f := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) { c.RequestValidationOptions = nil })
	for _, target := range []string{"/v1/other", "/v1/items/7/more", "/v1/items/7?nope=1", "/shop.Shop/Plain", "", "*", "//", "/v1/items//"} {
		if x := (&exchange{method: "GET", target: target}).run(t, f); x.code != 299 || x.called != "" {
			t.Errorf("%s: %d %s", target, x.code, x.called)
		}
	}
	strict := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) {
		c.RequestValidationOptions = &transcoderpb.GrpcJsonTranscoder_RequestValidationOptions{RejectUnknownMethod: true, RejectBindingBodyFieldCollisions: true}
		c.IgnoredQueryParameters, c.QueryParamUnescapePlus, c.AutoMapping, c.MatchIncomingRequestRoute = []string{"key"}, true, true, false
	})
	if x := (&exchange{method: "GET", target: "/v1/other"}).run(t, strict); x.code != 404 || x.called != "" {
		t.Errorf("%d %s", x.code, x.called)
	}
	if x := (&exchange{method: "PUT", target: "/v1/items/7", body: `{"id":8}`}).run(t, strict); x.code != 400 || !strings.Contains(x.got, "id: the body says something else") {
		t.Errorf("%d %s", x.code, x.got)
	}
	if x := (&exchange{method: "PUT", target: "/v1/items/7", body: `{"id":7}`, answers: []string{"{}"}}).run(t, strict); x.code != 200 || !x.rerout {
		t.Errorf("%d %s", x.code, x.got)
	}
	if x := (&exchange{method: "POST", target: "/shop.Shop/Plain?key=1&tags=a+b", body: `{"id":7}`, answers: []string{"{}"}}).run(t, strict); x.code != 200 || strings.Join(x.asked, "") != `{"id":"7","tags":["a b"]}` {
		t.Errorf("%d %s %s", x.code, x.got, x.asked)
	}
}

// What a server answers becomes JSON.
func TestResponses(t *testing.T) {
	f := newTranscoder(t, nil)
	item := `{"id":"7","displayName":"x","colour":"RED","maker":{"name":"M","since":"2020-01-02T03:04:05Z"}}`
	for _, c := range []struct {
		x    exchange
		code int
		head string
		got  string
	}{
		{exchange{method: "GET", target: "/v1/items/7", answers: []string{item}}, 200, "application/json", item},
		{exchange{method: "GET", target: "/v1/items/7", answers: []string{`{}`}}, 200, "application/json", `{}`},
		{exchange{method: "GET", target: "/v1/items", answers: []string{`{"list":[{"id":1},{}]}`}}, 200, "application/json", `[{"id":"1"},{}]`},
		{exchange{method: "GET", target: "/v1/items", answers: []string{`{}`}}, 200, "application/json", `[]`},
		{exchange{method: "PATCH", target: "/v1/items/1/maker", answers: []string{`{"id":1,"maker":{"name":"M"}}`}}, 200, "application/json", `{"name":"M"}`},
		{exchange{method: "PATCH", target: "/v1/items/1/maker", answers: []string{`{"id":1}`}}, 200, "application/json", `null`},
		{exchange{method: "POST", target: "/v1/save/n", answers: []string{`{"contentType":"image/png","data":"AAEC"}`}}, 200, "image/png", "\x00\x01\x02"},
		{exchange{method: "GET", target: "/v1/watch", answers: []string{`{"id":1}`, `{"id":2}`}}, 200, "application/json", `[{"id":"1"},{"id":"2"}]`},
		{exchange{method: "GET", target: "/v1/watch"}, 200, "application/json", `[]`},
		{exchange{method: "GET", target: "/v1/watch", trailersOnly: true}, 200, "application/json", `[]`},
		{exchange{method: "GET", target: "/v1/load", answers: []string{`{"contentType":"text/a","data":"YQ=="}`, `{"data":"YmM="}`}}, 200, "text/a", `abc`},
		{exchange{method: "GET", target: "/v1/items/7", status: "5"}, 404, "application/json", `{"code":5,"message":"went wrong"}`},
		{exchange{method: "GET", target: "/v1/items/7", status: "5", trailersOnly: true}, 404, "application/json", `{"code":5,"message":"went wrong"}`},
		{exchange{method: "GET", target: "/v1/items/7", status: "5", answers: []string{`{}`}}, 404, "application/json", `{"code":5,"message":"went wrong"}`},
		{exchange{method: "GET", target: "/v1/watch", status: "14", trailersOnly: true}, 503, "application/json", `{"code":14,"message":"went wrong"}`},
		{exchange{method: "GET", target: "/v1/load", status: "7"}, 403, "application/json", `{"code":7,"message":"went wrong"}`},
		{exchange{method: "GET", target: "/v1/items/7"}, 502, "application/json", `{"code":13,"message":"the server said OK and sent no message"}`},
		{exchange{method: "GET", target: "/v1/items/7", answers: []string{`{}`, `{}`}}, 502, "application/json", `{"code":13,"message":"the server sent more than one message"}`},
		{exchange{method: "GET", target: "/v1/items/7", answers: []string{`{}`}, withoutTrailers: true}, 502, "application/json", `{"code":13,"message":"the server's answer has no status"}`},
	} {
		for _, split := range []int{0, 1, 4} {
			x := c.x
			x.split = split
			x.run(t, f)
			if x.code != c.code || x.head != c.head || x.got != c.got || x.failed != nil {
				t.Errorf("%s: %d %s %s (%v)", x.target, x.code, x.head, x.got, x.failed)
			}
		}
	}
}

// A stream that fails in its middle is not taken for whole.
func TestStreamThatFails(t *testing.T) {
	f := newTranscoder(t, nil)
	x := (&exchange{method: "GET", target: "/v1/watch", answers: []string{`{"id":1}`}, status: "13"}).run(t, f)
	if x.code != 200 || x.got != `[{"id":"1"}` || x.failed == nil || !strings.Contains(x.failed.Error(), "INTERNAL: went wrong") {
		t.Errorf("%d %s %v", x.code, x.got, x.failed)
	}
	if e := stream.AsError(x.failed); e.Side != stream.Upstream {
		t.Errorf("%+v", e)
	}
}

func TestDetails(t *testing.T) {
	known, err := anypb.New(&errdetails.RequestInfo{RequestId: "r-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		detail *anypb.Any
		want   string
	}{
		{known, `{"code":5,"message":"no such item","details":[{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"r-1"}]}`},
		{&anypb.Any{TypeUrl: "type.googleapis.com/of.Nobody"}, `{"code":5,"message":"no such item"}`},
	} {
		raw, err := proto.Marshal(&status.Status{Code: 5, Message: "no such item", Details: []*anypb.Any{c.detail}})
		if err != nil {
			t.Fatal(err)
		}
		x := (&exchange{method: "GET", target: "/v1/items/7", status: "5", trailersOnly: true, details: base64.RawStdEncoding.EncodeToString(raw)}).run(t, newTranscoder(t, nil))
		if x.code != 404 || x.got != c.want {
			t.Errorf("%d %s", x.code, x.got)
		}
	}
	x := (&exchange{method: "GET", target: "/v1/items/7", status: "5", trailersOnly: true}).run(t, newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) { c.ConvertGrpcStatus = false }))
	if x.code != 404 || x.got != "" || x.head != "" || x.grpcMsg != "went wrong" {
		t.Errorf("%d %q %q", x.code, x.got, x.head)
	}
}

func TestPrintOptions(t *testing.T) {
	for want, p := range map[string]*transcoderpb.GrpcJsonTranscoder_PrintOptions{
		`[{"id":"1","displayName":"x"},{"colour":"RED"}]`:                              {},
		`[{"id":"1","display_name":"x"},{"colour":1}]`:                                 {PreserveProtoFieldNames: true, AlwaysPrintEnumsAsInts: true},
		"{\"id\":\"1\",\"displayName\":\"x\"}\n{\"colour\":\"RED\"}\n":                 {StreamNewlineDelimited: true},
		"data: {\"id\":\"1\",\"displayName\":\"x\"}\n\ndata: {\"colour\":\"RED\"}\n\n": {StreamSseStyleDelimited: true},
		"[{\n \"id\": \"1\",\n \"displayName\": \"x\"\n},{\n \"colour\": \"RED\"\n}]":  {AddWhitespace: true},
	} {
		f := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) { c.PrintOptions = p })
		x := (&exchange{method: "GET", target: "/v1/watch", answers: []string{`{"id":1,"displayName":"x"}`, `{"colour":"RED"}`}}).run(t, f)
		if x.got != want {
			t.Errorf("%v: %q", p, x.got)
		}
	}
	f := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) {
		c.PrintOptions = &transcoderpb.GrpcJsonTranscoder_PrintOptions{AlwaysPrintPrimitiveFields: true}
	})
	x := (&exchange{method: "GET", target: "/v1/items/7", answers: []string{`{}`}}).run(t, f)
	if !strings.Contains(x.got, `"id":"0","displayName":"","tags":[],"colour":"NONE"`) {
		t.Error(x.got)
	}
}

func TestClientStreams(t *testing.T) {
	f := newTranscoder(t, nil)
	for body, want := range map[string]string{
		`[{"id":1},{"id":2}]`:            `{"id":"1"}|{"id":"2"}`,
		` [ {"id":1} , {"id":2} ] `:      `{"id":"1"}|{"id":"2"}`,
		"{\"id\":1}\n{\"id\":2}\n":       `{"id":"1"}|{"id":"2"}`,
		`{"id":1}{"tags":["]}","\\\""]}`: `{"id":"1"}|{"tags":["]}","\\\""]}`,
		`[]`:                             ``,
		` `:                              ``,
	} {
		for _, split := range []int{0, 1, 3} {
			x := (&exchange{method: "POST", target: "/v1/fill", body: body, answers: []string{`{}`}, split: split}).run(t, f)
			if strings.Join(x.asked, "|") != want || x.got != `{}` {
				t.Errorf("%s by %d: %s, answered %d %s", body, split, x.asked, x.code, x.got)
			}
		}
	}
	x := (&exchange{method: "POST", target: "/v1/chat", body: `[{"id":1},{"id":2}]`, answers: []string{`{"id":3}`}}).run(t, f)
	if len(x.asked) != 2 || x.got != `[{"id":"3"}]` {
		t.Errorf("%s %s", x.asked, x.got)
	}
	x = (&exchange{method: "POST", target: "/v1/pour", contentType: "a/b", body: "abcdef", split: 4, answers: []string{`{}`}}).run(t, f)
	if strings.Join(x.asked, "|") != `{"contentType":"a/b","data":"YWJjZA=="}|{"contentType":"a/b","data":"ZWY="}` {
		t.Errorf("%s", x.asked)
	}
}

// What is large is converted away from the loop.
func TestLargeMessages(t *testing.T) {
	f := newTranscoder(t, nil)
	text := strings.Repeat("x", 3*heavy)
	x := (&exchange{method: "PUT", target: "/v1/items/7", body: fmt.Sprintf(`{"displayName":%q}`, text), answers: []string{fmt.Sprintf(`{"displayName":%q}`, text)}, split: 5000}).run(t, f)
	if len(x.asked) != 1 || len(x.asked[0]) < len(text) || x.got != fmt.Sprintf(`{"displayName":%q}`, text) {
		t.Errorf("%d, %d bytes", x.code, len(x.got))
	}
	small := newTranscoder(t, func(c *transcoderpb.GrpcJsonTranscoder) { c.MaxResponseBodySize = wrapperspb.UInt32(1024) })
	x = (&exchange{method: "GET", target: "/v1/items/7", answers: []string{fmt.Sprintf(`{"displayName":%q}`, text)}}).run(t, small)
	if x.code != 502 || !strings.Contains(x.got, "larger than allowed") || x.logged == nil || x.logged.Flag != stream.UpstreamProtocolError {
		t.Errorf("%d %s", x.code, x.got)
	}
}
