package resource

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// The contract's own examples.
func TestRender(t *testing.T) {
	source := "routes:\n  public:\n\t\tto: {cart: 95, cart-cannary: 5}\n          timeout: 3s\n"
	problems := Problems{
		{Path: "routes.public[0].rules[0].timeout", Origin: Origin{File: "gateway.yaml", Line: 4, Column: 11}, Text: "2s ends before the last try can"},
		{Path: "routes.public[0].rules[0].to", Origin: Origin{File: "gateway.yaml", Line: 3, Column: 18}, Width: 12,
			Text: `no cluster named "cart-cannary"`, Hint: `did you mean "cart-canary" (line 30)?`},
		{Origin: Origin{Resource: "Cluster/a@7"}, Text: "unused", Warning: true, Hint: "remove it"},
		{Path: "x", Origin: Origin{File: "gateway.yaml", Line: 2, Column: 99}, Width: 5, Text: "beyond the end"},
		{Path: "y", Origin: Origin{File: "gateway.yaml", Line: 99, Column: 1}, Width: 5, Text: "no such line"},
	}
	problems.Sort()
	var out bytes.Buffer
	if err := problems.Render(&out, map[string][]byte{"gateway.yaml": []byte(source)}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"Cluster/a@7: warning: unused",
		"      | remove it",
		"gateway.yaml:2:99: x: beyond the end",
		"    2 |   public:",
		"      |          ^",
		`gateway.yaml:3:18: routes.public[0].rules[0].to: no cluster named "cart-cannary"`,
		"    3 | \t\tto: {cart: 95, cart-cannary: 5}",
		"      | \t\t               ^^^^^^^^^^^^ did you mean \"cart-canary\" (line 30)?",
		"gateway.yaml:4:11: routes.public[0].rules[0].timeout: 2s ends before the last try can",
		"gateway.yaml:99:1: y: no such line",
		"",
	}, "\n")
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// What is far to the right of a long line is still seen.
func TestRenderLongLine(t *testing.T) {
	source := strings.Repeat("a", 999) + "BAD" + strings.Repeat("b", 999)
	problems := Problems{
		{Origin: Origin{File: "f", Line: 1, Column: 1000}, Width: 3, Text: "t"},
		{Origin: Origin{File: "g", Line: 1, Column: maxColumn + 1}, Width: 3, Text: "t", Hint: "h"},
	}
	var out bytes.Buffer
	if err := problems.Render(&out, map[string][]byte{"f": []byte(source), "g": bytes.Repeat([]byte("x"), 2*maxColumn)}); err != nil {
		t.Fatal(err)
	}
	want := "f:1:1000: t\n    1 | ... " + strings.Repeat("a", 80) + "BAD" + strings.Repeat("b", 77) + " ...\n" +
		"      | " + strings.Repeat(" ", 84) + "^^^\n" + "g:1:65537: t\n      | h\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// A file must not drive the terminal that its problems are printed on, nor fill it.
func TestRenderIsSafe(t *testing.T) {
	source := "a: \x1b[31m\xff" + strings.Repeat("x", 1000) + "\r\n"
	problems := Problems{{Origin: Origin{File: "f", Line: 1, Column: 4}, Width: 10_000, Text: "t"}}
	var out bytes.Buffer
	if err := problems.Render(&out, map[string][]byte{"f": []byte(source)}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\r") || !strings.Contains(out.String(), "\uFFFD[31m") {
		t.Errorf("%q", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 3*maxShown {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestProblemsErr(t *testing.T) {
	warning := Problem{Text: "w", Warning: true}
	if err := (Problems{warning}).Err(); err != nil {
		t.Errorf("warnings alone: %v", err)
	}
	err := (Problems{warning, {Path: "p", Text: "e1"}, {Text: "e2"}}).Err()
	if err == nil || err.Error() != "p: e1\ne2" {
		t.Errorf("%v", err)
	}
}

func TestSortDropsEqual(t *testing.T) {
	p := Problem{Path: "p", Origin: Origin{File: "f", Line: 2}, Text: "t"}
	early := p
	early.Origin.Line = 1
	problems := Problems{p, early, p}
	problems.Sort()
	if len(problems) != 2 || problems[0] != early {
		t.Errorf("%v", problems)
	}
}

func TestProblemsJSON(t *testing.T) {
	text, err := Problems{{Path: "a<b", Origin: Origin{File: "f", Line: 1, Column: 2}, Width: 3, Text: "t", Hint: "h", Warning: true}}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	for key, want := range map[string]any{"severity": "warning", "file": "f", "line": 1.0, "column": 2.0, "width": 3.0, "path": "a<b", "text": "t", "hint": "h"} {
		if list[0][key] != want {
			t.Errorf("%s: %v, want %v", key, list[0][key], want)
		}
	}
	if text, err := (Problems{}).JSON(); err != nil || strings.TrimSpace(string(text)) != "[]" {
		t.Errorf("no problems: %s, %v", text, err)
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"timeout", "idle_timeout", "to", "retry", "header", "headers"}
	for name, want := range map[string]string{
		"timout": "timeout", "tiemout": "timeout", "Timeout": "timeout", "idle_timout": "idle_timeout",
		"retyr": "retry", "xyz": "", "": "", "headerz": "header", strings.Repeat("a", 200): "",
	} {
		if got, ok := Nearest(name, candidates); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestOriginsFind(t *testing.T) {
	var origins Origins
	origins.Set("routes.public", Origin{Line: 1})
	origins.Set("routes.public[0].rules[1].to", Origin{Line: 2, Width: 4})
	origins.Set("routes.public[0].rules[1].to.cart", Origin{Line: 3, Width: 7})
	origins.Set("clusters.a", Origin{Resource: "Cluster/a@7"})
	origins.Set("clusters.b", Origin{File: "f", Line: 9, Column: 2, Width: math.MaxInt})
	for path, want := range map[Path]int{
		"routes.public[0].rules[1].to.cart":        3,
		"routes.public[0].rules[1].to.cart.weight": 3,
		"routes.public[0].rules[1].to.web":         2,
		"routes.public[0].rules[2]":                1,
		"routes.other":                             0,
	} {
		if got := origins.Find(path).Line; got != want {
			t.Errorf("%s: line %d, want %d", path, got, want)
		}
	}
	if got := origins.Find("clusters.a.lb"); got != (Origin{Resource: "Cluster/a@7"}) {
		t.Errorf("%+v", got)
	}
	if got, ok := origins.At("clusters.b"); !ok || got != (Origin{File: "f", Line: 9, Column: 2, Width: math.MaxInt32}) {
		t.Errorf("%+v", got)
	}
	if _, ok := origins.At("clusters.b.lb"); ok {
		t.Error("a part of what is known is known itself")
	}
	if got := (*Origins)(nil).Find("clusters.b"); got != (Origin{}) {
		t.Errorf("nil: %+v", got)
	}
	p := origins.Problem("routes.public[0].rules[1].to", "routes.public[0].rules[1].to.cart", "no %s", "x").WithHint("or %d", 5)
	if p.Origin.Line != 3 || p.Width != 7 || p.Path != "routes.public[0].rules[1].to" || p.Text != "no x" || p.Hint != "or 5" {
		t.Errorf("%+v", p)
	}
}

// A private key in a line of the file does not get to where problems are written.
func TestRenderHidesKeys(t *testing.T) {
	text := []byte("a: {key: \"-----BEGIN PRIVATE KEY-----\\nMC4CAQ\", ocps: x}\nb: {key: \"pkcs11:object=a?pin-value=1234\", ocps: y}\n")
	problems := Problems{
		{Origin: Origin{File: "f", Line: 1, Column: 5}, Width: 3, Text: "one", Hint: "a hint"},
		{Origin: Origin{File: "f", Line: 2, Column: 5}, Width: 3, Text: "two"},
	}
	var out bytes.Buffer
	if err := problems.Render(&out, map[string][]byte{"f": text}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "MC4CAQ") || strings.Contains(got, "1234") || !strings.Contains(got, "a hint") {
		t.Error(got)
	}
}
