package sim

import "context"

// LoadAsItIs is Load without rewriting the module's code.
func LoadAsItIs(ctx context.Context, module []byte, cache string) (*Program, error) {
	r, err := makeReady(module, func(module []byte) []byte { return module })
	if err != nil {
		return nil, err
	}
	return load(ctx, r, cache)
}
