// Package plugins lists the filters. One new filter is one new folder and one line
// here.
package plugins

import (
	"slices"

	"longmen/gateway/filter"
	"longmen/plugins/concurrency"
	"longmen/plugins/cors"
	"longmen/plugins/grpcweb"
	"longmen/plugins/transcode"
)

// All are the kinds of filters, in the order in which requests pass those that no
// listener names: first what may answer by itself, then what changes the protocol,
// last what bounds that which goes on.
func All() []*filter.Kind {
	return []*filter.Kind{
		cors.Kind(),
		grpcweb.Kind(),
		transcode.Kind(),
		concurrency.Kind(),
	}
}

// Order is a kind's place in All.
func Order(k *filter.Kind) int {
	return slices.IndexFunc(All(), func(o *filter.Kind) bool { return o.Name == k.Name })
}

// Find gives the kind that gateway.yaml calls so, nil when there is none.
func Find(name string) *filter.Kind {
	for _, k := range All() {
		if k.Name == name {
			return k
		}
	}
	return nil
}
