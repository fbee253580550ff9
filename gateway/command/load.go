package command

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"longmen/gateway/resource"
	"longmen/gateway/snapshot"
	"longmen/gateway/source/yaml"
)

// largeFile is from how many bytes on the memory that reading takes is worth a
// collection: the parsed file, some 20 times its text, is garbage when it is
// compiled, and the room for that should not be added to it.
const largeFile = 1 << 20

// loaded is one version of the configuration and what is wrong with it.
type loaded struct {
	file     string
	text     []byte
	set      *resource.Set
	process  map[string]any
	settings *Settings          // nil when they are wrong
	snapshot *snapshot.Snapshot // nil when anything is wrong
	problems resource.Problems  // sorted, warnings too
}

// load reads text, the content of file, and compiles it on top of previous.
func load(file string, text []byte, from sources, previous *snapshot.Snapshot) *loaded {
	result, problems := yaml.Decode(file, text)
	if len(text) > largeFile {
		runtime.GC()
	}
	l := &loaded{file: file, text: text, set: result.Set, process: result.Process}
	from.process, from.origins = result.Process, result.Set.Origins
	settings, wrong := from.settings()
	decoded := problems.Errors()
	l.problems = append(problems, unrelated(wrong, decoded)...)
	var defaults snapshot.Defaults
	if len(wrong) == 0 {
		l.settings = settings
		defaults.AccessLog = settings.AccessLog
	}
	if from.fixed != nil {
		defaults.AccessLog = from.fixed.AccessLog
	}
	compiled, wrong := defaults.Compile(result.Set, previous)
	if len(decoded) > 0 {
		wrong = wrong.Errors() // what is unused because a part was refused says nothing
	}
	l.problems = append(l.problems, unrelated(wrong, decoded)...)
	l.problems.Sort()
	if len(l.problems.Errors()) == 0 {
		l.snapshot = compiled
	}
	return l
}

// unrelated leaves out the problems about parts that were refused already: a
// part is missing from the resources because of what was wrong with it.
func unrelated(problems, decoded resource.Problems) resource.Problems {
	var out resource.Problems
	for _, p := range problems {
		related := false
		for _, d := range decoded {
			if d.Path != "" && (within(p.Path, d.Path) || within(d.Path, p.Path)) {
				related = true
				break
			}
		}
		if !related {
			out = append(out, p)
		}
	}
	return out
}

// within reports whether part is whole or a part of it.
func within(part, whole resource.Path) bool {
	rest, ok := strings.CutPrefix(string(part), string(whole))
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
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
