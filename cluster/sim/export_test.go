package sim

import "context"

// LoadAsItIs is Load without rewriting the module's code.
func LoadAsItIs(ctx context.Context, module []byte, cache string) (*Program, error) {
	return load(ctx, module, cache, func(module []byte, _, _ string) []byte { return module })
}
