package metrics

// Overload is what the overload manager knows of one resource, or does with one
// action: two kinds of rows of one table.
type Overload struct {
	Resources []ResourceUse
	Actions   []ActionLevel
}

// ResourceUse is how much of a resource is used.
type ResourceUse struct {
	Resource string
	Pressure float64 // 1: all of it
}

// ActionLevel is how hard an action is taken.
type ActionLevel struct {
	Action string
	Level  float64 // 0: not; 1: in full
	Starts uint64  // how often it began
}
