package cluster

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"

	"longmen/gateway/cluster/balance"
)

// A division is the endpoints that requests of one kind may get (all of the cluster's,
// or a subset), sorted into priorities, and those into parts by locality. It
// is what Selections are made of, and belongs to the cluster's mutex. A change of one
// endpoint touches its parts alone: what a part's Group is made of is
// copied, not looked at again.
type division struct {
	localities LocalityMode
	levels     []*level // by priority
	selection  *Selection
	touched    bool
}

// level is one priority.
type level struct {
	division *division
	priority int
	parts    []*part
	panicked *Group // of all endpoints, while it is in panic
}

// part is the endpoints of one locality in a priority.
type part struct {
	level    *level
	locality Locality
	weight   uint32 // the locality's
	members  []*Endpoint
	group    *Group   // of the usable ones; nil: not made yet
	even     []uint32 // one weight for each member; nil: they are not all the same
	hashes   hashes
	weights  uint64 // of all members, by configuration
	healthy  uint64 // of the usable ones, likewise
	touched  []int  // indexes of members that changed
	fresh    bool   // group is of members that it had before
	whole    int    // members that it has in the whole cluster, for a subset's
}

// place is where an endpoint stands in a part.
type place struct {
	part   *part
	member int // index in its members
	index  int // index in its group's Usable; -1: it is not there
}

// part finds or makes the part for the endpoint.
func (d *division) part(config *EndpointConfig) *part {
	i, ok := slices.BinarySearchFunc(d.levels, config.Priority, func(l *level, p int) int { return cmp.Compare(l.priority, p) })
	if !ok {
		d.levels = slices.Insert(d.levels, i, &level{division: d, priority: config.Priority})
	}
	l := d.levels[i]
	var locality Locality
	if d.localities == LocalityWeighted || d.localities == LocalityZoneAware && config.Priority == 0 {
		locality = config.Locality
	}
	// Endpoints of one locality mostly follow each other.
	for _, p := range slices.Backward(l.parts) {
		if p.locality == locality {
			return p
		}
	}
	p := &part{level: l, locality: locality, weight: config.LocalityWeight}
	l.parts = append(l.parts, p)
	return p
}

// add puts an endpoint in.
func (d *division) add(e *Endpoint) {
	p := d.part(e.Config())
	e.places = append(e.places, place{p, len(p.members), -1})
	p.members = append(p.members, e)
	p.weights += uint64(e.weight())
	d.touched = true
}

// touch notes that the endpoint there has changed.
func (at place) touch() {
	p := at.part
	p.touched = append(p.touched, at.member)
	p.level.division.touched = true
}

// renew makes the part's group what it is now.
func (p *part) renew(c *Cluster) {
	switch {
	case p.group == nil || p.fresh || len(p.touched)*8 > len(p.members):
		p.make(c)
	case len(p.touched) > 0 && !p.staysEven(c):
		p.make(c) // what the balancer makes of it takes as long
	case len(p.touched) > 0:
		p.edit(c)
	}
	p.touched, p.fresh = p.touched[:0], false
}

// make makes the group anew.
func (p *part) make(c *Cluster) {
	p.even = p.evenWeights(c)
	usable := make([]*Endpoint, 0, len(p.members))
	p.healthy = 0
	p.hashes.begin(c, len(p.members))
	for _, e := range p.members {
		at := p.place(e)
		if p.stands(at, -1); e.listed {
			p.stands(at, len(usable))
			usable = append(usable, e)
			p.healthy += uint64(e.weight())
		}
	}
	g := p.newGroup()
	g.Usable = listOf(usable)
	if p.weigh(c, g); p.group == nil || !p.group.same(g) {
		c.finish(g, p.hashTable(c), p.hashes.where)
		p.group = g
	}
}

// edit makes the group out of the one before. Where weights are even the order
// does not matter: the last endpoint takes the place of one that goes.
func (p *part) edit(c *Cluster) {
	d, changed := p.group.Usable.draft(), false
	p.hashes.where = slices.Clone(p.hashes.where)
	for _, i := range p.touched {
		e := p.members[i]
		at := p.place(e)
		switch was := at.index >= 0; {
		case e.listed && !was:
			p.stands(at, d.n)
			d.push(e)
			p.healthy += uint64(e.weight())
		case !e.listed && was:
			if last := d.pop(); last != e {
				d.put(at.index, last)
				p.stands(p.place(last), at.index)
			}
			p.stands(at, -1)
			p.healthy -= uint64(e.weight())
		default:
			continue
		}
		changed = true
	}
	if changed {
		g := p.newGroup()
		g.Usable = d.List
		p.weigh(c, g)
		c.finish(g, p.hashTable(c), p.hashes.where)
		p.group = g
	}
}

// place is where the endpoint, a member, stands in the part.
func (p *part) place(e *Endpoint) *place {
	i := slices.IndexFunc(e.places, func(at place) bool { return at.part == p })
	return &e.places[i]
}

// evenWeights is one weight for each member if all have the same, which groups share; nil
// if they have not.
func (p *part) evenWeights(c *Cluster) []uint32 {
	weight := c.weightNow(p.members[0])
	if slices.ContainsFunc(p.members, func(e *Endpoint) bool { return c.weightNow(e) != weight }) {
		return nil
	}
	return slices.Repeat([]uint32{weight}, len(p.members))
}

// staysEven tells whether all weights are the same after the changes, too.
func (p *part) staysEven(c *Cluster) bool {
	return p.even != nil && !slices.ContainsFunc(p.touched, func(i int) bool { return c.weightNow(p.members[i]) != p.even[0] })
}

// weigh gives the group its weights.
func (p *part) weigh(c *Cluster, g *Group) {
	if p.even != nil {
		g.Weights, g.even = p.even[:g.Usable.n:g.Usable.n], p.even[0]
		return
	}
	g.Weights = make([]uint32, 0, g.Usable.n)
	for e := range g.Usable.All() {
		g.Weights = append(g.Weights, c.weightNow(e))
	}
}

func (p *part) newGroup() *Group {
	return &Group{
		Priority: p.level.priority, Locality: p.locality, Endpoints: len(p.members),
		key: groupKey(p.level.priority, p.locality),
	}
}

func groupKey(priority int, l Locality) uint64 {
	h := fnv.New64a()
	h.Write([]byte(strconv.Itoa(priority) + "\x00" + l.Region + "\x00" + l.Zone + "\x00" + l.SubZone))
	return h.Sum64()
}

func (g *Group) same(other *Group) bool {
	return g == other || g.Priority == other.Priority && g.Locality == other.Locality && g.Panic == other.Panic && g.Endpoints == other.Endpoints &&
		g.Usable.n == other.Usable.n && (g.even != 0 && g.even == other.even || slices.Equal(g.Weights, other.Weights)) && g.Usable.equal(&other.Usable)
}

// finish makes what workers need of a group: for algorithms that hash out of the table whole, if it is not nil,
// whose endpoints stand where in the group.
func (c *Cluster) finish(g *Group, whole *balance.Table, where []int32) {
	g.Table = balance.NewTable(c.config.Balance, balance.Options{
		Settings: c.config.Balancing,
		Weights:  g.Weights,
		Even:     g.even,
		Key:      func(i int) string { return g.Usable.At(i).hashKey() },
		Whole:    whole,
		Where:    where,
	})
}

// strength is what is there of the part, by weight or by number.
func (p *part) strength(weighted bool) strength {
	if weighted {
		return strength{p.healthy, p.weights}
	}
	return strength{uint64(p.group.Usable.n), uint64(len(p.members))}
}

// strength is what is there of the priority.
func (l *level) strength(weighted bool) (sum strength) {
	for _, p := range l.parts {
		s := p.strength(weighted)
		sum.usable += s.usable
		sum.all += s.all
	}
	return sum
}

// panicking is the group of all endpoints of a priority.
func (l *level) panicking(c *Cluster) *Group {
	if l.panicked != nil {
		return l.panicked
	}
	g := &Group{Priority: l.priority, Panic: true, key: groupKey(l.priority, Locality{})}
	var all []*Endpoint
	for _, p := range l.parts {
		g.Endpoints += len(p.members)
		if c.config.Spread.PanicFails {
			continue
		}
		all = append(all, p.members...)
	}
	g.Usable = listOf(all)
	for _, e := range all {
		g.Weights = append(g.Weights, c.weightNow(e))
	}
	var whole *balance.Table
	if len(l.parts) == 1 {
		whole = l.parts[0].hashTable(c) // it is of the same endpoints
	}
	c.finish(g, whole, nil)
	l.panicked = g
	return g
}

// choose makes the division's selection what it is now, and tells whether it
// changed.
func (d *division) choose(c *Cluster) bool {
	d.touched = false
	n := len(d.levels)
	health, counts, loads, panics := make([]float64, n), make([]strength, n), make([]float64, n), make([]bool, n)
	spread := &c.config.Spread
	for i, l := range d.levels {
		for _, p := range l.parts {
			p.renew(c)
		}
		counts[i] = l.strength(false)
		health[i] = l.strength(spread.WeightedHealth).health(spread.Overprovisioning)
	}
	available := divide(health, counts, c.config.PanicThreshold, loads, panics)
	var groups []*Group
	var shares []float64
	levels := make([]levelShare, n)
	for i, l := range d.levels {
		levels[i] = levelShare{priority: l.priority, health: health[i]}
		if panics[i] {
			groups = append(groups, l.panicking(c))
			shares = append(shares, loads[i])
			levels[i].of = []float64{1}
			continue
		}
		l.panicked = nil
		levels[i].of = l.shares(c)
		for k, p := range l.parts {
			groups = append(groups, p.group)
			shares = append(shares, loads[i]*levels[i].of[k])
		}
	}
	next := newSelection(groups, shares, available, levels)
	if d.selection != nil && d.selection.same(next) {
		return false
	}
	d.selection = next
	return true
}

// shares divides a priority's requests among its localities.
func (l *level) shares(c *Cluster) []float64 {
	shares := make([]float64, len(l.parts))
	if len(l.parts) == 1 {
		shares[0] = 1
		return shares
	}
	parts, weights := make([]strength, len(l.parts)), make([]float64, len(l.parts))
	for i, p := range l.parts {
		parts[i], weights[i] = p.strength(false), float64(p.weight)
		if p.whole > 0 {
			weights[i] *= float64(len(p.members)) / float64(p.whole)
		}
	}
	switch l.division.localities {
	case LocalityWeighted:
		if localities(weights, parts, c.config.Spread.Overprovisioning, shares) {
			return shares
		}
	case LocalityZoneAware:
		if c.zoneShares(l, parts, shares) {
			return shares
		}
	}
	for i, p := range l.parts { // as if there were no localities: by weights
		parts[i].usable = p.healthy
	}
	byUsable(parts, shares)
	return shares
}
