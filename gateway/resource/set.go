package resource

import (
	"encoding/binary"
	"hash/fnv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// Hash is the same for equal messages within one build of this program: it
// compares versions of a resource, and is not to be stored.
func Hash(m proto.Message) uint64 {
	// Marshal fails on strings that are not UTF-8 only, which no source lets
	// through; what it has written until then still tells messages apart.
	wire, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	h := fnv.New64a()
	h.Write([]byte(m.ProtoReflect().Descriptor().FullName()))
	h.Write(wire)
	return h.Sum64()
}

// Hash covers every resource and the order that they are in, but not their
// origins.
func (s *Set) Hash() uint64 {
	h := fnv.New64a()
	var word [8]byte
	add := func(n uint64) {
		binary.LittleEndian.PutUint64(word[:], n)
		h.Write(word[:])
	}
	addAll(add, s.Listeners)
	addAll(add, s.Routes)
	addAll(add, s.Clusters)
	addAll(add, s.Endpoints)
	addAll(add, s.Secrets)
	return h.Sum64()
}

// addAll begins with the count, so that a resource cannot move between kinds unseen.
func addAll[M proto.Message](add func(uint64), list []M) {
	add(uint64(len(list)))
	for _, m := range list {
		add(Hash(m))
	}
}

// Listener finds a listener by name; nil if there is none.
func (s *Set) Listener(name string) *listener.Listener { return named(s.Listeners, name) }

// Route finds a route table by name; nil if there is none.
func (s *Set) Route(name string) *route.RouteConfiguration { return named(s.Routes, name) }

// Cluster finds a cluster by name; nil if there is none.
func (s *Set) Cluster(name string) *cluster.Cluster { return named(s.Clusters, name) }

// Endpoint finds a load assignment by its cluster's name; nil if there is none.
func (s *Set) Endpoint(cluster string) *endpoint.ClusterLoadAssignment {
	for _, assignment := range s.Endpoints {
		if assignment.GetClusterName() == cluster {
			return assignment
		}
	}
	return nil
}

// named looks through the list: it is for tools and single questions; a compiler
// that resolves many names makes its own index.
func named[M interface {
	comparable
	GetName() string
}](list []M, name string) M {
	for _, m := range list {
		if m.GetName() == name {
			return m
		}
	}
	var none M
	return none
}
