package resource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong, or odd, with the configuration.
type Problem struct {
	Path    Path   // what it is about; "" for the file as a whole
	Origin  Origin // where it stands
	Width   int    // characters to underline from Origin on; 0: the line is not shown unless there is a Hint
	Text    string // what is wrong
	Hint    string // what was probably meant, or what to do; may be empty
	Warning bool   // it can be served all the same
}

// String is the problem's first line: "file:line:col: path: text".
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Origin.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if p.Path != "" {
		b.WriteString(string(p.Path) + ": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all that a stage has found.
type Problems []Problem

// Sort orders by file, line, column, path and text, and drops equal entries.
func (p *Problems) Sort() {
	slices.SortStableFunc(*p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Origin.File, b.Origin.File),
			cmp.Compare(a.Origin.Resource, b.Origin.Resource),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Column, b.Origin.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Text, b.Text),
		)
	})
	*p = slices.Compact(*p)
}

// Errors leaves the warnings out.
func (p Problems) Errors() Problems {
	var errs Problems
	for _, problem := range p {
		if !problem.Warning {
			errs = append(errs, problem)
		}
	}
	return errs
}

// Err is nil when there is nothing but warnings, else an error that lists the
// first line of every problem that is not a warning.
func (p Problems) Err() error {
	errs := p.Errors()
	if len(errs) == 0 {
		return nil
	}
	return problemsError{errs}
}

type problemsError struct{ problems Problems }

func (e problemsError) Error() string {
	lines := make([]string, len(e.problems))
	for i, problem := range e.problems {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Render writes the problems for a person. sources has the text of the files by
// the name in Origin.File; a problem with a Width or a Hint is followed by its
// source line and carets when the text is there and holds no private key.
func (p Problems) Render(w io.Writer, sources map[string][]byte) error {
	var out bytes.Buffer
	lines := p.sourceLines(sources)
	for _, problem := range p {
		out.WriteString(problem.String())
		out.WriteByte('\n')
		line, found := lines[place{problem.Origin.File, problem.Origin.Line}]
		switch {
		case problem.Width == 0 && problem.Hint == "":
		case found && problem.Origin.Column <= maxColumn && !holdsSecret(line):
			problem.underline(&out, line)
		case problem.Hint != "":
			fmt.Fprintf(&out, "      | %s\n", problem.Hint)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// The bounds of what is shown of a source line, in characters: maxShown of it,
// from contextBefore before the column on if it would not be in sight otherwise,
// and nothing if that is beyond maxColumn.
const (
	maxShown      = 160
	contextBefore = 80
	maxColumn     = 1 << 16
)

// holdsSecret tells a line that must not get into logs: one with a private key, or
// with the PIN of a token.
func holdsSecret(line string) bool {
	return strings.Contains(line, "PRIVATE KEY-----") || strings.Contains(line, "pin-value")
}

// underline writes the source line and, below it, the carets and the hint. Tabs
// before the carets stay tabs, so that both lines are indented alike.
func (p Problem) underline(out *bytes.Buffer, line string) {
	shown, start := window(line, max(p.Origin.Column-1, 0))
	for i, r := range shown {
		if r < ' ' && r != '\t' || r == 0x7f { // a terminal must not be driven by a file
			shown[i] = utf8.RuneError
		}
	}
	fmt.Fprintf(out, "%5d | %s\n", p.Origin.Line, string(shown))
	out.WriteString("      | ")
	for _, r := range shown[:start] {
		if r != '\t' {
			r = ' '
		}
		out.WriteRune(r)
	}
	out.WriteString(strings.Repeat("^", max(1, min(p.Width, len(shown)-start))))
	if p.Hint != "" {
		out.WriteString(" " + p.Hint)
	}
	out.WriteByte('\n')
}

// window gives the part of a line to show, and where in it the character at is.
func window(line string, at int) (shown []rune, start int) {
	from := 0
	if at > maxShown-contextBefore/2 {
		from = at - contextBefore
	}
	n := 0
	for _, r := range line { // bytes that are no UTF-8 come as RuneError
		if n >= from+maxShown {
			shown = append(shown, []rune(" ...")...)
			break
		}
		if n >= from {
			shown = append(shown, r)
		}
		n++
	}
	start = min(at-from, len(shown))
	if from > 0 {
		dots := []rune("... ")
		shown, start = append(dots, shown...), start+len(dots)
	}
	return shown, start
}

// place is a line of a file.
type place struct {
	file string
	line int
}

// sourceLines finds the lines that the problems stand in, without their ends, in
// one run over each file.
func (p Problems) sourceLines(sources map[string][]byte) map[place]string {
	wanted, last := map[place]bool{}, map[string]int{}
	for _, problem := range p {
		at := problem.Origin
		wanted[place{at.File, at.Line}] = true
		last[at.File] = max(last[at.File], at.Line)
	}
	lines := map[place]string{}
	for file, end := range last {
		n := 0
		for line := range bytes.Lines(sources[file]) {
			if n++; n > end {
				break
			}
			if at := (place{file, n}); wanted[at] {
				lines[at] = string(bytes.TrimRight(line, "\r\n"))
			}
		}
	}
	return lines
}

// JSON is the list for tools: an array of objects with file, line, column,
// width, resource, path, text, hint and severity ("error" or "warning").
func (p Problems) JSON() ([]byte, error) {
	type entry struct {
		Severity string `json:"severity"`
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
		Width    int    `json:"width,omitempty"`
		Resource string `json:"resource,omitempty"`
		Path     Path   `json:"path,omitempty"`
		Text     string `json:"text"`
		Hint     string `json:"hint,omitempty"`
	}
	list := make([]entry, len(p))
	for i, problem := range p {
		severity := "error"
		if problem.Warning {
			severity = "warning"
		}
		at := problem.Origin
		list[i] = entry{severity, at.File, at.Line, at.Column, problem.Width, at.Resource, problem.Path, problem.Text, problem.Hint}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(list)
	return out.Bytes(), err
}

// Nearest returns the candidate that a person who wrote name probably meant: the
// one at the smallest edit distance, if that is small for the name's length.
func Nearest(name string, candidates []string) (string, bool) {
	if len(name) > 64 {
		return "", false
	}
	limit := 1 + utf8.RuneCountInString(name)/4
	best, found := "", false
	for _, candidate := range candidates {
		if len(candidate) > 96 || candidate == name {
			continue
		}
		if d := distance(name, candidate); d <= limit {
			if d == limit && found {
				continue
			}
			best, found, limit = candidate, true, d
		}
	}
	return best, found
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (case does not count).
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
