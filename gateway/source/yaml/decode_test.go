package yaml

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"longmen/gateway/resource"
)

// Every broken file has beside it what a person is told.
func TestProblems(t *testing.T) {
	for _, name := range files(t, "testdata/broken/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data := read(t, name)
			base := filepath.Base(name)
			_, problems := Decode(base, data)
			if len(problems.Errors()) == 0 {
				t.Fatal("no problem found")
			}
			var text bytes.Buffer
			if err := problems.Render(&text, map[string][]byte{base: data}); err != nil {
				t.Fatal(err)
			}
			expect(t, strings.TrimSuffix(name, ".yaml")+".txt", text.Bytes())
			lines := strings.Count(string(data), "\n") + 1
			for _, p := range problems {
				if p.Origin.File != base || p.Origin.Line > lines {
					t.Errorf("%v: no place in the file", p)
				}
			}
		})
	}
}

// The place, width and hint of single problems, as the contract shows them.
func TestProblemPlace(t *testing.T) {
	const file = "routes:\n  public:\n    - hosts: [a]\n      rules:\n        - to: web\n          timout: \"3s\"\n"
	_, problems := Decode("gateway.yaml", []byte(file))
	var text bytes.Buffer
	if err := problems.Render(&text, map[string][]byte{"gateway.yaml": []byte(file)}); err != nil {
		t.Fatal(err)
	}
	const want = `gateway.yaml:6:11: routes.public[0].rules[0]: unknown key "timout"
    6 |           timout: "3s"
      |           ^^^^^^ did you mean "timeout"?
`
	if text.String() != want {
		t.Errorf("got:\n%swant:\n%s", text.String(), want)
	}
}

func TestOrigins(t *testing.T) {
	const file = `routes:
  public:
    hosts:
      - hosts: ["é", 'it''s']
        rules:
          - {match: {prefix: "/a\"b"}, to: {cart: 95, canary: {weight: 5}}, timeout: 3s}
clusters:
  cart:
    endpoints: ["10.0.0.1:8080"]
`
	result, _ := Decode("f", []byte(file))
	for path, want := range map[resource.Path]string{
		"routes.public":                              "2:3+6",
		"routes.public[0]":                           "4:9+5",
		"routes.public[0].hosts[0]":                  "4:17+3",
		"routes.public[0].hosts[1]":                  "4:22+7",
		"routes.public[0].rules[0]":                  "6:14+5",
		"routes.public[0].rules[0].match":            "6:14+5",
		"routes.public[0].rules[0].match.prefix":     "6:30+7",
		"routes.public[0].rules[0].to":               "6:40+2",
		"routes.public[0].rules[0].to.cart":          "6:45+4",
		"routes.public[0].rules[0].to.cart.weight":   "6:51+2",
		"routes.public[0].rules[0].to.canary":        "6:55+6",
		"routes.public[0].rules[0].to.canary.weight": "6:72+1",
		"routes.public[0].rules[0].timeout":          "6:86+2",
		"clusters.cart":                              "8:3+4",
		"clusters.cart.endpoints":                    "9:5+9",
		"clusters.cart.endpoints[0]":                 "9:17+15",
	} {
		at, _ := result.Set.Origins.At(path)
		if got := fmt.Sprintf("%d:%d+%d", at.Line, at.Column, at.Width); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestEmptyFileIsGood(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n", "{}\n"} {
		result, problems := Decode("f", []byte(text))
		if len(problems) > 0 || len(messages(result.Set)) > 0 || len(result.Process) > 0 {
			t.Errorf("%q: %v, %v", text, result, problems)
		}
	}
}

// Process gives the settings alone, and no resource's problems.
func TestProcess(t *testing.T) {
	data := []byte("workers: auto\nadmin: {bind: \"off\"}\naccess_log: \"off\"\ndrain: {timeout: 1m30s}\nlisteners: {a: {}}\n")
	settings, problems := Process("f", data)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	want := map[string]any{
		"workers": "auto", "access_log": "off",
		"admin": map[string]any{"bind": "off"}, "drain": map[string]any{"timeout": "1m30s"},
	}
	if !reflect.DeepEqual(settings, want) {
		t.Errorf("got %v, want %v", settings, want)
	}
	for _, wrong := range []string{"workers: 0", "drain: {timeout: 25h}", "watchdog: 25h", "limits: {files: 63}", "admin: {bind: \"unix:\"}", "node: " + strings.Repeat("n", 256)} {
		if _, problems := Process("f", []byte(wrong)); len(problems) != 1 {
			t.Errorf("%s gives %v", wrong, problems)
		}
	}
	if settings, problems := Process("f", []byte("admin: {bind: \"unix:/a\"}\nlimits: {files: 0}\n")); len(problems) > 0 || len(settings) != 2 {
		t.Errorf("%v, %v", settings, problems)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	text := "clusters:\n" + strings.Repeat("  \"?\": 1\n", 3*maxProblems)
	_, problems := Decode("f", []byte(text))
	if len(problems) != maxProblems+1 {
		t.Fatalf("%d problems kept", len(problems))
	}
	if last := problems[maxProblems]; !strings.Contains(last.Text, "more problems") {
		t.Errorf("the last one is %v", last)
	}
}

func TestTooLarge(t *testing.T) {
	_, problems := Decode("f", make([]byte, maxFile+1))
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "64 MiB") {
		t.Errorf("%v", problems)
	}
}

// The work and memory for a hostile file stay in proportion to its size: these
// would take minutes or gigabytes otherwise.
func TestHostileFiles(t *testing.T) {
	name := strings.Repeat("n", 50_000)
	for what, text := range map[string]string{
		"long keys":   "routes: {r: [{hosts: [a], rules: [{to: {" + name + ": {headers: {request: {add: {a: [" + strings.Repeat("x,", 50_000) + "x]}}}}}}]}]}",
		"one line":    `routes: {r: [{hosts: [` + strings.Repeat(`"a b",`, 50_000) + `"a"], rules: []}]}`,
		"many bombs":  "a: &a [" + strings.Repeat("x,", 50_000) + "x]\nroutes: {" + strings.Repeat("r: *a, ", 20_000) + "}\n",
		"deep":        "routes: " + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000),
		"many merges": "a: &a {x: 1, y: 2}\nroutes: {<<: [" + strings.Repeat("*a,", 30_000) + "*a]}\n",
	} {
		_, problems := Decode("f", []byte(text))
		if len(problems.Errors()) == 0 {
			t.Errorf("%s: no problem", what)
		}
		var out bytes.Buffer
		if err := problems.Render(&out, map[string][]byte{"f": []byte(text)}); err != nil || out.Len() > 4<<20 {
			t.Errorf("%s: %d bytes of problems, %v", what, out.Len(), err)
		}
	}
}
