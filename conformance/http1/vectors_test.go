package http1

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A class says what a proxy has to do with a vector.
type class string

const (
	mustAccept    class = "must-accept"    // deliver it as the keys say
	mustNormalise class = "must-normalise" // deliver it, in another form than it was sent in
	may           class = "may"            // deliver it as the keys say, or refuse it
	mustReject    class = "must-reject"    // refuse it; nothing whole reaches the other side
	mustBreak     class = "must-break"     // responses: refuse it, or end it visibly unfinished
)

// A vector is one line of a file in testdata.
type vector struct {
	name, rfc string
	class     class
	statuses  []int // with which it may be refused; empty for any error
	raw       string
	keys      []key
}

// A key is one expectation, or one circumstance of the case.
type key struct{ name, value string }

func (v *vector) get(name string) (string, bool) {
	for _, k := range v.keys {
		if k.name == name {
			return k.value, true
		}
	}
	return "", false
}

func (v *vector) number(name string, without int) int {
	s, ok := v.get(name)
	if !ok {
		return without
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// load reads a file of vectors. A line is
//
//	name | section | class statuses | bytes | key=value; key=value
//
// and a sixth column, if there is one, is the class that Longmen holds itself
// to where the RFC leaves a choice. See README.md for the escapes and keys.
func load(path string, strict bool) ([]*vector, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var vs []*vector
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		got, err := parseLine(line, strict)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		vs = append(vs, got...)
	}
	return vs, sc.Err()
}

func parseLine(line string, strict bool) ([]*vector, error) {
	col := strings.Split(strings.TrimSuffix(line, " |"), " | ")
	if len(col) < 4 || len(col) > 6 {
		return nil, fmt.Errorf("%d columns", len(col))
	}
	for i := range col {
		col[i] = strings.TrimSpace(col[i])
	}
	v := vector{name: col[0], rfc: col[1]}
	verdict := col[2]
	if strict && len(col) == 6 {
		verdict = col[5]
	}
	words := strings.Fields(verdict)
	v.class = class(words[0])
	if !slices.Contains([]class{mustAccept, mustNormalise, may, mustReject, mustBreak}, v.class) {
		return nil, fmt.Errorf("class %q", words[0])
	}
	for _, w := range words[1:] {
		s, err := strconv.Atoi(w)
		if err != nil {
			return nil, err
		}
		v.statuses = append(v.statuses, s)
	}
	if len(col) > 4 && col[4] != "" {
		for _, kv := range strings.Split(col[4], "; ") {
			k, val, ok := strings.Cut(strings.TrimSpace(kv), "=")
			if !keyName.MatchString(k) || ok == strings.HasPrefix(k, "-") {
				return nil, fmt.Errorf("key %q", kv)
			}
			val, err := unescape(val)
			if err != nil {
				return nil, err
			}
			v.keys = append(v.keys, key{k, val})
		}
	}
	return expand(v, col[3])
}

var keyName = regexp.MustCompile(`^(n|end|req|method|target|body|size|status|1xx|h:[^ =]+|-h:[^ =]+|t:[^ =]+)$`)

var family = regexp.MustCompile(`\{bytes ([0-9a-f,-]+)\}`)

// expand makes one vector of each byte that {bytes 00-08,7f} names.
func expand(v vector, text string) ([]*vector, error) {
	m := family.FindStringSubmatch(text)
	if m == nil {
		raw, err := unescape(text)
		v.raw = raw
		return []*vector{&v}, err
	}
	var vs []*vector
	for _, part := range strings.Split(m[1], ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		from, err1 := strconv.ParseUint(lo, 16, 8)
		to, err2 := strconv.ParseUint(hi, 16, 8)
		if err1 != nil || err2 != nil || from > to {
			return nil, fmt.Errorf("bytes %q", part)
		}
		for c := from; c <= to; c++ {
			one := v
			one.name = fmt.Sprintf("%s-%02x", v.name, c)
			raw, err := unescape(strings.Replace(text, m[0], fmt.Sprintf(`\x%02x`, c), 1))
			if err != nil {
				return nil, err
			}
			one.raw = raw
			vs = append(vs, &one)
		}
	}
	return vs, nil
}

var repeat = regexp.MustCompile(`\{rep ([0-9]+) ([^}]+)\}`)

// unescape puts in the short forms, {rep N text}, and Go's escapes.
func unescape(s string) (string, error) {
	s = strings.NewReplacer(
		`{G}`, `GET / HTTP/1.1\r\nHost: h\r\n`,
		`{P}`, `POST / HTTP/1.1\r\nHost: h\r\n`,
		`{C}`, `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`,
		`{OK}`, `HTTP/1.1 200 OK\r\n`,
		`{CH}`, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`,
		`{NEXT}`, `GET /next HTTP/1.1\r\nHost: h\r\n\r\n`,
		`"`, `\x22`,
	).Replace(s)
	for {
		m := repeat.FindStringSubmatchIndex(s)
		if m == nil {
			break
		}
		n, err := strconv.Atoi(s[m[2]:m[3]])
		if err != nil || n > 1<<21 {
			return "", fmt.Errorf("repeat %q", s[m[0]:m[1]])
		}
		s = s[:m[0]] + strings.Repeat(s[m[4]:m[5]], n) + s[m[1]:]
	}
	return strconv.Unquote(`"` + s + `"`)
}
