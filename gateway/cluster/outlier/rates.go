package outlier

import (
	"fmt"
	"math"
)

// rated is an endpoint that had enough requests in an interval.
type rated struct {
	*watch
	rate float64 // percent of successes
}

// found is an outlier.
type found struct {
	*watch
	cause  Cause
	reason string
}

// The two kinds of results that success rates are counted of.
const (
	external = iota
	local
)

// successRates says which of the endpoints lie too far below the mean.
func successRates(c *SuccessRate, cause Cause, all []rated) (out []found) {
	if len(all) == 0 || len(all) < c.MinimumHosts {
		return nil
	}
	mean, least := bound(all, float64(c.StdevFactor)/1000)
	for _, r := range all {
		if r.rate < least {
			out = append(out, found{r.watch, cause, fmt.Sprintf("success rate %.1f %% is below %.1f %% (%d endpoints have %.1f %% in the mean)", r.rate, least, len(all), mean)})
		}
	}
	return out
}

// bound is the mean of success rates, and what lies factor standard deviations below it.
func bound(all []rated, factor float64) (mean, least float64) {
	for _, r := range all {
		mean += r.rate
	}
	mean /= float64(len(all))
	variance := 0.0
	for _, r := range all {
		variance += (r.rate - mean) * (r.rate - mean)
	}
	variance /= float64(len(all))
	return mean, mean - factor*math.Sqrt(variance)
}

// failurePercentages says which of the endpoints fail too often.
func failurePercentages(c *FailurePercentage, cause Cause, all []rated) (out []found) {
	if len(all) == 0 || len(all) < c.MinimumHosts {
		return nil
	}
	for _, r := range all {
		if 100-r.rate >= float64(c.Threshold) {
			out = append(out, found{r.watch, cause, fmt.Sprintf("%.1f %% of the requests failed, of %d %% allowed", 100-r.rate, c.Threshold)})
		}
	}
	return out
}

// outliers looks at the last interval.
func (d *Detector) outliers(config *Config) (out []found) {
	var bySuccess, byFailure [2][]rated
	for _, w := range d.watches {
		for kind, recent := range w.sum() {
			w.rates[kind] = -1
			if w.host.Ejected() || recent.total == 0 {
				continue
			}
			r := rated{w, 100 * float64(recent.good) / float64(recent.total)}
			enough := func(volume int) bool { return uint64(recent.total) >= uint64(volume) }
			if enough(min(config.SuccessRate.RequestVolume, config.FailurePercentage.RequestVolume)) {
				w.rates[kind] = r.rate
			}
			if enough(config.SuccessRate.RequestVolume) {
				bySuccess[kind] = append(bySuccess[kind], r)
			}
			if enough(config.FailurePercentage.RequestVolume) {
				byFailure[kind] = append(byFailure[kind], r)
			}
		}
	}
	for kind, causes := range [...][2]Cause{
		external: {BySuccessRate, ByFailurePercentage},
		local:    {ByLocalOriginSuccessRate, ByLocalOriginFailurePercentage},
	} {
		out = append(out, successRates(&config.SuccessRate, causes[0], bySuccess[kind])...)
		out = append(out, failurePercentages(&config.FailurePercentage, causes[1], byFailure[kind])...)
	}
	return out
}
