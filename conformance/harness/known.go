package harness

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
)

// A Verdict is how one case ended: Fault is empty if it ended well.
type Verdict struct {
	Name, Fault string
}

// Report prints the count of one suite against one proxy and, for Longmen,
// holds the failures against known.txt in the test's directory: a failure that
// is not listed fails the test, and so does a listed case that passes. Peers
// are measured, not judged.
func Report(t *testing.T, suite, kind string, verdicts []Verdict) {
	t.Helper()
	if len(verdicts) == 0 {
		t.Fatalf("%s: no case ran", suite)
	}
	var faults []Verdict
	seen := map[string]bool{}
	for _, v := range verdicts {
		if seen[v.Name] {
			t.Errorf("two cases are named %s", v.Name)
		}
		seen[v.Name] = true
		if v.Fault != "" {
			faults = append(faults, v)
		}
	}
	sort.Slice(faults, func(i, j int) bool { return faults[i].Name < faults[j].Name })
	t.Logf("%s: %s: %d of %d", suite, kind, len(verdicts)-len(faults), len(verdicts))
	if kind != Longmen {
		for _, v := range faults {
			t.Logf("%s: %s: %s", kind, v.Name, v.Fault)
		}
		return
	}
	known, err := loadKnown("known.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range faults {
		if why, ok := known[v.Name]; ok {
			t.Logf("known failure: %s: %s (%s)", v.Name, v.Fault, why)
		} else {
			t.Errorf("%s: %s", v.Name, v.Fault)
		}
	}
	for _, v := range verdicts {
		if _, ok := known[v.Name]; ok && v.Fault == "" {
			t.Errorf("%s passes: remove it from known.txt", v.Name)
		}
	}
}

// loadKnown reads lines of "case: reason"; # begins a comment, and a file that
// is not there holds nothing.
func loadKnown(path string) (map[string]string, error) {
	known := map[string]string{}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, why, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%s:%d: want \"case: reason\"", path, n)
		}
		if _, twice := known[name]; twice {
			return nil, fmt.Errorf("%s:%d: %s is listed twice", path, n, name)
		}
		known[name] = strings.TrimSpace(why)
	}
	return known, sc.Err()
}
