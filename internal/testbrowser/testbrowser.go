// Package testbrowser lets tests look at pages in a real browser. A test that asks for one
// is skipped where there is no chromium.
package testbrowser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser is a headless Chromium that is spoken to in its DevTools protocol,
// over a pipe.
type Browser struct {
	t       testing.TB
	out     *os.File
	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	session string
	may     []string // with what the addresses begin that may be asked for
	trouble []string // errors, dialogs and requests that the page must not make
}

// Patience is how long the browser may take for anything: only one that hangs
// takes so long.
const Patience = 2 * time.Minute

// Start starts a browser, which ends with the test. A page may ask for files, and for
// addresses that begin with one of may; anything else is trouble (see NoTrouble).
func Start(t testing.TB, may ...string) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: there is no chromium here, so nobody saw whether the page works in a browser")
	}
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{t: t, out: out, waiting: map[int]chan answer{}, may: append(may, "file:///", "blob:", "about:blank")}
	go b.listen(in)
	t.Cleanup(func() {
		b.session = ""
		b.try("Browser.close", nil)
		gone := make(chan struct{})
		go func() { cmd.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-gone
		}
		out.Close()
		in.Close()
	})
	var target struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.Call(domain+".enable", nil, nil)
	}
	return b
}

// answer is what the browser says to a call.
type answer struct{ result, err json.RawMessage }

func (b *Browser) listen(in *os.File) {
	r := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int             `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		switch m.Method {
		case "":
			if c := b.waiting[m.ID]; c != nil {
				c <- answer{m.Result, m.Error}
				delete(b.waiting, m.ID)
			}
		case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening":
			b.trouble = append(b.trouble, m.Method+": "+string(m.Params))
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			json.Unmarshal(m.Params, &p)
			u := p.Request.URL
			if !slices.ContainsFunc(b.may, func(prefix string) bool { return strings.HasPrefix(u, prefix) }) {
				b.trouble = append(b.trouble, "request to "+u)
			}
		}
		b.mu.Unlock()
	}
}

func (b *Browser) try(method string, params any) (json.RawMessage, error) {
	told := make(chan answer, 1)
	b.mu.Lock()
	b.next++
	b.waiting[b.next] = told
	m := map[string]any{"id": b.next, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	line, err := json.Marshal(m)
	if err == nil {
		_, err = b.out.Write(append(line, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-told:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %s", method, a.err)
		}
		return a.result, nil
	case <-time.After(Patience):
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

// Call calls a method of the protocol.
func (b *Browser) Call(method string, params, result any) {
	b.t.Helper()
	a, err := b.try(method, params)
	if err != nil {
		b.t.Fatal(err)
	}
	if result != nil {
		if err := json.Unmarshal(a, result); err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, a)
		}
	}
}

// Open opens an address, and waits until the page is loaded.
func (b *Browser) Open(url string) {
	b.t.Helper()
	var asked struct{ LoaderID string }
	b.Call("Page.navigate", map[string]any{"url": url}, &asked)
	// The page that was there before may just have been loading: its end is not that of this one.
	if !Soon(func() bool {
		var now struct {
			FrameTree struct{ Frame struct{ LoaderID string } }
		}
		b.Call("Page.getFrameTree", nil, &now)
		if asked.LoaderID != "" && now.FrameTree.Frame.LoaderID != asked.LoaderID {
			return false
		}
		state, err := b.eval("document.readyState")
		return err == nil && state == "complete"
	}) {
		b.t.Fatal("the page did not load")
	}
}

// Eval runs JavaScript in the page and returns its value.
func (b *Browser) Eval(expression string) any {
	b.t.Helper()
	value, err := b.eval(expression)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

func (b *Browser) eval(expression string) (any, error) {
	told, err := b.try("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return nil, err
	}
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	if err := json.Unmarshal(told, &r); err != nil {
		return nil, fmt.Errorf("%w in %s", err, told)
	}
	if r.Exception != nil {
		return nil, fmt.Errorf("%s: %s", expression, r.Exception)
	}
	return r.Result.Value, nil
}

// Wait waits until a condition in JavaScript is true. What it asks for may not be there yet, and
// the page may be about to be replaced by another one.
func (b *Browser) Wait(condition string) {
	b.t.Helper()
	patient := "Promise.resolve().then(() => " + condition + ").catch(() => false)"
	var last error
	if !Soon(func() bool {
		value, err := b.eval(patient)
		last = err
		return err == nil && value == true
	}) {
		b.t.Fatalf("never came true: %s (%v)", condition, last)
	}
}

// Soon polls until ok: the page draws when the machine lets it.
func Soon(ok func() bool) bool {
	for give := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(give) {
			return false
		}
	}
}

// Size sets the size of the window, in pixels.
func (b *Browser) Size(width, height int) {
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

// Prefer chooses light or dark.
func (b *Browser) Prefer(scheme string) {
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Picture saves what the page looks like from top to bottom.
func (b *Browser) Picture(path string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Mouse sends an event of the mouse.
func (b *Browser) Mouse(kind string, x, y float64, clicks int) {
	p := map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": clicks}
	if kind == "mouseMoved" {
		p["button"] = "none"
	}
	b.Call("Input.dispatchMouseEvent", p, nil)
}

// NoTrouble fails the test if the page made an error, a dialog or a request.
func (b *Browser) NoTrouble() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.trouble {
		b.t.Error(line)
	}
	b.trouble = nil
}
