package spark

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/cluster/systems/rest"
	"coup/harness"
)

// connection is a client that knows all masters, and asks the one that leads.
type connection struct{ jvm.Client }

var _ cluster.Jobs = (*connection)(nil)

// Open implements cluster.System.
func (System) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	return &connection{masters.Client(a, node, o)}, nil
}

// object is a part of a request.
type object = map[string]any

// SubmitJob implements cluster.Jobs.
func (c *connection) SubmitJob(ctx context.Context, key string, job int64) error {
	if err := c.Lead(ctx); err != nil {
		return err
	}
	name, jar := jvm.JobName(key, job), "file:"+libDir+"/own.jar"
	r := rest.New(c.Access, c.Node(), "rest")
	defer r.Close()
	var said answer
	err := r.Do(ctx, http.MethodPost, "/v1/submissions/create", object{
		"action": "CreateSubmissionRequest", "clientSparkVersion": DefaultVersion, "mainClass": "Mark", "appResource": jar,
		"appArgs": []string{jvm.MarksFile, name}, "environmentVariables": object{},
		"sparkProperties": object{
			"spark.app.name": name, "spark.master": masterURL(c.Access.Nodes(), c.Node()), "spark.jars": jar,
			"spark.driver.cores": "1", "spark.driver.memory": "128m", "spark.driver.supervise": fmt.Sprint(supervised(c.Options)),
			"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
		},
	}, &said)
	return said.judge(err)
}

// masterURL is how Spark names a master.
func masterURL(all []cluster.Node, name string) string {
	i := slices.IndexFunc(all, func(n cluster.Node) bool { return n.Name == name })
	return fmt.Sprintf("spark://%s:%d", all[i].Host, masterPort)
}

// answer is what a master says to a submission.
type answer struct {
	Success bool
	Message string
}

// judge is the error of a submission that was answered so. A master that does not lead has done
// nothing.
func (a answer) judge(err error) error {
	var code *rest.StatusError
	switch {
	case errors.As(err, &code) && strings.Contains(code.Body, standby), err == nil && strings.Contains(a.Message, standby):
		return fmt.Errorf("%w: the master does not lead: %s", harness.ErrFail, a.Message)
	case err != nil:
		return err
	case !a.Success:
		return fmt.Errorf("it was not taken: %s", a.Message)
	}
	return nil
}

// standby is what a master says that does not lead.
const standby = "Current state is not alive"

// LookAtJobs implements cluster.Jobs. Masters tell the drivers that wait or run by names of their own,
// so that nothing is said of the state of a job.
func (c *connection) LookAtJobs(ctx context.Context, key string) (cluster.JobsSeen, error) {
	if err := c.Lead(ctx); err != nil {
		return cluster.JobsSeen{}, err
	}
	said, err := ask(ctx, c.Access, c.Node())
	if err == nil && said.Status != "ALIVE" {
		err = fmt.Errorf("%s is %s", c.Node(), said.Status)
	}
	if err != nil {
		return cluster.JobsSeen{}, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	marks, err := jvm.Marks(ctx, c.Access, jvm.Of(jvm.Worker, c.Access.Nodes()), "worker", key)
	if err != nil {
		return cluster.JobsSeen{}, fmt.Errorf("%w: %w", harness.ErrFail, err)
	}
	return jvm.Seen(marks, nil, len(said.Drivers)), nil
}
