package cluster

import "longmen/gateway/cluster/balance"

// hashes are what a part has for algorithms that hash: the table of all its members, usable or not, which
// its groups go on with. It is made when the members change; when one goes down its
// requests go on to others, and no other's move.
type hashes struct {
	all   *balance.Table // nil: not made yet
	where []int32        // of each member: its index in the group's Usable, or -1; the group's table has it
}

// begin makes room for where n members stand.
func (h *hashes) begin(c *Cluster, n int) {
	if c.config.Balance.Hashes() {
		h.where = make([]int32, n)
	}
}

// stands notes where a member stands.
func (p *part) stands(at *place, index int) {
	at.index = index
	if p.hashes.where != nil {
		p.hashes.where[at.member] = int32(index)
	}
}

// hashTable is the table of all members; nil where it is not needed.
func (p *part) hashTable(c *Cluster) *balance.Table {
	if p.hashes.all == nil && p.hashes.where != nil {
		weights := make([]uint32, len(p.members))
		for i, e := range p.members {
			weights[i] = e.weight()
		}
		p.hashes.all = balance.NewTable(c.config.Balance, balance.Options{
			Settings: c.config.Balancing,
			Weights:  weights,
			Key:      func(i int) string { return p.members[i].hashKey() },
		})
	}
	return p.hashes.all
}
