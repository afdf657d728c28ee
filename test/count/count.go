// Package count says how often a test does what it must be able to do very often. The promises that are figures (none of
// so many) are checked in three sizes: a little by every go test, a tenth by make test, in full by make soak.
package count

import "os"

// Variable is the environment variable that says how much: "full", "tenth", or nothing for a hundredth.
const Variable = "PROMISES"

// Of returns how many there are to be out of full; one at least.
func Of(full int) int {
	switch os.Getenv(Variable) {
	case "full":
		return full
	case "tenth":
		return max(1, full/10)
	}
	return max(1, full/100)
}

// Full reports whether there is to be all. Promises about time are checked then alone: at other times the machine may have
// other things to do.
func Full() bool { return os.Getenv(Variable) == "full" }
