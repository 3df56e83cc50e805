package model

// omission is a step of the protocol, or a part of the fence, that a test leaves out to show that
// it is needed.
type omission string

const (
	nothing              omission = ""
	theFence             omission = "the fence: taints alone"
	theTermInTheToken    omission = "the term in the token"
	theIDInTheToken      omission = "the id in the token"
	theGuardOfTheTable   omission = "the guard of the table's resourceVersion"
	theTermSettle        omission = "the settle time after the term"
	theSettle            omission = "the settle time after the entry"
	theEntryBeforeList   omission = "the entry before the LIST: it comes after"
	theListAtOpening     omission = "the LIST at the opening"
	theConsistentList    omission = "the consistency of the LIST: the informer answers it"
	theCatchUp           omission = "the wait for the informer after the LIST"
	theRuleAtBind        omission = "the second check of the rule at the bind"
	theVerification      omission = "the verification of what a leader inherits"
	theListAtRelease     omission = "the LIST at the release"
	theWaitForBinds      omission = "the wait for the leader's own binds at the release"
	theLookBack          omission = "the check, after the LIST of the release, for pods that were bound during it"
	theClosing           omission = "the new id before the release, after a bind of unknown outcome"
	theSettleOfClosing   omission = "the settle time after that new id"
	theReopening         omission = "the verification after a bind of unknown outcome"
	theNewID             omission = "the new id after a bind of unknown outcome"
	theWriteAfterUnknown omission = "the write after a write of unknown outcome: the table is read again"
	theStayOfInherited   omission = "that an inherited entry stays if its pods are in the way"
	theListForMissing    omission = "the LIST before the entry of a deleted Node is dropped"
	theNoteWhenEmpty     omission = "the boot in the entry of an empty node: it is written at the opening"
	theFreshBoot         omission = "the GET for the boot: the informer answers it"
	theForgottenNote     omission = "the removal of the boot when the node is used again"
	theLimitOfCommits    omission = "the limit that a request is committed within the settle time"
	theRepair            omission = "the repair of taints"
	theReleaseOfEmpty    omission = "the release of what a dead leader opened"
	theRebootItself      omission = "the reboot: a node is free when it is empty"
)
