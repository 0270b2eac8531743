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
    /// Later generations are acknowledged before they reach the kernel.
    AcksEarly,
    /// What should be answered is dropped in silence, and reported as such.
    RejectAsDeny,
    /// Allowed flows are not reported where they should be.
    AllowUnlogged,
    /// Records name the generation before the one that judged.
    GenerationStale,
    /// Each view after the first that holds a rule is put in force without its rules.
    ChangeCloses,
    /// Of many rules the first are put in force, and all are said to be.
    CutShort,
    /// Ranges that lie within another of their group are left out, and exceptions too.
    RangesFolded,
    /// Before its first view the agent is open.
    BornOpen,
    /// What a life begins with, of what the one before it kept, is open.
    OpensAtStart,
    /// Every generation is acknowledged, also those that never came.
    AcksUnseen,
    /// Behind a loss of the center the rules are gone.
    WipedAtReturn,
    /// A quarantine is not put in force.
    QuarantineIgnored,
    /// Senders' addresses are not looked at.
    SenderUnchecked,
    /// What arrives for any address is taken as meant for this machine.
    DestinationUnchecked,
    /// What the kernel's counters alone know is not told.
    CountsUntold,
    /// Each record is told twice, under numbers of its own.
    ToldTwice,
    /// Rules never end.
    UntilIgnored,
    /// What others do to the ruleset is undone, and not told.
    TamperUntold,
}

/// Each kind with the finding (a word of the judge) that it must bring about where it shows.
pub const EXPECTED: [(Kind, &str); 27] = [
    (Kind::FirstRuleDropped, "leak"),
    (Kind::DirectionSwapped, "overblock"),
    (Kind::DefaultAllow, "leak"),
    (Kind::RevocationIgnored, "leak"),
    (Kind::ReportSilenced, "unreported"),
    (Kind::WrongRuleNamed, "misattributed"),
    (Kind::WrongEnd, "misplaced"),
    (Kind::InventedRecords, "phantom"),
    (Kind::AcksBeforeCommit, "late"),
    (Kind::AcksEarly, "late"),
    (Kind::RejectAsDeny, "wrong-action"),
    (Kind::AllowUnlogged, "unreported"),
    (Kind::GenerationStale, "late"),
    (Kind::ChangeCloses, "disturbed"),
    (Kind::CutShort, "unmet"),
    (Kind::RangesFolded, "leak"),
    (Kind::BornOpen, "leak"),
    (Kind::OpensAtStart, "leak"),
    (Kind::AcksUnseen, "unmet"),
    (Kind::WipedAtReturn, "overblock"),
    (Kind::QuarantineIgnored, "misattributed"),
    (Kind::SenderUnchecked, "unmet"),
    (Kind::DestinationUnchecked, "leak"),
    (Kind::CountsUntold, "unmet"),
    (Kind::ToldTwice, "unmet"),
    (Kind::UntilIgnored, "leak"),
    (Kind::TamperUntold, "unmet"),
];
