package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const fixtureEdges = `
main:         command
command:      *
router:
stream:
plugins/*:    stream
`

// Each rule has an example that breaks it; "want" is every problem's place and a
// part of its words.
func TestArchitectureRules(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"an edge that the table has", map[string]string{
			"main.go":                "package main\nimport \"fixture/gateway/command\"\nfunc main() { command.Run() }",
			"gateway/command/run.go": "package command\nimport \"fixture/plugins/cors\"\nfunc Run() { cors.New() }",
			"plugins/cors/cors.go":   "package cors\nimport \"fixture/gateway/stream\"\nfunc New() stream.S { return stream.S{} }",
			"gateway/stream/s.go":    "package stream\ntype S struct{}",
		}, nil},
		{"an edge that the table lacks", map[string]string{
			"gateway/router/r.go": "package router\n\nimport (\n\t\"strings\"\n\t\"fixture/gateway/stream\"\n)\nvar _ = stream.S{}\nvar _ = strings.ToLower(\"\")",
			"gateway/stream/s.go": "package stream\ntype S struct{}",
		}, []string{`gateway/router/r.go:5: package router may not import stream: allowedImports (gateway/architecture_test.go) lacks "router" -> "stream"`}},
		{"an edge that only a wildcard row could have", map[string]string{
			"plugins/cors/cors.go": "package cors\nimport \"fixture/gateway/router\"\nvar _ = router.R{}",
			"gateway/router/r.go":  "package router\ntype R struct{}",
		}, []string{"plugins/cors/cors.go:2: package plugins/cors may not import router"}},
		{"nobody imports main", map[string]string{
			"gateway/router/r.go": "package router\nimport \"fixture\"\nvar _ = main.X",
		}, []string{"gateway/router/r.go:2: package router may not import main"}},
		{"a package without a row", map[string]string{
			"gateway/extra/e.go": "package extra",
		}, []string{"gateway/extra/e.go:1: package extra has no row"}},
		{"init", map[string]string{
			"gateway/router/r.go": "package router\n\nfunc init() {}\n\ntype t struct{}\nfunc (t) init() {}",
		}, []string{"gateway/router/r.go:3: func init runs unseen"}},
		{"blank imports", map[string]string{
			"gateway/command/c.go": "package command\nimport (\n\t_ \"embed\"\n\t_ \"net/http/pprof\"\n\t_ \"github.com/x/y\"\n\t_ \"fixture/gateway/stream\"\n)",
			"gateway/stream/s.go":  "package stream",
		}, []string{
			"gateway/command/c.go:5: blank import of github.com/x/y",
			"gateway/command/c.go:6: blank import of fixture/gateway/stream",
		}},
		{"a name that says nothing", map[string]string{
			"gateway/stream/s.go": "package util",
		}, []string{`gateway/stream/s.go:1: package name "util"`}},
		{"a test, testdata and hidden folders are not looked at", map[string]string{
			"gateway/stream/s_test.go":     "package stream\nfunc init() {}",
			"gateway/stream/testdata/x.go": "package util",
			".tools/x.go":                  "package util",
			"_old/x.go":                    "package util",
			"main.go":                      "package main",
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkFixture(t, test.files, test.want) })
	}
}

// The state rule, one package a case: "want" gives the line and a part of the words.
func TestArchitectureState(t *testing.T) {
	tests := []struct {
		name, source string
		want         []string
	}{
		{"what may stand at package level", `
import ("errors"; "fmt"; "io"; "regexp"; _ "embed")
var errA = errors.New("a")
var errB = fmt.Errorf("b: %w", errA)
var errC error = errors.New("c")
var errD, errE = &fault{code: 1}, newFault(2)
var _ io.Reader = (*reader)(nil)
//go:embed page.html
var page []byte
var (
	//go:embed page.html
	text string
	pattern = regexp.MustCompile("x")
	names = map[string]int{"a": 1}
	classes = [256]bool{'a': true}
	crlf = []byte("\r\n")
	limits = options{size: 1}
	hex = makeHex()
	sum = func() [4]int { var t [4]int; t[0] = 1; return t }()
)
type reader struct{}
type options struct{ size int }
func (o options) double() int { return o.size * 2 }
func makeHex() [2]byte { return [2]byte{1, 2} }
type fault struct{ code int }
func (f *fault) Error() string { return "" }
func newFault(code int) *fault { return &fault{code} }
func read(names map[string]int, key string) int {
	names[key] = 2                       // a parameter, not the table
	crlf := append(crlf, 'x')            // copies: capacity is length
	crlf[0] = 'y'                        // a local of the same name
	for i, class := range &classes { _, _ = i, class }
	return limits.double() + limits.size + len(hex[:]) + sum[0] + len(crlf)
}`, nil},
		{"variables", `
import ("os"; "time"; "net/http")
var count int
var a, b = 1, "x"
var client = http.DefaultClient
var now = time.Now
var hook = func() {}
var any1 any = [1]int{}
var pointer = &options{}
var x, y = os.Pipe()
type options struct{}`, []string{
			"3: var count", "4: var a: a value known", "4: var b: a value known", "5: var client", "6: var now",
			"7: var hook", "8: var any1", "9: var pointer", "10: var x", "10: var y",
		}},
		{"locks, atomics and channels inside", `
import ("sync"; "sync/atomic")
var pool = sync.Pool{}
var counts = [4]atomic.Int64{}
var current = []*atomic.Pointer[int]{nil}
var registry = state{}
var queues = [2]chan int{}
var fine = []plain{{}}
type state struct { inner struct { mu sync.Mutex } }
type plain struct { next *plain }`, []string{
			"3: var pool: holds a sync.Pool", "4: var counts: holds a atomic.Int64", "5: var current: holds a atomic.Pointer",
			"6: var registry: holds a sync.Mutex", "7: var queues: holds a channel",
		}},
		{"changes", `
import ("errors"; "slices"; "sort")
var errA = errors.New("a")
var table = [4]entry{}
var names = map[string]int{"a": 1}
var list = []int{3, 1}
func set() {
	errA = nil
	table[0] = entry{}
	table[1].n++
	names["b"] += 2
	(list)[0], _ = 1, 2
	_ = &table[2]
	table[3].bump()
	delete(names, "a")
	clear(names)
	copy(list, list)
	list = append(list[:0], 7)
	slices.Sort(list)
	sort.Ints(list)
	sort.Slice(list, nil)
	for list[0] = range 3 {}
	func() { table = [4]entry{} }()
}
type entry struct{ n int }
func (e *entry) bump() { e.n++ }`, []string{
			"8: package-level var errA (gateway/stream/s.go:3) is assigned here", "9: package-level var table", "10: package-level var table (gateway/stream/s.go:4) is counted",
			"11: package-level var names", "12: package-level var list", "13: package-level var table (gateway/stream/s.go:4) has its address taken",
			"14: package-level var table (gateway/stream/s.go:4) has its pointer method bump called", "15: package-level var names (gateway/stream/s.go:5) is written", "16: package-level var names",
			"17: package-level var list", "18: package-level var list (gateway/stream/s.go:6) is assigned", "18: package-level var list (gateway/stream/s.go:6) is written",
			"19: package-level var list", "20: package-level var list", "21: package-level var list", "22: package-level var list", "23: package-level var table",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			for _, w := range test.want {
				want = append(want, "gateway/stream/s.go:"+w)
			}
			checkFixture(t, map[string]string{"gateway/stream/s.go": "package stream" + test.source}, want)
		})
	}
}

func TestArchitectureStateAcrossPackages(t *testing.T) {
	checkFixture(t, map[string]string{
		"gateway/stream/a.go":  "package stream\nvar Table = []int{1}\nvar table = []int{1}",
		"gateway/stream/b.go":  "package stream\nfunc f() { table[0] = 1 }",
		"gateway/command/c.go": "package command\nimport s \"fixture/gateway/stream\"\nfunc f() {\n\ts.Table[0] = 2\n}",
	}, []string{
		"gateway/command/c.go:4: package-level var Table (gateway/stream/a.go:2) is assigned here",
		"gateway/stream/b.go:2: package-level var table (gateway/stream/a.go:3) is assigned here",
	})
}

func TestAllowedImportsIsItselfChecked(t *testing.T) {
	for table, want := range map[string]string{
		"a b":                  `want "package: packages it may import"`,
		"a:\na:":               "two rows for a",
		"a: b":                 "a may import b, which has no row",
		"a: b/*":               "a may import b/*, which has no row",
		"a: b\nb: c\nc: a":     "a circle: a -> b -> c -> a",
		"a: b\nb: c/*\nc/x: a": "a circle: a -> b -> c/x -> a",
	} {
		if _, err := parseEdges(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseEdges(%q) = %v, want %q", table, err, want)
		}
	}
}

func TestArchitectureNeedsSources(t *testing.T) {
	if _, err := loadHouse(fstest.MapFS{"README.md": {}}, "fixture"); err == nil {
		t.Error("a tree without Go files passed")
	}
	if _, err := loadHouse(fstest.MapFS{"a.go": {Data: []byte("package")}}, "fixture"); err == nil {
		t.Error("a file that does not parse passed")
	}
}

func checkFixture(t *testing.T, files map[string]string, want []string) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, source := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(source)}
	}
	edges, err := parseEdges(fixtureEdges)
	if err != nil {
		t.Fatal(err)
	}
	house, err := loadHouse(fsys, "fixture")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, problem := range house.check(edges) {
		got = append(got, fmt.Sprint(problem))
	}
	if !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
