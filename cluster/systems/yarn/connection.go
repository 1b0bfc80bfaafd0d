package yarn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// connection is a client that knows all managers, and asks the one that is active.
type connection struct{ jvm.Client }

var _ cluster.Jobs = (*connection)(nil)

// Open implements cluster.System.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{managers.Client(a, node, o)}, nil
}

// object is a part of a request.
type object = map[string]any

const as = "?user.name=root"

// SubmitJob implements cluster.Jobs.
func (c *connection) SubmitJob(ctx context.Context, key string, job int64) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	r := rest.New(c.Access, c.Node(), "web")
	defer r.Close()
	var made struct {
		ID string `json:"application-id"`
	}
	if err := r.Do(ctx, http.MethodPost, "/ws/v1/cluster/apps/new-application"+as, nil, &made); err != nil || made.ID == "" {
		return fmt.Errorf("%w: it gives no number: %w", harness.ErrFail, err) // and nothing more was asked
	}
	name := jvm.JobName(key, job)
	command := fmt.Sprintf(`/opt/java/bin/java -Xmx96m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --add-opens=java.base/java.lang=ALL-UNNAMED -cp '%s' Mark %s %s 2> <LOG_DIR>/stderr`,
		classpath, jvm.MarksFile, name)
	err := r.Do(ctx, http.MethodPost, "/ws/v1/cluster/apps"+as, object{
		"application-id": made.ID, "application-name": name, "application-type": "YARN",
		"am-container-spec": object{"commands": object{"command": command}},
		"resource":          object{"memory": slot, "vCores": 1},
	}, nil)
	if standby(err) {
		return fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	if err != nil || !saved(c.Options) {
		return err
	}
	for {
		var said struct{ State string }
		if err := r.Do(ctx, http.MethodGet, "/ws/v1/cluster/apps/"+made.ID+"/state", nil, &said); err != nil {
			return fmt.Errorf("it was accepted, and nobody knows whether it was saved: %w", err)
		}
		if said.State != "" && said.State != "NEW" && said.State != "NEW_SAVING" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("it was accepted, and not saved in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// LookAtJobs implements cluster.Jobs.
func (c *connection) LookAtJobs(ctx context.Context, key string) (seen cluster.JobsSeen, err error) {
	if err := c.Lead(ctx); err != nil {
		return seen, err
	}
	var said struct {
		Apps struct {
			App []struct{ Name, State, FinalStatus string }
		}
	}
	if err := get(ctx, c.Access, c.Node(), "/cluster/apps", &said); err != nil {
		return seen, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	states, busy := map[int64]string{}, 0
	for _, app := range said.Apps.App {
		state := stateOf(app.State, app.FinalStatus)
		if state == cluster.JobWaiting || state == cluster.JobRunning {
			busy++
		}
		if job, ok := jvm.JobOf(key, app.Name); ok {
			states[job] = state
		}
	}
	marks, err := jvm.Marks(ctx, c.Access, jvm.Of(jvm.Worker, c.Access.Nodes()), "nodemanager", key)
	if err != nil {
		return seen, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return jvm.Seen(marks, states, busy), nil
}

// stateOf is the state of an application in coup's words.
func stateOf(state, final string) string {
	switch {
	case state == "RUNNING":
		return cluster.JobRunning
	case state == "FINISHED" && final == "SUCCEEDED":
		return cluster.JobFinished
	case state == "FINISHED", state == "FAILED", state == "KILLED":
		return cluster.JobFailed
	}
	return cluster.JobWaiting
}
