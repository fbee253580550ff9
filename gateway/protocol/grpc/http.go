package grpc

// httpStatuses are what codes stand for where only HTTP's statuses are known, by the comments
// of google/rpc/code.proto.
var httpStatuses = [CodeCount]int{
	OK: 200, Cancelled: 499, Unknown: 500, InvalidArgument: 400, DeadlineExceeded: 504, NotFound: 404,
	AlreadyExists: 409, PermissionDenied: 403, ResourceExhausted: 429, FailedPrecondition: 400, Aborted: 409,
	OutOfRange: 400, Unimplemented: 501, Internal: 500, Unavailable: 503, DataLoss: 500, Unauthenticated: 401,
}

// HTTP is the HTTP status that the code stands for; that of Unknown for one without a name.
func (c Code) HTTP() int {
	if int(c) < len(httpStatuses) {
		return httpStatuses[c]
	}
	return httpStatuses[Unknown]
}
