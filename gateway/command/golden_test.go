package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// longmen runs a command line and gives all that it wrote, and how it ended.
func longmen(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	start := func(*runner) (gateway, error) { return nil, errors.New("nothing is run here") }
	code := execute(context.Background(), rootCommand(start), args, strings.NewReader(""), &out, &out)
	return fmt.Sprintf("%sexit %d\n", out.String(), code)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// Each file of testdata/broken has mistakes of one kind; its golden file has the
// places, the carets and the hints.
func TestCheckOfBrokenFiles(t *testing.T) {
	t.Chdir("testdata/broken")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v; want at least 20", len(files), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			got := longmen(t, "check", "-c", file)
			if !strings.HasPrefix(got, file+":") {
				t.Errorf("the first line has no place:\n%s", got)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
		})
	}
}

func TestExplain(t *testing.T) {
	t.Chdir("testdata/explain")
	cases, err := os.ReadFile("cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(cases)) {
		line = strings.TrimSpace(line)
		fmt.Fprintf(&got, "$ longmen %s\n%s\n", line, longmen(t, words(line)...))
	}
	golden(t, "answers.golden", got.String())
}

// words splits a command line at blanks outside of double quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

func TestDiff(t *testing.T) {
	t.Chdir("testdata/diff")
	golden(t, "old-new.golden", longmen(t, "diff", "old.yaml", "new.yaml"))
	golden(t, "new-old.golden", longmen(t, "diff", "new.yaml", "old.yaml"))
	golden(t, "old-old.golden", longmen(t, "diff", "old.yaml", "old.yaml"))
	golden(t, "broken.golden", longmen(t, "diff", "old.yaml", "../broken/units.yaml"))
}

// A file that says the same under another name, at other lines, touches nothing;
// one that changes a table touches the listeners that use it.
func TestDiffOfAnotherName(t *testing.T) {
	text, err := os.ReadFile("testdata/diff/old.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"old.yaml": string(text), "other.yaml": "# moved\n" + string(text),
		"two.yaml":   twoTables("/a"),
		"three.yaml": "# moved\n" + twoTables("/b"),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := longmen(t, "diff", "old.yaml", "other.yaml"); !strings.HasPrefix(got, "nothing changes") {
		t.Error(got)
	}
	got := longmen(t, "diff", "two.yaml", "three.yaml")
	if !strings.Contains(got, "listener one has other routes") || strings.Contains(got, "listener two") {
		t.Error(got)
	}
}

// twoTables is a file with two listeners, of which the first has the prefix.
func twoTables(prefix string) string {
	return `listeners: {one: {bind: ":81", routes: one}, two: {bind: ":82", routes: two}}
routes:
  one: [{hosts: ["*"], rules: [{match: {prefix: ` + prefix + `}, respond: {status: 204}}]}]
  two: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]
`
}

func TestCheckAsJSON(t *testing.T) {
	t.Chdir("testdata/broken")
	golden(t, "../check-json.golden", longmen(t, "check", "--json", "-c", "undefined-cluster.yaml"))
}

func TestCheckReadsStandardInput(t *testing.T) {
	var out bytes.Buffer
	in := strings.NewReader("listeners: {http: {bind: \":8080\", routes: []}}\n")
	if code := Main(context.Background(), []string{"check", "-c", "-"}, in, &out, &out); code != exitGood && !strings.HasPrefix(out.String(), "-:1:") {
		t.Errorf("exit %d:\n%s", code, &out)
	}
}

func TestMisuse(t *testing.T) {
	for line, want := range map[string]string{
		"":                                  "a command is missing",
		"chek":                              `did you mean "check"?`,
		"check --nonsense":                  "unknown flag: --nonsense",
		"check extra":                       `unknown command "extra"`,
		"diff one.yaml":                     "accepts 2 arg(s)",
		"dump --as toml":                    "must be yaml, xds or json",
		"run --bind :1 -c gateway.yaml":     "--bind goes with --to",
		"run --to http://x -c gateway.yaml": "exclude each other",
		"run --to ftp://x":                  "must be an http or https URL",
		"run --to localhost:3000":           "must be",
		"run --to http://x/path":            "host and port only",
		"run --to http://x --bind nowhere":  "must be an address with port",
		"run --workers":                     "needs an argument",
	} {
		if got := longmen(t, words(line)...); !strings.Contains(got, want) || !strings.HasSuffix(got, "exit 2\n") {
			t.Errorf("%q: want %q and exit 2, got:\n%s", line, want, got)
		}
	}
}

func TestMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := longmen(t, "check"); !strings.Contains(got, "gateway.yaml: no such file") || !strings.HasSuffix(got, "exit 1\n") {
		t.Error(got)
	}
}
