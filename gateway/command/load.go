package command

import (
	"fmt"
	"io"
	"iter"
	"runtime"
	"runtime/debug"
	"strings"

	"longmen/gateway/resource"
	"longmen/gateway/snapshot"
	"longmen/gateway/source/yaml"
)

// largeFile is from how many bytes on the memory that reading takes is worth a
// collection: the parsed file, some 20 times its text, is garbage when it is
// compiled, and the room for that should not be added to it.
const largeFile = 1 << 20

// readingPercent is Go's GOGC while a large file is read for the first time: hardly anything of
// that is garbage, so that the usual 100 would look through the same memory again and again, a
// tenth of the time that a start takes.
const readingPercent = 400

// manyFiles is from how many on files that the configuration names are: a certificate takes some
// ten kilobytes to read.
const manyFiles = 500

// loaded is one version of the configuration and what is wrong with it.
type loaded struct {
	file     string
	text     []byte
	set      *resource.Set
	process  map[string]any
	settings *Settings            // nil when they are wrong
	snapshot *snapshot.Snapshot   // nil when anything is wrong
	problems resource.Problems    // sorted, warnings too
	files    map[string]fileStamp // that it names, as they were before they were read
}

// load reads text, the content of file, and compiles it on top of previous.
func load(file string, text []byte, from sources, previous *snapshot.Snapshot) *loaded {
	result, problems := decode(file, text, previous == nil)
	l := &loaded{file: file, text: text, set: result.Set, process: result.Process, files: stampFiles(snapshot.Files(result.Set))}
	from.process, from.origins = result.Process, result.Set.Origins
	settings, wrong := from.settings()
	l.problems = append(problems, unrelated(wrong, result.Refused)...)
	var defaults snapshot.Defaults
	if len(wrong) == 0 {
		l.settings = settings
		defaults = settings.defaults()
	}
	if from.fixed != nil {
		defaults = from.fixed.defaults()
	}
	compiled, wrong := defaults.Compile(result.Set, previous)
	if len(problems.Errors()) > 0 {
		wrong = wrong.Errors() // what is unused because a part was refused says nothing
	}
	l.problems = append(l.problems, unrelated(wrong, result.Refused)...)
	l.problems.Sort()
	if len(l.problems.Errors()) == 0 {
		l.snapshot = compiled
	}
	return l
}

// defaults are the settings that resources depend on.
func (s *Settings) defaults() snapshot.Defaults {
	l := s.Locality
	return snapshot.Defaults{AccessLog: s.AccessLog, Gateways: l.Gateways, Located: l.Region != "" || l.Zone != "" || l.SubZone != ""}
}

// decode reads the text, and gives the memory back that it took for that when it is much.
func decode(file string, text []byte, first bool) (*yaml.Result, resource.Problems) {
	if len(text) <= largeFile {
		return yaml.Decode(file, text)
	}
	defer runtime.GC()
	if first {
		defer debug.SetGCPercent(debug.SetGCPercent(readingPercent))
	}
	return yaml.Decode(file, text)
}

// unrelated leaves out the problems about parts that were refused already, what
// is in them and what holds them: they are not as they were meant.
func unrelated(problems resource.Problems, refused map[resource.Path]bool) resource.Problems {
	holders := map[resource.Path]bool{}
	for part := range refused {
		for whole := range within(part) {
			holders[whole] = true
		}
	}
	var out resource.Problems
	for _, p := range problems {
		related := holders[p.Path]
		for whole := range within(p.Path) {
			related = related || refused[whole]
		}
		if !related {
			out = append(out, p)
		}
	}
	return out
}

// within gives a part and everything that it is in: "a.b[0]", "a.b", "a".
func within(part resource.Path) iter.Seq[resource.Path] {
	return func(yield func(resource.Path) bool) {
		for part != "" && yield(part) {
			part = part[:max(strings.LastIndexAny(string(part), ".["), 0)]
		}
	}
}

// render writes the problems with their lines.
func (l *loaded) render(w io.Writer) error {
	return l.problems.Render(w, map[string][]byte{l.file: l.text})
}

// tally counts problems for a person: "3 problems, 1 warning".
func tally(problems resource.Problems) string {
	errors := len(problems.Errors())
	warnings := len(problems) - errors
	switch {
	case warnings == 0:
		return count(errors, "problem")
	case errors == 0:
		return count(warnings, "warning")
	}
	return count(errors, "problem") + ", " + count(warnings, "warning")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
