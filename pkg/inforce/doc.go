// Package inforce keeps one IsolationPolicy in force. Every process follows status.inForce of the object
// (Follow); the leader of the scheduler writes it, and the parameter of the admission policies with it,
// checks that these policies are enforced and that the API server answers by the newest parameter, and says
// so in the conditions of the object (Leader). See docs/decisions/0040-the-policy-is-an-object.md.
package inforce
