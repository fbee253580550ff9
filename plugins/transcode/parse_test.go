package transcode

import (
	"fmt"
	"strings"
	"testing"

	transcoderpb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_json_transcoder/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func describe(t *template) string {
	out := strings.Join(t.segments, "/")
	for _, v := range t.variables {
		out += fmt.Sprintf(" %s[%d:%d]%v", v.field, v.from, v.to, v.multi())
	}
	return out + " " + t.verb
}

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"/": " ", "/a": "a ", "/a/b:c": "a/b c", "/{x}": "* x[0:1]false ", "/a/{x.y=*}/b/{z=**}": "a/*/b/** x.y[1:2]false z[3:4]true ",
		"/{n=a/*/b}/c:v": "a/*/b/c n[0:3]true v", "/*/**": "*/** ", "/{n=a/**}": "a/** n[0:2]true ",
	} {
		got, err := parseTemplate(text)
		if err != nil || describe(got) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "a", "//", "/a/", "/a//b", "/{", "/{}", "/{x", "/{x=", "/{x=}", "/{x=*", "/{x={y}}", "/{x}/{x}", "/**/a", "/{x=**}/a", "/a:", "/a:b:c", "/a:b/c", "/a}", "/a=b",
		"/a*", "/***", "/{x}y", "/{=a}", "/" + strings.Repeat("a/", 64) + "a",
	} {
		if got, err := parseTemplate(text); err == nil {
			t.Errorf("%s: %s", text, describe(got))
		}
	}
	whole := "/a/{x.y=b/*}/{z=**}:verb"
	for i := range len(whole) {
		parseTemplate(whole[:i]) // must return
	}
}

func TestTree(t *testing.T) {
	tr := &tree{verbs: map[string]bool{}}
	names := map[*binding]string{}
	for _, text := range []string{"/a/b", "/a/*", "/a/**", "/*/b", "/a/{x}:do", "/a/b/c", "/**"} {
		parsed, err := parseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		b := &binding{template: parsed}
		names[b] = text
		if err := tr.add("GET", b); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/a/b": "/a/b", "/a/c": "/a/*", "/a/b/c": "/a/b/c", "/a/b/d": "/a/**", "/c/b": "/*/b", "/a/x:do": "/a/{x}:do", "/a/x:dont": "/a/*",
		"/c/d": "/**", "/": "/**", "/a": "/a/**", "/a/": "/a/**", "/%61/b": "/a/b", "": "", "a": "", "/" + strings.Repeat("/", 100): "",
	} {
		if b, _ := tr.find("GET", path); names[b] != want {
			t.Errorf("%s: %q, want %q", path, names[b], want)
		}
		if b, _ := tr.find("POST", path); b != nil {
			t.Errorf("POST %s: %q", path, names[b])
		}
	}
	tr.anyVerb = true
	if b, _ := tr.find("GET", "/a/x:dont"); b != nil {
		t.Errorf("%q", names[b])
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string][3]string{
		"a%20b%2Fc%3F": {"a b%2Fc%3F", "a b%2Fc?", "a b/c?"}, "%": {"%", "%", "%"}, "%4": {"%4", "%4", "%4"}, "%4g": {"%4g", "%4g", "%4g"}, "%2525": {"%25", "%25", "%25"},
	} {
		for how, want := range want {
			if got := unescape(text, unescaping(how)); got != want {
				t.Errorf("%s, %d: %s, want %s", text, how, got, want)
			}
		}
	}
}

func TestCompileProblems(t *testing.T) {
	set := descriptorSet(t)
	files := map[string][]byte{"api.pb": set, "empty": {}, "cut": set[:len(set)-9], "alone": set[strings.LastIndex(string(set), "\n\x10google/api/http")+1:]}
	for _, c := range []struct {
		change func(c *transcoderpb.GrpcJsonTranscoder)
		want   string
	}{
		{func(c *transcoderpb.GrpcJsonTranscoder) { c.Services = []string{"shop.Shp"} }, `services[0]: there is no service "shop.Shp" (the descriptors have shop.Shop)`},
		{func(c *transcoderpb.GrpcJsonTranscoder) { c.Services = []string{"shop.Item"} }, `services[0]: there is no service "shop.Item"`},
		{func(c *transcoderpb.GrpcJsonTranscoder) { c.MaxRequestBodySize = wrapperspb.UInt32(0) }, "max_request: 0: must be from 1"},
		{func(c *transcoderpb.GrpcJsonTranscoder) {
			c.DescriptorSet = &transcoderpb.GrpcJsonTranscoder_ProtoDescriptor{ProtoDescriptor: "none"}
		}, "descriptors: none cannot be read"},
		{func(c *transcoderpb.GrpcJsonTranscoder) { c.DescriptorSet = nil }, "descriptors: no descriptor set"},
		{func(c *transcoderpb.GrpcJsonTranscoder) {
			c.DescriptorSet = &transcoderpb.GrpcJsonTranscoder_ProtoDescriptor{ProtoDescriptor: "empty"}
		}, "descriptors: is no FileDescriptorSet (make it with protoc"},
		{func(c *transcoderpb.GrpcJsonTranscoder) {
			c.DescriptorSet = &transcoderpb.GrpcJsonTranscoder_ProtoDescriptorBin{ProtoDescriptorBin: files["cut"]}
		}, "descriptors: is no FileDescriptorSet"},
	} {
		config := message(map[string]any{"descriptors": "api.pb", "services": []any{"shop.Shop"}}).(*transcoderpb.GrpcJsonTranscoder)
		c.change(config)
		s := &scope{files: files}
		compile(s, config)
		if len(s.problems) != 1 || !strings.Contains(s.problems[0], c.want) {
			t.Errorf("%q, want %q", s.problems, c.want)
		}
	}
	for i := 0; i < len(set); i += 37 { // every cut is told or harmless
		compile(&scope{}, &transcoderpb.GrpcJsonTranscoder{DescriptorSet: &transcoderpb.GrpcJsonTranscoder_ProtoDescriptorBin{ProtoDescriptorBin: set[:i]}, Services: []string{"shop.Shop"}})
	}
}

// splitAll splits text that comes in pieces of n bytes.
func splitAll(text string, n, limit int) ([]string, error) {
	s := splitter{limit: limit}
	var out []string
	for rest := []byte(text); len(rest) > 0; {
		piece := rest[:min(n, len(rest))]
		rest = rest[len(piece):]
		for len(piece) > 0 {
			used, value, err := s.next(piece)
			if err != nil {
				return out, err
			}
			if piece = piece[used:]; value != nil {
				out = append(out, string(value))
			}
		}
	}
	last, err := s.end()
	if last != nil {
		out = append(out, string(last))
	}
	return out, err
}

func TestSplitter(t *testing.T) {
	for text, want := range map[string]string{
		`[1,true,"a,]",{"a":[1]},[2]]`: `1|true|"a,]"|{"a":[1]}|[2]`, `1 2`: `1|2`, `"a""b"`: `"a"|"b"`, `{}`: `{}`, ``: ``, `null`: `null`, `[ ]`: ``, `["\""]`: `"\""`,
	} {
		for n := 1; n < 8; n++ {
			if got, err := splitAll(text, n, 100); err != nil || strings.Join(got, "|") != want {
				t.Errorf("%s by %d: %q, %v", text, n, got, err)
			}
		}
		if strings.HasPrefix(text, "[") {
			for i := 1; i < len(text); i++ {
				if got, err := splitAll(text[:i], 3, 100); err == nil {
					t.Errorf("%s was taken for whole: %q", text[:i], got)
				}
			}
		}
	}
	for _, text := range []string{`[1}`, `[1 2]`, `,`, `]`, `[1]2`, `[1]]`, `{}}`, `1,2`} {
		if got, err := splitAll(text, 2, 100); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
	if _, err := splitAll(`["`+strings.Repeat("x", 99), 7, 50); err != errTooLong {
		t.Error(err)
	}
}

func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{`[{"a":1},{"b":"\"]"}]`, `{}{}`, `1 2 "x"`, `[[],{}]`, `[1,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := splitAll(text, max(len(text), 1), 1<<10)
		for _, n := range []int{1, 3} {
			if got, other := splitAll(text, n, 1<<10); strings.Join(got, "|") != strings.Join(whole, "|") || (err == nil) != (other == nil) {
				t.Errorf("%q: %q, %v; by %d %q, %v", text, whole, err, n, got, other)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"/a/{x=b/*}/{y=**}:v", "/{a.b}", "/", "/*/**"} {
		f.Add(seed, "/a/b/c/d:v")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		tr, b := &tree{verbs: map[string]bool{}}, &binding{template: parsed}
		if err := tr.add("GET", b); err != nil {
			t.Fatal(err)
		}
		if found, segments := tr.find("GET", path); found != nil {
			for i := range parsed.variables {
				(&transcoder{}).variable(&parsed.variables[i], segments)
			}
		}
	})
}
