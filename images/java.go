package images

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Java are a Java runtime, in /opt/java, and jars. The runtime is made by jlink of this
// machine's JDK, of the modules that servers need, and the jars are fetched by Maven.
type Java struct {
	// Dir is where the image holds the jars, e.g. /opt/kafka/libs.
	Dir string
	// Jars are group:artifact:version. Each comes with all that it needs when it runs.
	Jars []string
	// Without are patterns (package path) of the names of jars that are left out.
	Without []string `json:",omitempty"`
	// Modules of the JDK that the programs need beside those that most servers do.
	Modules []string `json:",omitempty"`
	// Sources are source files of Java by their names, e.g. Mark.java: they are compiled by this
	// machine's JDK, and stand beside the jars in one of their own ([OwnJar]).
	Sources map[string]string `json:",omitempty"`
	// JDK is the release of the JDK, as [Resolve] finds it.
	JDK string `json:",omitempty"`
}

// OwnJar is the name of the jar that is made of [Java.Sources].
const OwnJar = "own.jar"

// javaDir is where an image holds the Java runtime, and javaNeeds are the packages of
// Debian that it needs: all that the launcher and the libraries of a JDK are linked to.
const javaDir = "/opt/java"

var javaNeeds = []string{"libc6", "zlib1g", "libstdc++6", "libgcc-s1"}

// javaModules are the modules that were found to be enough for ZooKeeper, Kafka and Hadoop.
// java.desktop is among them as log4j asks for java.beans.
var javaModules = []string{
	"java.base", "java.compiler", "java.desktop", "java.instrument", "java.logging", "java.management", "java.management.rmi",
	"java.naming", "java.net.http", "java.rmi", "java.security.jgss", "java.security.sasl", "java.sql", "java.xml",
	"jdk.crypto.ec", "jdk.httpserver", "jdk.jfr", "jdk.management", "jdk.naming.dns", "jdk.net", "jdk.security.auth", "jdk.security.jgss",
	"jdk.unsupported", "jdk.zipfs",
}

// oldestJDK is the release of Java that the newest systems ask for.
const oldestJDK = 17

// coordinates are group:artifact:version.
var coordinates = regexp.MustCompile(`^([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+)$`)

func (j *Java) check() error {
	if !path.IsAbs(j.Dir) || path.Clean(j.Dir) != j.Dir || len(j.Jars) == 0 {
		return fmt.Errorf("jars need an absolute path in an image, not %q, and there must be some", j.Dir)
	}
	for _, jar := range j.Jars {
		if !coordinates.MatchString(jar) {
			return fmt.Errorf("%q is no group:artifact:version of a jar", jar)
		}
	}
	for name := range j.Sources {
		if filepath.Base(name) != name || filepath.Ext(name) != ".java" {
			return fmt.Errorf("%q is no name of a source file of Java", name)
		}
	}
	return nil
}

// jdkTool finds a program of the JDK.
func jdkTool(name string) (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if at, err := exec.LookPath(filepath.Join(home, "bin", name)); err == nil {
			return at, nil
		}
	}
	at, err := exec.LookPath(name)
	if err != nil {
		return "", missing(fmt.Sprintf("its Java runtime is made by %s, which is neither in PATH nor in JAVA_HOME: install a JDK of %d or later (Debian: openjdk-17-jdk-headless), or name an image of the system with --image REF", name, oldestJDK))
	}
	return at, nil
}

// jdk is the release of this machine's JDK.
func jdk(ctx context.Context) (version string, major int, err error) {
	jlink, err := jdkTool("jlink")
	if err != nil {
		return "", 0, err
	}
	out, err := exec.CommandContext(ctx, jlink, "--version").Output()
	version = strings.TrimSpace(string(out))
	first, _, _ := strings.Cut(version, ".")
	if err == nil {
		major, err = strconv.Atoi(first)
	}
	switch {
	case ctx.Err() != nil:
		return "", 0, ctx.Err()
	case err != nil:
		return "", 0, fmt.Errorf("jlink does not say its version (%s): %w", shorten(version), err)
	case major < oldestJDK:
		return "", 0, fmt.Errorf("the JDK is of release %s, and %d or later is needed: install one, and set JAVA_HOME", version, oldestJDK)
	}
	return version, major, nil
}

// write writes the runtime and the jars into an archive.
func (j *Java) write(ctx context.Context, o Options, w *rootWriter) error {
	if o.Arch != runtime.GOARCH {
		return fmt.Errorf("a Java runtime for %s can't be made on %s: name an image of the system with --image REF", o.Arch, runtime.GOARCH)
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return missing("its jars are fetched by Maven, and there is no mvn in PATH: install Maven (Debian: maven), or name an image of the system with --image REF")
	}
	jre, err := j.runtime(ctx, o)
	if err != nil {
		return err
	}
	if err := w.tree(jre, javaDir); err != nil {
		return err
	}
	lib, err := os.MkdirTemp("", "coup-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(lib)
	if err := j.fetch(ctx, o, mvn, lib); err != nil {
		return err
	}
	if err := j.compile(ctx, lib); err != nil {
		return err
	}
	return w.tree(lib, j.Dir)
}

// compile compiles the sources, which may use the jars in lib, into a jar beside them.
func (j *Java) compile(ctx context.Context, lib string) (err error) {
	if len(j.Sources) == 0 {
		return nil
	}
	javac, err := jdkTool("javac")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "coup-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	classes := filepath.Join(dir, "classes")
	args := []string{"-proc:none", "-g:none", "--release", strconv.Itoa(oldestJDK), "-cp", filepath.Join(lib, "*"), "-d", classes}
	for _, name := range slices.Sorted(maps.Keys(j.Sources)) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(j.Sources[name]), 0o644); err != nil {
			return err
		}
		args = append(args, file)
	}
	if err := said(ctx, exec.CommandContext(ctx, javac, args...)); err != nil {
		return fmt.Errorf("javac: %w", err)
	}
	jar, err := os.Create(filepath.Join(lib, OwnJar))
	if err != nil {
		return err
	}
	// Its entries have no time: the same sources, the same bytes.
	z := zip.NewWriter(jar)
	err = filepath.WalkDir(classes, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(classes, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		w, err := z.Create(filepath.ToSlash(name))
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, z.Close(), jar.Close())
}

// runtime returns the directory of a Java runtime of the modules. It is kept: all systems
// of one release of the JDK share it.
func (j *Java) runtime(ctx context.Context, o Options) (dir string, err error) {
	version, major, err := jdk(ctx)
	if err != nil {
		return "", err
	}
	modules := slices.Concat(javaModules, j.Modules)
	slices.Sort(modules)
	list := strings.Join(slices.Compact(modules), ",")
	sum := sha256.Sum256([]byte(list))
	dir = filepath.Join(o.CacheDir, fmt.Sprintf("jre-%s-%s", version, hex.EncodeToString(sum[:6])))
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("somebody else makes the Java runtime: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	o.say("making a Java runtime of JDK %s: about a minute, once", version)
	made := dir + ".new"
	if err := os.RemoveAll(made); err != nil {
		return "", err
	}
	defer os.RemoveAll(made)
	jlink, err := jdkTool("jlink")
	if err != nil {
		return "", err
	}
	compress := "2"
	if major >= 21 { // which has other words for it
		compress = "zip-6"
	}
	if err := said(ctx, exec.CommandContext(ctx, jlink, "--add-modules", list, "--strip-java-debug-attributes", "--no-header-files", "--no-man-pages", "--compress="+compress, "--output", made)); err != nil {
		return "", fmt.Errorf("jlink: %w", err)
	}
	// The archive of classes that are loaded beforehand is good as long as the modules
	// have the time that they had then, and in an image all have that of rootWriter.
	if err := filepath.WalkDir(made, func(p string, _ fs.DirEntry, err error) error {
		return cmp.Or(err, os.Chtimes(p, epoch, epoch))
	}); err != nil {
		return "", err
	}
	if err := said(ctx, exec.CommandContext(ctx, filepath.Join(made, "bin", "java"), "-XX:+UseSerialGC", "-Xshare:dump")); err != nil {
		return "", fmt.Errorf("java -Xshare:dump: %w", err)
	}
	return dir, os.Rename(made, dir)
}

// said runs a command; its error is the first line that the command said and that looks
// like a reason.
func said(ctx context.Context, c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "rror") {
			return errors.New(shorten(strings.TrimSpace(line)))
		}
	}
	return fmt.Errorf("%w: %s", err, shorten(strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", " ")))
}

// pom is the project that Maven is told of: one that depends on the jars.
type pom struct {
	XMLName      xml.Name     `xml:"http://maven.apache.org/POM/4.0.0 project"`
	Model        string       `xml:"modelVersion"`
	Group        string       `xml:"groupId"`
	Artifact     string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Packaging    string       `xml:"packaging"`
	Dependencies []dependency `xml:"dependencies>dependency"`
}

type dependency struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
}

// copyDependencies is the goal of Maven that copies the jars; its release is named so that
// it is the same everywhere.
const copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// fetch puts the jars into lib. Maven keeps what it fetched in the cache.
func (j *Java) fetch(ctx context.Context, o Options, mvn, lib string) (err error) {
	project := pom{Model: "4.0.0", Group: "image.invalid", Artifact: "program", Version: "1", Packaging: "pom"}
	for _, jar := range j.Jars {
		m := coordinates.FindStringSubmatch(jar)
		project.Dependencies = append(project.Dependencies, dependency{m[1], m[2], m[3]})
	}
	text, err := xml.MarshalIndent(project, "", " ")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "coup-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(o.CacheDir, "maven.lock")) // its repository is for one at a time
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("somebody else uses Maven: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	o.say("fetching %s and what it needs", j.Jars[0])
	c := exec.CommandContext(ctx, mvn, "-B", "-Dmaven.repo.local="+filepath.Join(o.CacheDir, "maven"), "-f", file,
		copyDependencies, "-DincludeScope=runtime", "-DoutputDirectory="+lib)
	c.Dir, c.WaitDelay = dir, 5*time.Second
	pipe, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		return fmt.Errorf("mvn: %w", err)
	}
	var failed mavenError
	fetched := 0
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "Downloaded ") && strings.Contains(line, ".jar ") {
			if fetched++; fetched%20 == 0 {
				o.say("fetching %s: %d jars so far", j.Jars[0], fetched)
			}
		}
		if text, ok := strings.CutPrefix(line, "[ERROR] "); ok {
			failed = append(failed, text)
		}
	}
	io.Copy(io.Discard, pipe) // after a line that is too long
	if err := c.Wait(); err != nil {
		return cmp.Or(ctx.Err(), error(failed))
	}
	jars, err := os.ReadDir(lib)
	if err != nil {
		return err
	}
	for _, jar := range jars {
		for _, pattern := range j.Without {
			if ok, err := path.Match(pattern, jar.Name()); err != nil {
				return fmt.Errorf("pattern %q: %w", pattern, err)
			} else if ok {
				if err := os.Remove(filepath.Join(lib, jar.Name())); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// mavenError is what Maven said when it failed.
type mavenError []string

// notFound matches what Maven says of a jar that its repository has not.
var notFound = regexp.MustCompile(`Could not find artifact (\S+)`)

func (e mavenError) Error() string {
	if len(e) == 0 {
		return "mvn failed and said nothing"
	}
	all := strings.Join(e, "\n")
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(all, w) })
	}
	switch m := notFound.FindStringSubmatch(all); {
	case m != nil:
		return fmt.Sprintf("Maven's repository has no %s", strings.TrimSuffix(m[1], ","))
	case says("Could not transfer", "Unknown host", "Connection refused", "Connect to ", "offline mode"):
		return "no repository of Maven's can be reached (~/.m2/settings.xml names it): mvn: " + shorten(e[0])
	case says("No space left on device"):
		return "the disk is full: mvn: " + shorten(e[0])
	}
	return "mvn: " + shorten(e[0])
}
