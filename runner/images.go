package runner

import (
	"context"
	"fmt"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/images"
	"coup/plan"
)

// images makes sure that the engine has the images that the system's containers name,
// and returns their ids by these names.
func (r *run) images(ctx context.Context, engine *docker.Engine) (map[string]string, error) {
	imaged, ok := r.sys.(cluster.Imaged)
	if !ok {
		return nil, nil
	}
	recipes, err := imaged.Images(r.options)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	o := images.Options{Arch: engine.Arch(), Progress: r.rec.doing}
	for _, recipe := range recipes {
		i := plan.Image{Name: recipe.Name, Reference: r.plan.Image, How: "it was named"}
		if r.plan.Image != "" {
			i.Digest, err = present(ctx, engine, i.Reference)
		} else {
			var made images.Image
			made, err = images.Obtain(ctx, engine, recipe, o)
			i.Reference, i.Digest, i.How = made.Reference, made.ID, made.How
		}
		if err != nil {
			return nil, err
		}
		ids[recipe.Name] = i.Digest
		r.stored.Images = append(r.stored.Images, i)
	}
	return ids, nil
}

// present is the id of an image that the engine has.
func present(ctx context.Context, engine *docker.Engine, reference string) (id string, err error) {
	id, ok, err := engine.Image(ctx, reference)
	if err == nil && !ok {
		err = fmt.Errorf("the Docker engine has no image %s", reference)
	}
	return id, err
}
