package systems

import "testing"

func TestNames(t *testing.T) {
	for _, name := range Names() {
		s, err := Find(name)
		if err != nil || s.Name() != name {
			t.Errorf("%s is called %s, %v", name, s.Name(), err)
		}
	}
	if _, err := Find("nothing"); err == nil {
		t.Error("there is a system nothing")
	}
}
