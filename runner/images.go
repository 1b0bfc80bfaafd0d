package runner

import (
	"cmp"
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
	if local, ok := r.sys.(cluster.Local); ok {
		return r.localImages(ctx, engine, local.Local())
	}
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

// localImages are those that are named by their references.
func (r *run) localImages(ctx context.Context, engine *docker.Engine, all []cluster.LocalImage) (map[string]string, error) {
	ids := map[string]string{}
	for _, one := range all {
		i := plan.Image{Name: one.Reference, Reference: one.Reference}
		var ok bool
		var err error
		if one.Context != "" {
			r.rec.doing("building " + one.Reference)
			if err = docker.Build(ctx, one); err != nil {
				return nil, err
			}
			i.How = "built from " + one.Context
		}
		i.Digest, ok, err = engine.Image(ctx, one.Reference)
		switch {
		case err != nil:
		case ok:
			i.How = cmp.Or(i.How, "the engine had it")
		case one.Recipe != nil:
			i.Digest, i.How, err = images.Ensure(ctx, engine, *one.Recipe, images.Options{Progress: r.rec.doing})
		default:
			err = fmt.Errorf("the Docker engine has no image %s: docker pull %s brings it, where a registry of images answers", one.Reference, one.Reference)
		}
		if err != nil {
			return nil, err
		}
		ids[one.Reference] = i.Digest
		r.stored.Images = append(r.stored.Images, i)
	}
	return ids, nil
}
