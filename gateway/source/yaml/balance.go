package yaml

import (
	"slices"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	lbcommon "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	least "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	random "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ring "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// policyName is the name of an algorithm's policy.
const policyName = "envoy.load_balancing_policies."

// peakName is that of the one that Envoy does not have.
const peakName = "longmen.load_balancing_policies.peak_ewma"

// runtimeKey stands where xDS wants the name of a runtime setting; there is no
// runtime here.
const runtimeKey = "none"

// The bounds of the algorithms' settings.
const (
	maxRing   = 8 << 20
	maxMaglev = 5000011
	maxFactor = 10_000 // percent
)

// balance reads "lb", "slow_start", "locality" and "subsets", which are one policy in xDS;
// and what the endpoints of the cluster have to do with it.
func (d *decoder) balance(f fields, out *cluster.Cluster) {
	d.spread(f, out)
	lb, written := f.get("lb")
	if !written && !f.has("slow_start") && !f.has("locality") && !f.has("subsets") {
		return
	}
	if out.GetType() == cluster.Cluster_ORIGINAL_DST {
		for _, name := range []string{"lb", "slow_start", "locality", "subsets"} {
			if v, ok := f.get(name); ok {
				d.at(v.key, v.path, "", "has no effect with original_dst: there is nothing to choose")
			}
		}
		return
	}
	p := policy{name: "round_robin", message: &robin.RoundRobin{}}
	if written {
		if read, ok := d.algorithm(lb); ok {
			p = read
		}
	}
	if v, ok := f.get("locality"); ok {
		d.locality(v, &p, out)
	}
	if v, ok := f.get("slow_start"); ok {
		d.slowStart(v, &p)
	}
	policy := d.packPolicy(f.self, p)
	if v, ok := f.get("subsets"); ok {
		policy = d.subsets(v, policy)
	}
	out.LoadBalancingPolicy = policy
}

// spread reads how much each priority takes.
func (d *decoder) spread(f fields, out *cluster.Cluster) {
	if out.LoadAssignment == nil {
		return // reported, or there are none
	}
	if v, ok := f.get("overprovisioning"); ok {
		if n, ok := d.wholePercent(v, 100, maxFactor); ok {
			assignmentPolicy(out).OverprovisioningFactor = wrapperspb.UInt32(n)
		}
	}
	if on, ok := f.flag("weighted_health"); ok && on {
		assignmentPolicy(out).WeightedPriorityHealth = true
	}
}

// policy is an algorithm on its way into a resource.
type policy struct {
	name     string        // the word
	message  proto.Message // nil for peak_ewma
	extended resource.Values
}

// algorithm reads the algorithm: its name, or {name: settings}.
func (d *decoder) algorithm(v value) (policy, bool) {
	if !v.isMap() {
		name, ok := d.choice(v, algorithms...)
		return policy{name: name, message: policyMessage(name), extended: resource.Values{}}, ok
	}
	f := d.object(v, lbTable)
	there := f.exclusive(lbTable.names()...)
	if len(there) == 0 {
		if len(v.node.Content) == 0 {
			d.fail(v, "must name an algorithm: %s", alternatives(algorithms))
		}
		return policy{}, false
	}
	p := policy{name: there[0], message: policyMessage(there[0]), extended: resource.Values{}}
	settings := f.written(there[0])
	switch m := p.message.(type) {
	case *least.LeastRequest:
		d.leastRequest(settings, m)
	case *ring.RingHash:
		d.ringHash(settings, m)
	case *maglev.Maglev:
		s := d.object(settings, maglevTable)
		m.TableSize = s.uint64("table", 2, maxMaglev)
		m.ConsistentHashingLbConfig = d.consistent(s)
	default:
		s := d.object(settings, peakEWMATable)
		if decay, ok := s.span("decay", 10*time.Millisecond); ok {
			if decay > time.Hour {
				d.fail(s.written("decay"), "%v is longer than an hour", decay)
			}
			p.extended["decay"] = decay
		}
		if n, ok := s.number("choices", 2, 100); ok {
			p.extended["choices"] = n
		}
	}
	return p, true
}

func policyMessage(name string) proto.Message {
	switch name {
	case "round_robin":
		return &robin.RoundRobin{}
	case "random":
		return &random.Random{}
	case "least_request":
		return &least.LeastRequest{}
	case "ring_hash":
		return &ring.RingHash{}
	case "maglev":
		return &maglev.Maglev{}
	}
	return nil
}

func (d *decoder) leastRequest(v value, out *least.LeastRequest) {
	f := d.object(v, leastRequestTable)
	out.ChoiceCount = f.uint32("choices", 2, 100)
	if v, ok := f.get("full_scan"); ok {
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "leave it out", "full_scan: false says nothing")
		}
		out.SelectionMethod = least.LeastRequest_FULL_SCAN
		if choices, ok := f.get("choices"); ok {
			d.at(choices.key, choices.path, "", "has no effect with full_scan")
		}
	}
	if v, ok := f.get("bias"); ok {
		if n, ok := d.decimal(v, 0, 100); ok {
			out.ActiveRequestBias = &core.RuntimeDouble{DefaultValue: n, RuntimeKey: runtimeKey}
		}
	}
}

func (d *decoder) ringHash(v value, out *ring.RingHash) {
	f := d.object(v, ringHashTable)
	out.MinimumRingSize = f.uint64("min", 1, maxRing)
	out.MaximumRingSize = f.uint64("max", 1, maxRing)
	if low, high := out.MinimumRingSize.GetValue(), out.MaximumRingSize.GetValue(); high > 0 && low > high {
		d.fail(f.written("max"), "%d is less than min", high)
	}
	switch word, _ := f.choice("hash", "xxhash", "murmur2"); word {
	case "xxhash":
		out.HashFunction = ring.RingHash_XX_HASH
	case "murmur2":
		out.HashFunction = ring.RingHash_MURMUR_HASH_2
	}
	out.ConsistentHashingLbConfig = d.consistent(f)
}

// consistent reads what both hashing algorithms may say.
func (d *decoder) consistent(f fields) *lbcommon.ConsistentHashingLbConfig {
	out := &lbcommon.ConsistentHashingLbConfig{}
	if v, ok := f.get("by"); ok {
		out.HashPolicy = d.hashes(v)
	}
	if word, _ := f.choice("key", "address", "hostname"); word == "hostname" {
		out.UseHostnameForHashing = true
	}
	if v, ok := f.get("bounded_load"); ok {
		if n, ok := d.wholePercent(v, 100, maxFactor); ok {
			out.HashBalanceFactor = wrapperspb.UInt32(n)
		}
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

func (d *decoder) slowStart(v value, p *policy) {
	f := d.object(v, slowStartTable)
	out := &lbcommon.SlowStartConfig{SlowStartWindow: f.duration("window", time.Second)}
	if !f.has("window") {
		f.missing("window", "the time until an endpoint has its whole weight")
	}
	if v, ok := f.get("aggression"); ok {
		if n, ok := d.decimal(v, 0.01, 100); ok {
			out.Aggression = &core.RuntimeDouble{DefaultValue: n, RuntimeKey: runtimeKey}
		}
	}
	if v, ok := f.get("min_weight"); ok {
		if n, ok := d.share(v); ok {
			out.MinWeightPercent = &types.Percent{Value: n}
		}
	}
	switch m := p.message.(type) {
	case *robin.RoundRobin:
		m.SlowStartConfig = out
	case *least.LeastRequest:
		m.SlowStartConfig = out
	default:
		d.failHint(v, "write lb: round_robin or lb: least_request", "%s knows no slow start: its shares cannot grow", p.name)
	}
}

// packPolicy makes the resource of an algorithm.
func (d *decoder) packPolicy(v value, p policy) *cluster.LoadBalancingPolicy {
	if p.message != nil {
		return onePolicy(policyName+p.name, d.pack(v, p.message))
	}
	packed, err := resource.PackExtension(resource.PeakEWMAExtension, p.extended)
	if err != nil {
		d.fail(v, "%v", err)
	}
	return onePolicy(peakName, packed)
}

func onePolicy(name string, packed *anypb.Any) *cluster.LoadBalancingPolicy {
	return &cluster.LoadBalancingPolicy{Policies: []*cluster.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &core.TypedExtensionConfig{Name: name, TypedConfig: packed},
	}}}
}

// hashing reports whether the algorithm goes by a hash.
func (p *policy) hashing() bool { return slices.Contains([]string{"ring_hash", "maglev"}, p.name) }
