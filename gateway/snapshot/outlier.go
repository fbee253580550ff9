package snapshot

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
	"longmen/gateway/resource"
)

// outlier reads outlier detection; without the message there is none.
func (c *compiler) outlier(at resource.Path, o *clusterv3.OutlierDetection, out *cluster.Config) {
	if o == nil {
		return
	}
	c.only(at, o, "consecutive_5xx", "interval", "base_ejection_time", "max_ejection_percent", "enforcing_consecutive_5xx", "enforcing_success_rate",
		"success_rate_minimum_hosts", "success_rate_request_volume", "success_rate_stdev_factor", "consecutive_gateway_failure",
		"enforcing_consecutive_gateway_failure", "split_external_local_origin_errors", "consecutive_local_origin_failure",
		"enforcing_consecutive_local_origin_failure", "enforcing_local_origin_success_rate", "failure_percentage_threshold",
		"enforcing_failure_percentage", "enforcing_failure_percentage_local_origin", "failure_percentage_minimum_hosts",
		"failure_percentage_request_volume", "max_ejection_time", "max_ejection_time_jitter", "successful_active_health_check_uneject_host",
		"always_eject_one_host")
	d := outlier.Defaults()
	count := func(part string, n *wrapperspb.UInt32Value, value *int) {
		*value = c.number(join(at, part), n, 0, math.MaxInt32, *value)
	}
	percent := func(part string, n *wrapperspb.UInt32Value, value *int) {
		*value = c.number(join(at, part), n, 0, 100, *value)
	}
	count("errors", o.GetConsecutive_5Xx(), &d.Consecutive5xx)
	count("gateway_errors", o.GetConsecutiveGatewayFailure(), &d.ConsecutiveGatewayFailure)
	count("local_errors", o.GetConsecutiveLocalOriginFailure(), &d.ConsecutiveLocalOriginFailure)
	d.SplitLocalOrigin = o.GetSplitExternalLocalOriginErrors()
	percent("enforce.errors", o.GetEnforcingConsecutive_5Xx(), &d.Enforcing.Consecutive5xx)
	percent("enforce.gateway_errors", o.GetEnforcingConsecutiveGatewayFailure(), &d.Enforcing.ConsecutiveGatewayFailure)
	percent("enforce.local_errors", o.GetEnforcingConsecutiveLocalOriginFailure(), &d.Enforcing.ConsecutiveLocalOriginFailure)
	percent("enforce.success_rate", o.GetEnforcingSuccessRate(), &d.Enforcing.SuccessRate)
	percent("enforce.local_success_rate", o.GetEnforcingLocalOriginSuccessRate(), &d.Enforcing.LocalOriginSuccessRate)
	percent("enforce.failure_rate", o.GetEnforcingFailurePercentage(), &d.Enforcing.FailurePercentage)
	percent("enforce.local_failure_rate", o.GetEnforcingFailurePercentageLocalOrigin(), &d.Enforcing.LocalOriginFailurePercentage)
	count("success_rate.endpoints", o.GetSuccessRateMinimumHosts(), &d.SuccessRate.MinimumHosts)
	count("success_rate.requests", o.GetSuccessRateRequestVolume(), &d.SuccessRate.RequestVolume)
	count("success_rate.stdev", o.GetSuccessRateStdevFactor(), &d.SuccessRate.StdevFactor)
	percent("failure_rate.percent", o.GetFailurePercentageThreshold(), &d.FailurePercentage.Threshold)
	count("failure_rate.endpoints", o.GetFailurePercentageMinimumHosts(), &d.FailurePercentage.MinimumHosts)
	count("failure_rate.requests", o.GetFailurePercentageRequestVolume(), &d.FailurePercentage.RequestVolume)
	d.Interval = c.positive(join(at, "every"), o.GetInterval(), d.Interval)
	d.BaseEjectionTime = c.positive(join(at, "eject"), o.GetBaseEjectionTime(), d.BaseEjectionTime)
	if o.GetMaxEjectionTime() == nil {
		d.MaxEjectionTime = max(d.MaxEjectionTime, d.BaseEjectionTime)
	} else if d.MaxEjectionTime = c.positive(join(at, "max_eject"), o.GetMaxEjectionTime(), d.MaxEjectionTime); d.MaxEjectionTime < d.BaseEjectionTime {
		c.fail(join(at, "max_eject"), "%v is less than the length of an ejection (eject: %v)", d.MaxEjectionTime, d.BaseEjectionTime)
	}
	d.MaxEjectionTimeJitter = c.duration(join(at, "jitter"), o.GetMaxEjectionTimeJitter(), 0)
	percent("max", o.GetMaxEjectionPercent(), &d.MaxEjectionPercent)
	d.AlwaysEjectOneHost = o.GetAlwaysEjectOneHost().GetValue()
	if on := o.GetSuccessfulActiveHealthCheckUnejectHost(); on != nil {
		d.UnejectOnHealthy = on.GetValue()
	}
	if n := len(out.Endpoints); out.Discovery == cluster.Static && n > 0 && !d.AlwaysEjectOneHost && n*d.MaxEjectionPercent < 100 {
		c.warn(join(at, "max"), "write always_one: true, or more", "%d %% of %d endpoints is less than one: nothing is ever ejected", d.MaxEjectionPercent, n)
	}
	out.Outlier = &d
}

// outlier reads what xDS has no field for.
func (s *settings) outlier(out *cluster.Config) {
	_, refused := s.values.Number("outlier_refused")
	log := s.word("outlier_log")
	if out.Outlier == nil {
		if refused || log != "" {
			s.c.fail(join(s.at, "outlier"), "outlier_refused and outlier_log without outlier_detection")
		}
		return
	}
	s.count("outlier_refused", 0, math.MaxInt32, &out.Outlier.ConsecutiveRefused)
	out.Outlier.EventLog = log
}
