// Package plugins lists the filters. One new filter is one new folder and one line
// here.
package plugins

import (
	"slices"

	"longmen/gateway/filter"
	"longmen/plugins/cors"
)

// All are the kinds of filters, in the order in which requests pass those that no
// listener names: first what may answer by itself, last what changes the protocol.
func All() []*filter.Kind {
	return []*filter.Kind{
		cors.Kind(),
	}
}

// Order is a kind's place in All.
func Order(k *filter.Kind) int {
	return slices.IndexFunc(All(), func(o *filter.Kind) bool { return o.Name == k.Name })
}
