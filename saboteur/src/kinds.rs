//! The ways to lie, and the finding that each must bring about.

/// One way to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    /// The policy's first rule is left out.
    FirstRuleDropped,
    /// What holds for inbound flows is applied to outbound ones, and the reverse.
    DirectionSwapped,
    /// A flow that no rule matches is allowed.
    DefaultAllow,
    /// Every generation after the first is acknowledged, under its number, with the rules of the first in force.
    RevocationIgnored,
    /// Interceptions are carried out, and not reported.
    ReportSilenced,
    /// Records name a rule that did not decide.
    WrongRuleNamed,
    /// Records name the other end.
    WrongEnd,
    /// Records of interceptions that never happened, of flows that passed and of flows that never were.
    InventedRecords,
    /// Later generations are acknowledged, and never reach the kernel.
    AcksBeforeCommit,
    /// What should be answered is dropped in silence, and reported as such.
    RejectAsDeny,
    /// Allowed flows are not reported where they should be.
    AllowUnlogged,
    /// Records name the generation before the one that judged.
    GenerationStale,
}

/// Each kind with the finding (a word of the judge) that it must bring about where it shows.
pub const EXPECTED: [(Kind, &str); 12] = [
    (Kind::FirstRuleDropped, "leak"),
    (Kind::DirectionSwapped, "overblock"),
    (Kind::DefaultAllow, "leak"),
    (Kind::RevocationIgnored, "leak"),
    (Kind::ReportSilenced, "unreported"),
    (Kind::WrongRuleNamed, "misattributed"),
    (Kind::WrongEnd, "misplaced"),
    (Kind::InventedRecords, "phantom"),
    (Kind::AcksBeforeCommit, "late"),
    (Kind::RejectAsDeny, "wrong-action"),
    (Kind::AllowUnlogged, "unreported"),
    (Kind::GenerationStale, "late"),
];
