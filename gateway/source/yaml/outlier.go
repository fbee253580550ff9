package yaml

import (
	"math"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// maxOutlier bounds the counts of outlier detection.
const maxOutlier = 1_000_000

// enforcing pairs the keys of "enforce" with the fields of xDS.
var enforcing = []struct {
	key   string
	field func(*cluster.OutlierDetection) **wrapperspb.UInt32Value
}{
	{"errors", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value { return &o.EnforcingConsecutive_5Xx }},
	{"gateway_errors", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value {
		return &o.EnforcingConsecutiveGatewayFailure
	}},
	{"local_errors", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value {
		return &o.EnforcingConsecutiveLocalOriginFailure
	}},
	{"success_rate", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value { return &o.EnforcingSuccessRate }},
	{"local_success_rate", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value { return &o.EnforcingLocalOriginSuccessRate }},
	{"failure_rate", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value { return &o.EnforcingFailurePercentage }},
	{"local_failure_rate", func(o *cluster.OutlierDetection) **wrapperspb.UInt32Value {
		return &o.EnforcingFailurePercentageLocalOrigin
	}},
}

// outlier reads "outlier". What a person writes is meant to eject: where xDS only counts
// by default, that is written too.
func (d *decoder) outlier(v value, extra resource.Values) *cluster.OutlierDetection {
	f := d.object(v, outlierTable)
	out := &cluster.OutlierDetection{
		Interval:              f.duration("every", time.Millisecond),
		BaseEjectionTime:      f.duration("eject", time.Millisecond),
		MaxEjectionTime:       f.duration("max_eject", time.Millisecond),
		MaxEjectionTimeJitter: f.duration("jitter", 0),
		AlwaysEjectOneHost:    wrapperspb.Bool(true),
	}
	if longest := out.MaxEjectionTime; longest != nil && out.BaseEjectionTime != nil && longest.AsDuration() < out.BaseEjectionTime.AsDuration() {
		d.fail(f.written("max_eject"), "%v is less than eject", longest.AsDuration())
	}
	out.Consecutive_5Xx = d.countOrOff(f, "errors", &out.EnforcingConsecutive_5Xx)
	if n := f.uint32("gateway_errors", 1, maxOutlier); n != nil {
		out.ConsecutiveGatewayFailure, out.EnforcingConsecutiveGatewayFailure = n, wrapperspb.UInt32(100)
	}
	out.SplitExternalLocalOriginErrors, _ = f.flag("split")
	out.ConsecutiveLocalOriginFailure = d.countOrOff(f, "local_errors", &out.EnforcingConsecutiveLocalOriginFailure)
	if odd, ok := f.get("local_errors"); ok && !out.SplitExternalLocalOriginErrors {
		d.at(odd.key, odd.path, "add split: true", "has no effect without split")
	}
	if v, ok := f.get("refused"); ok {
		if v.scalar() && v.node.Value == "off" {
			extra["outlier_refused"] = int64(0)
		} else if n, ok := d.integer(v, 1, maxOutlier); ok {
			extra["outlier_refused"] = n
		}
	}
	d.rates(f, out)
	if v, ok := f.get("max"); ok {
		if n, ok := d.wholePercent(v, 0, 100); ok {
			out.MaxEjectionPercent = wrapperspb.UInt32(n)
		}
	}
	if on, ok := f.flag("always_one"); ok && !on {
		out.AlwaysEjectOneHost = nil
	}
	if on, ok := f.flag("recover"); ok && !on {
		out.SuccessfulActiveHealthCheckUnejectHost = wrapperspb.Bool(false)
	}
	if v, ok := f.get("enforce"); ok {
		e := d.object(v, enforceTable)
		for _, one := range enforcing {
			if v, ok := e.get(one.key); ok {
				if n, ok := d.wholePercent(v, 0, 100); ok {
					*one.field(out) = wrapperspb.UInt32(n)
				}
			}
		}
	}
	if s, ok := f.word("log"); ok {
		extra["outlier_log"] = s
	}
	return out
}

// countOrOff reads a count, or off, for which nothing is enforced.
func (d *decoder) countOrOff(f fields, name string, enforced **wrapperspb.UInt32Value) *wrapperspb.UInt32Value {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	if v.scalar() && v.node.Value == "off" {
		*enforced = wrapperspb.UInt32(0)
		return nil
	}
	return f.uint32(name, 1, maxOutlier)
}

// rates reads what is found by rates.
func (d *decoder) rates(f fields, out *cluster.OutlierDetection) {
	if v, ok := f.get("success_rate"); ok {
		if v.scalar() && v.node.Value == "off" {
			out.EnforcingSuccessRate = wrapperspb.UInt32(0)
		} else {
			s := d.object(v, successRateTable)
			out.SuccessRateMinimumHosts = s.uint32("endpoints", 1, maxOutlier)
			out.SuccessRateRequestVolume = s.uint32("requests", 1, maxOutlier)
			if v, ok := s.get("stdev"); ok {
				if n, ok := d.decimal(v, 0, 100); ok {
					out.SuccessRateStdevFactor = wrapperspb.UInt32(uint32(math.Round(n * 1000)))
				}
			}
			if v.isMap() && len(v.node.Content) == 0 {
				d.failHint(v, "leave it out", "says nothing")
			}
		}
	}
	v, ok := f.get("failure_rate")
	if !ok {
		return
	}
	s := d.object(v, failureRateTable)
	out.EnforcingFailurePercentage = wrapperspb.UInt32(100)
	out.FailurePercentageMinimumHosts = s.uint32("endpoints", 1, maxOutlier)
	out.FailurePercentageRequestVolume = s.uint32("requests", 1, maxOutlier)
	if v, ok := s.get("percent"); ok {
		if n, ok := d.wholePercent(v, 0, 100); ok {
			out.FailurePercentageThreshold = wrapperspb.UInt32(n)
		}
	}
}

// outlierMap writes outlier detection; what it leaves out is what outlier implies.
func outlierMap(o *cluster.OutlierDetection, values resource.Values) *mapping {
	out, enforce := &mapping{}, &mapping{}
	implied := map[string]uint32{}
	countOrOff := func(key string, n, enforced *wrapperspb.UInt32Value) {
		if n == nil && enforced != nil && enforced.GetValue() == 0 {
			out.word(key, "off")
			implied[key] = 0
		}
		out.number(key, n)
	}
	countOrOff("errors", o.GetConsecutive_5Xx(), o.GetEnforcingConsecutive_5Xx())
	if n := o.GetConsecutiveGatewayFailure(); n != nil {
		out.number("gateway_errors", n)
		implied["gateway_errors"] = 100
	}
	countOrOff("local_errors", o.GetConsecutiveLocalOriginFailure(), o.GetEnforcingConsecutiveLocalOriginFailure())
	if n, ok := values.Number("outlier_refused"); ok && n == 0 {
		out.word("refused", "off")
	} else {
		out.value("refused", values, "outlier_refused")
	}
	if o.GetSplitExternalLocalOriginErrors() {
		out.put("split", truth(true))
	}
	success := &mapping{}
	success.number("endpoints", o.GetSuccessRateMinimumHosts())
	success.number("requests", o.GetSuccessRateRequestVolume())
	if n := o.GetSuccessRateStdevFactor(); n != nil {
		success.put("stdev", decimalNode(float64(n.GetValue())/1000))
	}
	out.sub("success_rate", success)
	if n := o.GetEnforcingSuccessRate(); n != nil && n.GetValue() == 0 && len(success.content) == 0 {
		out.word("success_rate", "off")
		implied["success_rate"] = 0
	}
	failure := &mapping{}
	if n := o.GetFailurePercentageThreshold(); n != nil {
		failure.word("percent", wholePercentText(n.GetValue()))
	}
	failure.number("endpoints", o.GetFailurePercentageMinimumHosts())
	failure.number("requests", o.GetFailurePercentageRequestVolume())
	if n := o.GetEnforcingFailurePercentage(); len(failure.content) > 0 || n.GetValue() == 100 {
		out.put("failure_rate", failure.node())
		implied["failure_rate"] = 100
	}
	out.duration("every", o.GetInterval())
	out.duration("eject", o.GetBaseEjectionTime())
	out.duration("max_eject", o.GetMaxEjectionTime())
	out.duration("jitter", o.GetMaxEjectionTimeJitter())
	if n := o.GetMaxEjectionPercent(); n != nil {
		out.word("max", wholePercentText(n.GetValue()))
	}
	if !o.GetAlwaysEjectOneHost().GetValue() {
		out.put("always_one", truth(false))
	}
	if on := o.GetSuccessfulActiveHealthCheckUnejectHost(); on != nil && !on.GetValue() {
		out.put("recover", truth(false))
	}
	for _, one := range enforcing {
		n := *one.field(o)
		if by, known := implied[one.key]; n != nil && !(known && by == n.GetValue()) {
			enforce.word(one.key, wholePercentText(n.GetValue()))
		}
	}
	out.sub("enforce", enforce)
	out.value("log", values, "outlier_log")
	return out
}
