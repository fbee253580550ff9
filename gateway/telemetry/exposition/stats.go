package exposition

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"longmen/gateway/telemetry/metrics"
)

// Stat is one number with its full name, or one distribution.
type Stat struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Kind   Kind              `json:"kind"`
	Value  *float64          `json:"value,omitempty"`
	// Of distributions, in seconds; quantiles are estimates.
	Distribution *Summary `json:"distribution,omitempty"`

	full string // name{label="value"}
}

// Summary is what a person wants to know of a distribution.
type Summary struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
}

// Stats reads everything whose full name, such as
// longmen_http_requests_total{listener="http",code_class="2xx"}, contains the
// filter; "" means all. The order is that of the full names.
func (e *Exporter) Stats(filter string) ([]Stat, error) {
	var stats []Stat
	for _, family := range e.Families() {
		for _, sample := range family.Samples {
			stat := Stat{Name: family.Name, Kind: family.Kind, full: fullName(family.Name, family.Labels, sample.Values)}
			for i, label := range family.Labels {
				if stat.Labels == nil {
					stat.Labels = map[string]string{}
				}
				stat.Labels[label] = sample.Values[i]
			}
			if sample.Distribution != nil {
				stat.Distribution = summarize(sample.Distribution)
			} else {
				stat.Value = &sample.Value
			}
			stats = append(stats, stat)
		}
	}
	runtimes, err := e.runtimeStats()
	if err != nil {
		return nil, err
	}
	stats = append(stats, runtimes...)
	stats = slices.DeleteFunc(stats, func(s Stat) bool { return !strings.Contains(s.full, filter) })
	slices.SortStableFunc(stats, func(a, b Stat) int { return strings.Compare(a.full, b.full) })
	return stats, nil
}

// runtimeStats are the plain numbers of the go_ and process_ families.
func (e *Exporter) runtimeStats() ([]Stat, error) {
	families, err := e.runtimes.Gather()
	if err != nil {
		return nil, err
	}
	var stats []Stat
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			stat := Stat{Name: family.GetName()}
			var value float64
			switch family.GetType().String() {
			case "COUNTER":
				stat.Kind, value = CounterKind, metric.GetCounter().GetValue()
			case "GAUGE":
				stat.Kind, value = GaugeKind, metric.GetGauge().GetValue()
			default: // a summary of GC pauses
				continue
			}
			stat.Value = &value
			var names, values []string
			for _, pair := range metric.GetLabel() {
				if stat.Labels == nil {
					stat.Labels = map[string]string{}
				}
				stat.Labels[pair.GetName()] = pair.GetValue()
				names, values = append(names, pair.GetName()), append(values, pair.GetValue())
			}
			stat.full = fullName(stat.Name, names, values)
			stats = append(stats, stat)
		}
	}
	return stats, nil
}

func fullName(name string, labels, values []string) string {
	if len(labels) == 0 {
		return name
	}
	var full strings.Builder
	full.WriteString(name)
	for i, label := range labels {
		if i == 0 {
			full.WriteByte('{')
		} else {
			full.WriteByte(',')
		}
		full.WriteString(label + "=" + strconv.Quote(values[i]))
	}
	full.WriteByte('}')
	return full.String()
}

func summarize(d *metrics.Distribution) *Summary {
	s := &Summary{
		Count: d.Count,
		P50:   d.Quantile(0.5).Seconds(), P90: d.Quantile(0.9).Seconds(),
		P99: d.Quantile(0.99).Seconds(), P999: d.Quantile(0.999).Seconds(),
	}
	if d.Count > 0 {
		s.Mean = d.Sum.Seconds() / float64(d.Count)
	}
	return s
}

// Text writes stats one a line.
func Text(stats []Stat) []byte {
	var text []byte
	for _, s := range stats {
		text = append(text, s.full...)
		text = append(text, ' ')
		if s.Value != nil {
			text = strconv.AppendFloat(text, *s.Value, 'f', -1, 64)
		} else if d := s.Distribution; d.Count == 0 {
			text = append(text, "count=0"...)
		} else {
			text = fmt.Appendf(text, "count=%d mean=%s p50=%s p90=%s p99=%s p99.9=%s",
				d.Count, readable(d.Mean), readable(d.P50), readable(d.P90), readable(d.P99), readable(d.P999))
		}
		text = append(text, '\n')
	}
	return text
}

// readable writes a duration with three decimals of its unit.
func readable(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	for _, unit := range [...]time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 1000).String()
		}
	}
	return d.String()
}

// JSON writes stats as one object.
func JSON(stats []Stat) ([]byte, error) {
	if stats == nil {
		stats = []Stat{}
	}
	return json.MarshalIndent(struct {
		Stats []Stat `json:"stats"`
	}{stats}, "", "  ")
}
