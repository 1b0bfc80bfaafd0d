// Package story tells people what happened: operations as sentences, what is wrong
// with them as claims, numbers and times as words.
//
// Start with [Witnesses], the operations of a counterexample as a report shows
// them, and [Teller.Sentence], which tells of one of them. A [Claim] says why they
// cannot be explained; it is data, so that it can be held against the whole history
// before it is told. [Seconds], [Times], [Plural] and [List] write what stands within
// a sentence.
package story
