package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"math/big"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	provided "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/cluster_provided/v3"
	leastrequest "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	random "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringhash "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundrobin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subset "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	wrrlocality "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/resource"
)

const (
	maxChoices       = 100
	maxBalanceFactor = 10_000 // percent
	maxNested        = 4      // policies in policies
	minDecay         = 10 * time.Millisecond
)

// balance reads which endpoint a request gets: load_balancing_policy, or the older
// lb_policy with its settings.
func (c *compiler) balance(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	where := join(at, "lb")
	policy := cl.GetLoadBalancingPolicy()
	if policy == nil {
		c.oldPolicy(where, cl, out)
		c.oldSubsets(join(at, "subsets"), cl.GetLbSubsetConfig(), out)
	} else {
		if cl.GetLbPolicy() != clusterv3.Cluster_ROUND_ROBIN && cl.GetLbPolicy() != clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG ||
			cl.GetLbConfig() != nil && cl.GetOriginalDstLbConfig() == nil || cl.GetLbSubsetConfig() != nil {
			c.fail(where, "both Cluster.load_balancing_policy and lb_policy or its settings")
		}
		c.policies(where, policy, out, 0)
	}
	c.commonBalance(at, cl, out)
	c.balanceMakesSense(at, cl, out)
}

// policies reads a list of policies, which is in order of preference: the first
// counts. Depth is how many it stands in.
func (c *compiler) policies(at resource.Path, list *clusterv3.LoadBalancingPolicy, out *cluster.Config, depth int) {
	c.only(at, list, "policies")
	switch {
	case len(list.GetPolicies()) == 0:
		c.fail(at, "LoadBalancingPolicy.policies is empty")
		return
	case depth == maxNested:
		c.fail(at, "more than %d policies stand in each other", maxNested)
		return
	}
	first := list.GetPolicies()[0]
	c.only(at, first, "typed_extension_config")
	c.policy(at, first.GetTypedExtensionConfig(), out, depth)
}

func (c *compiler) policy(at resource.Path, config *core.TypedExtensionConfig, out *cluster.Config, depth int) {
	c.only(at, config, "name", "typed_config")
	packed := config.GetTypedConfig()
	var (
		robin    roundrobin.RoundRobin
		draw     random.Random
		least    leastrequest.LeastRequest
		ring     ringhash.RingHash
		table    maglev.Maglev
		subsets  subset.Subset
		weighted wrrlocality.WrrLocality
	)
	switch {
	case packed == nil:
		c.fail(at, "TypedExtensionConfig.typed_config is missing")
	case packed.MessageIs(&robin):
		if c.unpack(at, packed, &robin) {
			c.only(at, &robin, "slow_start_config", "locality_lb_config")
			out.Balance = cluster.RoundRobin
			c.slowStart(at, robin.GetSlowStartConfig(), out)
			c.localities(at, robin.GetLocalityLbConfig(), out)
		}
	case packed.MessageIs(&draw):
		if c.unpack(at, packed, &draw) {
			c.only(at, &draw, "locality_lb_config")
			out.Balance = cluster.Random
			c.localities(at, draw.GetLocalityLbConfig(), out)
		}
	case packed.MessageIs(&least):
		if c.unpack(at, packed, &least) {
			c.leastRequest(at, &least, out)
		}
	case packed.MessageIs(&ring):
		if c.unpack(at, packed, &ring) {
			c.only(at, &ring, "hash_function", "minimum_ring_size", "maximum_ring_size", "consistent_hashing_lb_config", "locality_weighted_lb_config")
			murmur := ring.GetHashFunction() == ringhash.RingHash_MURMUR_HASH_2
			if !murmur && ring.GetHashFunction() > ringhash.RingHash_XX_HASH {
				c.fail(at, "RingHash.hash_function: %v is not supported by this version yet", ring.GetHashFunction())
			}
			c.ring(at, ring.GetMinimumRingSize(), ring.GetMaximumRingSize(), murmur, out)
			c.consistent(at, ring.GetConsistentHashingLbConfig(), out)
			c.weightedLocalities(at, ring.GetLocalityWeightedLbConfig(), out)
		}
	case packed.MessageIs(&table):
		if c.unpack(at, packed, &table) {
			c.only(at, &table, "table_size", "consistent_hashing_lb_config", "locality_weighted_lb_config")
			c.maglev(at, table.GetTableSize(), out)
			c.consistent(at, table.GetConsistentHashingLbConfig(), out)
			c.weightedLocalities(at, table.GetLocalityWeightedLbConfig(), out)
		}
	case packed.MessageIs(&subsets):
		if c.unpack(at, packed, &subsets) {
			c.subsets(beside(at, "subsets"), &subsets, out)
			c.policies(at, subsets.GetSubsetLbPolicy(), out, depth+1)
		}
	case packed.MessageIs(&weighted):
		if c.unpack(at, packed, &weighted) {
			c.only(at, &weighted, "endpoint_picking_policy")
			out.Spread.Localities = cluster.LocalityWeighted
			c.policies(at, weighted.GetEndpointPickingPolicy(), out, depth+1)
		}
	case packed.MessageIs((*provided.ClusterProvided)(nil)):
		if c.unpack(at, packed, &provided.ClusterProvided{}) && out.Discovery != cluster.OriginalDst && len(out.Failover) == 0 {
			c.fail(at, "ClusterProvided is for clusters of type ORIGINAL_DST and clusters of clusters")
		}
	case resource.IsExtension(packed, resource.PeakEWMAExtension):
		values, err := resource.ExtendedAny(packed, resource.PeakEWMAExtension)
		if err != nil {
			c.fail(at, "%v", err)
		}
		out.Balance = cluster.PeakEWMA
		s := &settings{c: c, at: join(at, "peak_ewma"), values: values}
		s.duration("decay", minDecay, &out.Balancing.PeakEWMA.Decay)
		s.count("choices", 2, maxChoices, &out.Choices)
	default:
		c.fail(at, "%s is not supported by this version yet", typeName(packed))
	}
}

func (c *compiler) leastRequest(at resource.Path, l *leastrequest.LeastRequest, out *cluster.Config) {
	c.only(at, l, "choice_count", "active_request_bias", "slow_start_config", "locality_lb_config", "selection_method")
	out.Balance = cluster.LeastRequest
	out.Choices = c.number(at, l.GetChoiceCount(), 2, maxChoices, defaultChoices)
	c.bias(at, l.GetActiveRequestBias(), out)
	switch l.GetSelectionMethod() {
	case leastrequest.LeastRequest_N_CHOICES:
	case leastrequest.LeastRequest_FULL_SCAN:
		out.Balancing.LeastRequest.FullScan = true
	default:
		c.fail(at, "LeastRequest.selection_method: %v is not supported by this version yet", l.GetSelectionMethod())
	}
	c.slowStart(at, l.GetSlowStartConfig(), out)
	c.localities(at, l.GetLocalityLbConfig(), out)
}

func (c *compiler) bias(at resource.Path, bias *core.RuntimeDouble, out *cluster.Config) {
	if bias == nil {
		return
	}
	c.only(at, bias, "default_value", "runtime_key")
	if n := bias.GetDefaultValue(); !(n >= 0 && n <= 100) {
		c.fail(join(at, "least_request.bias"), "%v: must be from 0 to 100", n)
		return
	}
	out.Balancing.LeastRequest.Biased, out.Balancing.LeastRequest.Bias = true, bias.GetDefaultValue()
}

// oldPolicy reads lb_policy and the settings that it may have.
func (c *compiler) oldPolicy(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	var settings clusterv3.Cluster_LbPolicy
	switch own := cl.GetLbConfig().(type) {
	case nil, *clusterv3.Cluster_OriginalDstLbConfig_: // read with its endpoints
		settings = cl.GetLbPolicy()
	case *clusterv3.Cluster_RoundRobinLbConfig_:
		settings = clusterv3.Cluster_ROUND_ROBIN
		c.only(at, own.RoundRobinLbConfig, "slow_start_config")
		c.oldSlowStart(at, own.RoundRobinLbConfig.GetSlowStartConfig(), out)
	case *clusterv3.Cluster_LeastRequestLbConfig_:
		settings = clusterv3.Cluster_LEAST_REQUEST
		l := own.LeastRequestLbConfig
		c.only(at, l, "choice_count", "active_request_bias", "slow_start_config")
		out.Choices = c.number(at, l.GetChoiceCount(), 2, maxChoices, defaultChoices)
		c.bias(at, l.GetActiveRequestBias(), out)
		c.oldSlowStart(at, l.GetSlowStartConfig(), out)
	case *clusterv3.Cluster_RingHashLbConfig_:
		settings = clusterv3.Cluster_RING_HASH
		r := own.RingHashLbConfig
		c.only(at, r, "minimum_ring_size", "maximum_ring_size", "hash_function")
		if r.GetHashFunction() > clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2 || r.GetHashFunction() < 0 {
			c.fail(at, "RingHashLbConfig.hash_function: %v is not supported by this version yet", r.GetHashFunction())
		}
		c.ring(at, r.GetMinimumRingSize(), r.GetMaximumRingSize(), r.GetHashFunction() == clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2, out)
	case *clusterv3.Cluster_MaglevLbConfig_:
		settings = clusterv3.Cluster_MAGLEV
		c.only(at, own.MaglevLbConfig, "table_size")
		c.maglev(at, own.MaglevLbConfig.GetTableSize(), out)
	}
	if settings != cl.GetLbPolicy() {
		c.fail(at, "Cluster.lb_policy is %v, and its settings are those of %v", cl.GetLbPolicy(), settings)
	}
	switch cl.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		out.Balance = cluster.RoundRobin
	case clusterv3.Cluster_RANDOM:
		out.Balance = cluster.Random
	case clusterv3.Cluster_LEAST_REQUEST:
		out.Balance = cluster.LeastRequest
	case clusterv3.Cluster_RING_HASH:
		out.Balance = cluster.RingHash
	case clusterv3.Cluster_MAGLEV:
		out.Balance = cluster.Maglev
	case clusterv3.Cluster_CLUSTER_PROVIDED:
		if out.Discovery != cluster.OriginalDst && len(out.Failover) == 0 {
			c.fail(at, "CLUSTER_PROVIDED is for clusters of type ORIGINAL_DST and clusters of clusters")
		}
	default:
		c.fail(at, "%v is not supported by this version yet", cl.GetLbPolicy())
	}
}

func (c *compiler) ring(at resource.Path, low, high *wrapperspb.UInt64Value, murmur bool, out *cluster.Config) {
	at = join(at, "ring_hash")
	out.Balance = cluster.RingHash
	ring := &out.Balancing.RingHash
	ring.MinSize = c.large(join(at, "min"), low, 1, balance.MaxRingSize)
	ring.MaxSize = c.large(join(at, "max"), high, 1, balance.MaxRingSize)
	if ring.MaxSize > 0 && ring.MaxSize < ring.MinSize {
		c.fail(join(at, "max"), "%d is less than min (%d)", ring.MaxSize, ring.MinSize)
	}
	if murmur {
		ring.Hash = balance.Murmur2
	}
}

func (c *compiler) maglev(at resource.Path, size *wrapperspb.UInt64Value, out *cluster.Config) {
	at = join(at, "maglev.table")
	out.Balance = cluster.Maglev
	n := c.large(at, size, 2, balance.MaxMaglevSize)
	if n > 0 && !prime(n) {
		next := n + 1
		for !prime(next) {
			next++
		}
		c.failHint(at, "the next prime is "+big.NewInt(int64(next)).String(), "%d is no prime: not every endpoint could get its share", n)
	}
	out.Balancing.Maglev.TableSize = n
}

func prime(n uint64) bool { return new(big.Int).SetUint64(n).ProbablyPrime(0) }

// large reads n, which must lie in [low, high]; 0 stands for unset.
func (c *compiler) large(at resource.Path, n *wrapperspb.UInt64Value, low, high uint64) uint64 {
	if v := n.GetValue(); n != nil && (v < low || v > high) {
		c.fail(at, "%d: must be from %d to %d", v, low, high)
		return 0
	}
	return n.GetValue()
}
