package stream

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFormat bounds a template's text, in bytes.
const maxFormat = 64 << 10

// ParseFormat compiles a template. An error names the column (in characters,
// from 1) of the operator that it is about.
func ParseFormat(text string) (*Format, error) {
	if len(text) > maxFormat {
		return nil, fmt.Errorf("format is longer than %d bytes", maxFormat)
	}
	f := &Format{}
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			f.pieces = append(f.pieces, piece{op: opText, text: literal.String()})
			literal.Reset()
		}
	}
	for at := 0; at < len(text); {
		if text[at] != '%' {
			literal.WriteByte(text[at])
			at++
			continue
		}
		if strings.HasPrefix(text[at:], "%%") {
			literal.WriteByte('%')
			at += 2
			continue
		}
		p, size, err := parseOperator(text[at:])
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", utf8.RuneCountInString(text[:at])+1, err)
		}
		flush()
		f.pieces = append(f.pieces, p)
		at += size
	}
	flush()
	switch {
	case len(f.pieces) == 0:
		f.isConstant = true
	case len(f.pieces) == 1 && f.pieces[0].op == opText:
		f.constant, f.isConstant = f.pieces[0].text, true
	}
	return f, nil
}

// parseOperator parses the operator that text begins with,
//
//	%NAME% or %NAME(argument)% or %NAME(argument):length%
//
// and returns how many bytes it takes.
func parseOperator(text string) (p piece, size int, err error) {
	end := 1
	for end < len(text) && (text[end] == '_' || 'A' <= text[end] && text[end] <= 'Z' || 'a' <= text[end] && text[end] <= 'z' || '0' <= text[end] && text[end] <= '9') {
		end++
	}
	name := text[1:end]
	if name == "" {
		return p, 0, fmt.Errorf("a single %%: write %%%% for a percent sign")
	}
	argument, hasArgument, rest := "", false, text[end:]
	if strings.HasPrefix(rest, "(") {
		argument, rest, hasArgument = strings.Cut(rest[1:], ")")
		if !hasArgument {
			return p, 0, fmt.Errorf("%%%s( has no closing parenthesis", name)
		}
	}
	length, hasLength := "", strings.HasPrefix(rest, ":")
	if hasLength {
		digits := 1
		for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
			digits++
		}
		length, rest = rest[1:digits], rest[digits:]
	}
	if !strings.HasPrefix(rest, "%") {
		return p, 0, fmt.Errorf("%%%s has no closing %%; write %%%% for a percent sign", name)
	}
	if p.op = operatorNamed(name); p.op == opNone {
		return p, 0, fmt.Errorf("unknown operator %%%s%%%s", name, suggestion(name))
	}
	switch p.op {
	case opRequestHeader, opResponseHeader, opTrailer:
		err = p.parseHeader(argument, hasArgument)
	case opGRPCStatus:
		err = p.parseGRPCStatus(argument, hasArgument)
	case opStartTime, opPeerStart, opPeerEnd, opUpstreamStart, opUpstreamEnd:
		if p.text = isoTime; argument != "" {
			p.text = argument
		}
		err = checkTime(p.text)
	default:
		if hasArgument {
			err = fmt.Errorf("%%%s%% takes no argument", name)
		}
	}
	if p.op == opHostname {
		p.text, _ = os.Hostname() // without a name, the value is absent
	}
	if hasLength && err == nil {
		if p.op != opRequestHeader && p.op != opResponseHeader && p.op != opTrailer {
			return p, 0, fmt.Errorf("%%%s%% takes no length", name)
		}
		if p.max, err = strconv.Atoi(length); err != nil || p.max < 1 || p.max > maxFormat {
			return p, 0, fmt.Errorf("%%%s(%s):%s%%: the length must be a number from 1 to %d", name, argument, length, maxFormat)
		}
	}
	return p, len(text) - len(rest) + 1, err
}

// parseHeader parses the argument of REQ, RESP and TRAILER: a header's name and, after a
// "?", the name of another one to take when the first is absent.
func (p *piece) parseHeader(argument string, hasArgument bool) (err error) {
	name := operators[p.op].name
	if !hasArgument || argument == "" {
		return fmt.Errorf("%%%s%% needs a header's name: %%%s(X-NAME)%%", name, name)
	}
	first, second, hasSecond := strings.Cut(argument, "?")
	if p.first, err = parseSource(p.op, first); err != nil {
		return err
	}
	if hasSecond {
		p.second, err = parseSource(p.op, second)
	}
	return err
}

// parseGRPCStatus parses how GRPC_STATUS writes the status.
func (p *piece) parseGRPCStatus(argument string, hasArgument bool) error {
	switch {
	case !hasArgument || argument == "CAMEL_STRING":
	case argument == "SNAKE_STRING":
		p.op = opGRPCStatusSnake
	case argument == "NUMBER":
		p.op = opGRPCStatusNumber
	default:
		return fmt.Errorf("%%GRPC_STATUS(%s)%%: must be CAMEL_STRING, SNAKE_STRING or NUMBER", argument)
	}
	return nil
}

func parseSource(op operator, name string) (source, error) {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, ":") {
		pseudo := opNone
		switch {
		case op == opRequestHeader && name == ":method":
			pseudo = opMethod
		case op == opRequestHeader && name == ":path":
			pseudo = opTarget
		case op == opRequestHeader && name == ":authority":
			pseudo = opAuthority
		case op == opRequestHeader && name == ":scheme":
			pseudo = opScheme
		case op == opResponseHeader && name == ":status":
			pseudo = opResponseCode
		default:
			return source{}, fmt.Errorf("unknown pseudo header %q in %%%s()%%", name, operators[op].name)
		}
		return source{op: pseudo}, nil
	}
	if !IsToken(name) {
		return source{}, fmt.Errorf("%q is no header name", name)
	}
	// The Host field is not kept among the header's fields.
	if op == opRequestHeader && name == "host" {
		return source{op: opAuthority}, nil
	}
	return source{op: op, name: name, id: KnownName(name)}, nil
}

func operatorNamed(name string) operator {
	for op := range operators {
		if operators[op].name == name {
			return operator(op)
		}
	}
	return opNone
}

// suggestion names the operator that was probably meant, if one is near.
func suggestion(name string) string {
	best, least := "", 3 // differences beyond 2 are no misspelling
	for op := range operators {
		candidate := operators[op].name
		if candidate == "" {
			continue
		}
		if d := differences(strings.ToUpper(name), candidate); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %%%s%%?", best)
}

// differences counts the bytes to insert, delete or change to make a from b.
func differences(a, b string) int {
	row := make([]int, len(b)+1) // distances of a[:i] from every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
