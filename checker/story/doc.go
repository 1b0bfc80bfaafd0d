// Package story tells people what happened: operations as sentences, numbers and
// times as words.
//
// Start with [Witnesses], the operations of a counterexample as a report shows
// them, and [Sentence], which tells of one of them. [Seconds], [Times], [Plural]
// and [List] write what stands within a sentence.
package story
