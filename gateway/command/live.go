package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"longmen/gateway/admin"
)

// Bounds of a talk with the admin API.
const (
	adminTimeout = 10 * time.Second
	adminMaxBody = 256 << 20
)

// live asks a running gateway through its admin API.
type live struct{ bind string }

// get fetches a path of the API.
func (l live) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return l.fetch(ctx, path, query, adminTimeout)
}

// fetch is get of what may take as long as limit.
func (l live) fetch(ctx context.Context, path string, query url.Values, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dialer := net.Dialer{}
	network, address := "tcp", l.bind
	if socket, ok := strings.CutPrefix(l.bind, "unix:"); ok {
		network, address = "unix", socket
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}
	host := "localhost"
	if network == "tcp" {
		host = l.bind
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: "http", Host: host, Path: path, RawQuery: query.Encode()}).String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no gateway answers on %s: %w", l.bind, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, adminMaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("admin API on %s: %w", l.bind, err)
	case len(body) > adminMaxBody:
		return nil, fmt.Errorf("admin API on %s: the answer to %s is larger than %d bytes", l.bind, path, adminMaxBody)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("admin API on %s: %s: %s", l.bind, response.Status, strings.TrimSpace(string(body[:min(len(body), 1024)])))
	}
	return body, nil
}

func (l live) list(ctx context.Context, path string, into any) error {
	body, err := l.get(ctx, path, url.Values{"format": {"json"}})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("admin API on %s: %s: %w", l.bind, path, err)
	}
	return nil
}

// liveListener is a listener as the API shows it.
type liveListener struct {
	admin.Listener
	Numbers struct {
		Active         int64 `json:"active_connections"`
		ActiveRequests int64 `json:"active_requests"`
	} `json:"numbers"`
}

// liveCluster is a cluster as the API shows it.
type liveCluster struct {
	admin.Cluster
	Numbers struct {
		Active         int64 `json:"active_connections"`
		ActiveRequests int64 `json:"active_requests"`
	} `json:"numbers"`
}

// listeners gives the live listeners by name.
func (l live) listeners(ctx context.Context) (map[string]liveListener, error) {
	var all []liveListener
	if err := l.list(ctx, "/listeners", &all); err != nil {
		return nil, err
	}
	byName := make(map[string]liveListener, len(all))
	for _, one := range all {
		byName[one.Name] = one
	}
	return byName, nil
}

// clusters gives the live clusters by name.
func (l live) clusters(ctx context.Context) (map[string]liveCluster, error) {
	var all []liveCluster
	if err := l.list(ctx, "/clusters", &all); err != nil {
		return nil, err
	}
	byName := make(map[string]liveCluster, len(all))
	for _, one := range all {
		byName[one.Name] = one
	}
	return byName, nil
}

// healthy counts a live cluster's endpoints that take requests.
func (c liveCluster) healthy() int {
	n := 0
	for _, e := range c.Endpoints {
		if e.Health != "unhealthy" && e.Health != "draining" {
			n++
		}
	}
	return n
}
