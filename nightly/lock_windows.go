package nightly

// lock does nothing here.
func lock(string) (func(), error) { return func() {}, nil }
