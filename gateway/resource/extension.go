package resource

// What xDS has no field for travels in the resource's own
// metadata.typed_filter_metadata, under the key Extension, as an
// xds.type.v3.TypedStruct whose type_url is one of the constants below and
// whose value is a Struct with the keys that their comments list. Durations are
// strings such as "1.5s", byte counts are numbers. An unknown key is an error.
const (
	// Extension is the key in typed_filter_metadata.
	Extension = "longmen"

	// ListenerExtension is on a Listener:
	//   max_connections       number: connections at once over all workers (0: no limit)
	//   accept_rate           number: new connections a second over all workers (0: no limit)
	//   dot_segments          "reject" | "resolve" | "keep"   (path policy; xDS normalize_path is resolve or keep)
	//   double_slash          "reject" | "merge" | "keep"     (xDS merge_slashes is merge or keep)
	//   header_timeout        duration: until the request head is complete (408); xDS request_headers_timeout is the twin and wins
	//   body_timeout          duration: between two pieces of a request body (408)
	//   write_timeout         duration: until the client takes some bytes of a response
	//   min_request_rate      number: bytes a second that a client must send on average while a head or body is under way, after rate_grace
	//   min_response_rate     number: bytes a second that a client must take
	//   rate_grace            duration
	//   max_line              number: bytes of the request line (414)
	//   max_body              number: bytes of a request body (413); 0: no limit
	//   max_requests          number: requests on one connection
	//   half_close            "keep" | "abort": what a client's FIN during a request means
	//   via                   "off" or the pseudonym to send (HCM.via is the twin)
	//   forwarded             "off" | "append"  (RFC 7239)
	//   server_header         "keep" | "set" | "remove"
	//   keepalive_idle, keepalive_interval  duration; keepalive_probes number (TCP)
	//   nodelay               bool (default true)
	ListenerExtension = "type.googleapis.com/longmen.v1.Listener"

	// RouteExtension is on a Route:
	//   max_body              number: as the listener's, for this route
	//   retry_unsafe          bool: requests that are not idempotent may be repeated too
	RouteExtension = "type.googleapis.com/longmen.v1.Route"

	// ClusterExtension is on a Cluster:
	//   idle_per_worker       number: idle connections kept for an endpoint by each worker
	//   max_age               duration: life of a connection
	//   response_timeout      duration: until the response head
	ClusterExtension = "type.googleapis.com/longmen.v1.Cluster"
)
