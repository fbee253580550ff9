package yaml

import (
	"fmt"
	"math"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The bounds of single values.
const (
	maxText     = 64 << 10             // bytes of a string
	maxPattern  = 4 << 10              // bytes of a regular expression
	maxDuration = 366 * 24 * time.Hour // beyond it the unit is surely a slip
	maxBytes    = 1 << 50
)

// text reads a string. A number or a word such as true is taken as it is
// written: a cluster may well be called 8080.
func (d *decoder) text(v value) (string, bool) {
	switch {
	case !v.scalar():
		d.fail(v, "must be a string, not %s", shape(v.node))
	case v.isNull():
		d.fail(v, "must be a string, not nothing")
	case v.node.ShortTag() == "!!binary" || !strings.HasPrefix(v.node.ShortTag(), "!!"):
		d.fail(v, "tag %s is not known", clip(v.node.ShortTag()))
	case len(v.node.Value) > maxText:
		d.fail(v, "is longer than %d bytes", maxText)
	default:
		return v.node.Value, true
	}
	return "", false
}

// word reads a string that is not empty and holds no control characters.
func (d *decoder) word(v value) (string, bool) {
	s, ok := d.text(v)
	switch {
	case !ok:
	case s == "":
		d.fail(v, "must not be empty")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		d.fail(v, "must not hold control characters")
	default:
		return s, true
	}
	return "", false
}

// choice reads one of some words.
func (d *decoder) choice(v value, words ...string) (string, bool) {
	s, ok := d.text(v)
	if !ok {
		return "", false
	}
	if !slices.Contains(words, s) {
		d.failHint(v, nearest(s, words), "%q: must be %s", clip(s), alternatives(words))
		return "", false
	}
	return s, true
}

func alternatives(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// boolean reads true or false.
func (d *decoder) boolean(v value) (value, ok bool) {
	if v.scalar() && v.node.ShortTag() == "!!bool" {
		return strings.EqualFold(v.node.Value, "true"), true
	}
	hint := ""
	if v.scalar() {
		switch strings.ToLower(v.node.Value) {
		case "yes", "on", "y", "1":
			hint = "write true"
		case "no", "off", "n", "0":
			hint = "write false"
		}
	}
	d.failHint(v, hint, "must be true or false, not %s", shape(v.node))
	return false, false
}

// integer reads a whole number from low to high.
func (d *decoder) integer(v value, low, high int64) (int64, bool) {
	if !v.scalar() || v.node.ShortTag() != "!!int" {
		d.fail(v, "must be a whole number, not %s", shape(v.node))
		return 0, false
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 64)
	if digits := strings.TrimPrefix(v.node.Value, "-"); err != nil || len(digits) > 1 && digits[0] == '0' {
		d.failHint(v, "write it in decimal digits only", "must be a whole number from %d to %d", low, high)
		return 0, false
	}
	if n < low || n > high {
		d.fail(v, "%d: must be from %d to %d", n, low, high)
		return 0, false
	}
	return n, true
}

// duration reads a time such as "1m30s". A bare number is refused: nobody can
// tell its unit.
func (d *decoder) duration(v value, low time.Duration) (time.Duration, bool) {
	if !v.scalar() || v.isNull() {
		d.fail(v, `must be a duration such as "3s", not %s`, shape(v.node))
		return 0, false
	}
	s := v.node.Value
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0s" {
		d.failHint(v, fmt.Sprintf("did you mean %ss?", clip(s)), "%s has no unit: write ms, s, m or h behind it", clip(s))
		return 0, false
	}
	t, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.fail(v, `%q is no duration such as "500ms", "3s" or "1m30s"`, clip(s))
	case t < 0:
		d.fail(v, "%s: a duration must not be negative", clip(s))
	case t > maxDuration:
		d.fail(v, "%s is longer than a year", clip(s))
	case t < low && t == 0:
		d.fail(v, "%s: must be more than nothing", clip(s))
	case t < low:
		d.fail(v, "%s: must be at least %v", clip(s), low)
	default:
		return t, true
	}
	return 0, false
}

// byteUnits are the units of byte counts: powers of 1024 with and without the
// "i", as nginx and HAProxy read k and m; only "kB", "MB", "GB" count in 1000s.
var byteUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
}

// bytes reads a count of bytes such as 65536, "64KiB", "8k" or "10MB".
func (d *decoder) bytes(v value, low, high int64) (int64, bool) {
	const want = `must be a byte count such as 65536, "64KiB", "8k" or "10MB"`
	if !v.scalar() || v.isNull() {
		d.fail(v, "%s, not %s", want, shape(v.node))
		return 0, false
	}
	s := v.node.Value
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	unit, known := byteUnits[strings.ToLower(strings.TrimSpace(s[end:]))]
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil || !known {
		d.fail(v, "%s, not %q", want, clip(s))
		return 0, false
	}
	if n > maxBytes/unit || n*unit < low || n*unit > high {
		d.fail(v, "%s: must be from %s to %s", clip(s), formatBytes(low), formatBytes(high))
		return 0, false
	}
	return n * unit, true
}

// formatBytes writes a byte count in its largest whole unit.
func formatBytes(n int64) string {
	switch {
	case n > 0 && n%(1<<30) == 0:
		return fmt.Sprintf("%dGiB", n>>30)
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return strconv.FormatInt(n, 10)
}

// percent reads "10%" or 10 as a share in millionths.
func (d *decoder) percent(v value) (uint32, bool) {
	const want = `must be a percentage from 0.0001 to 100 such as 10 or "0.5%"`
	if !v.scalar() || v.isNull() {
		d.fail(v, "%s, not %s", want, shape(v.node))
		return 0, false
	}
	s := strings.TrimSpace(strings.TrimSuffix(v.node.Value, "%"))
	n, err := strconv.ParseFloat(s, 64)
	millionths := math.Round(n * 1e4)
	if err != nil || !(millionths >= 1 && millionths <= 1e6) {
		d.fail(v, "%s, not %q", want, clip(v.node.Value))
		return 0, false
	}
	return uint32(millionths), true
}

// pattern reads a regular expression (RE2).
func (d *decoder) pattern(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	if len(s) > maxPattern {
		d.fail(v, "is longer than %d bytes", maxPattern)
		return "", false
	}
	if _, err := syntax.Parse(s, syntax.Perl); err != nil {
		text := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			text = fmt.Sprintf("%s: %s", e.Code, clip(e.Expr))
		}
		d.fail(v, "is no regular expression (RE2): %s", text)
		return "", false
	}
	return s, true
}

// cidr reads "10.0.0.0/8", or an address as its own network.
func (d *decoder) cidr(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()).String(), true
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		d.fail(v, `%q is no network such as "10.0.0.0/8" or "2001:db8::/32"`, clip(s))
		return "", false
	}
	if prefix.Masked() != prefix {
		d.failHint(v, fmt.Sprintf("did you mean %q?", prefix.Masked().String()), "%q has bits behind its length", clip(s))
		return "", false
	}
	return prefix.String(), true
}

// The readers of a field by name leave what is not written, or wrong, nil.

func (f fields) duration(name string, low time.Duration) *durationpb.Duration {
	if t, ok := f.span(name, low); ok {
		return durationpb.New(t)
	}
	return nil
}

func (f fields) span(name string, low time.Duration) (time.Duration, bool) {
	if v, ok := f.get(name); ok {
		return f.d.duration(v, low)
	}
	return 0, false
}

func (f fields) number(name string, low, high int64) (int64, bool) {
	if v, ok := f.get(name); ok {
		return f.d.integer(v, low, high)
	}
	return 0, false
}

func (f fields) uint32(name string, low, high int64) *wrapperspb.UInt32Value {
	if n, ok := f.number(name, low, high); ok {
		return wrapperspb.UInt32(uint32(n))
	}
	return nil
}

func (f fields) flag(name string) (value, ok bool) {
	if v, found := f.get(name); found {
		return f.d.boolean(v)
	}
	return false, false
}

func (f fields) choice(name string, words ...string) (string, bool) {
	if v, ok := f.get(name); ok {
		return f.d.choice(v, words...)
	}
	return "", false
}

func (f fields) word(name string) (string, bool) {
	if v, ok := f.get(name); ok {
		return f.d.word(v)
	}
	return "", false
}

func (f fields) bytes(name string, low, high int64) (int64, bool) {
	if v, ok := f.get(name); ok {
		return f.d.bytes(v, low, high)
	}
	return 0, false
}
