package yaml

import (
	"math"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// decimal reads a decimal number such as 1.5, from low to high.
func (d *decoder) decimal(v value, low, high float64) (float64, bool) {
	tag := ""
	if v.scalar() {
		tag = v.node.ShortTag()
	}
	n, err := strconv.ParseFloat(v.node.Value, 64)
	switch {
	case tag != "!!int" && tag != "!!float" || err != nil || math.IsNaN(n):
		d.fail(v, "must be a number such as 1.5, not %s", shape(v.node))
	case n < low || n > high:
		d.fail(v, "%s: must be from %s to %s", clip(v.node.Value), decimalText(low), decimalText(high))
	default:
		return n, true
	}
	return 0, false
}

func decimalText(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func decimalNode(n float64) *yaml.Node {
	tag := "!!float"
	if n == math.Trunc(n) {
		tag = "!!int"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: decimalText(n)}
}

// wholePercent reads a whole percentage such as 140 or "140%", from low to high.
func (d *decoder) wholePercent(v value, low, high uint64) (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimSuffix(v.node.Value, "%"), 10, 32)
	if !v.scalar() || err != nil || n < low || n > high {
		d.fail(v, `must be a whole percentage from %d to %d such as %d or "%d%%", not %s`, low, high, (low+min(high, 200))/2, (low+min(high, 200))/2, shape(v.node))
		return 0, false
	}
	return uint32(n), true
}

// share reads a percentage as xDS has it.
func (d *decoder) share(v value) (float64, bool) {
	n, ok := d.percent(v)
	return float64(n) / 1e4, ok
}

func percentNode(n float64) *yaml.Node { return text(decimalText(n) + "%") }

// wholePercentText writes a whole percentage.
func wholePercentText(n uint32) string { return strconv.FormatUint(uint64(n), 10) + "%" }

func (f fields) uint64(name string, low, high int64) *wrapperspb.UInt64Value {
	if n, ok := f.number(name, low, high); ok {
		return wrapperspb.UInt64(uint64(n))
	}
	return nil
}
