//! How the command ends: its exit codes, and the failures that lead to them.

use std::process::ExitCode;

use policy::Errors;

/// How a subcommand ends.
pub(crate) type Outcome = Result<Ending, Failure>;

/// The end of the command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// All as expected.
    AsExpected,
    /// Something was not as expected.
    Findings,
    /// The input is wrong.
    WrongInput,
    /// The environment cannot do it.
    Lacking,
    /// It was interrupted; the evidence is kept.
    Interrupted,
    /// What a part that ends by itself says.
    Other(ExitCode),
}

impl Ending {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::AsExpected => ExitCode::SUCCESS,
            Self::Findings => ExitCode::from(1),
            Self::WrongInput => ExitCode::from(2),
            Self::Lacking => ExitCode::from(3),
            Self::Interrupted => ExitCode::from(130),
            Self::Other(code) => code,
        }
    }
}

/// Why a subcommand could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Texts have mistakes, each at its place.
    Mistakes(Vec<Errors>),
    /// The same, as another process has put it in words.
    Told(Vec<String>),
    /// The input is wrong otherwise.
    Input(String),
    /// The environment cannot do it, with what to do about it.
    Environment(String),
    /// It went wrong on our side.
    Fault(String),
}

impl Failure {
    /// The same, and what it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        let named = |text: String| format!("{what}: {text}");
        match self {
            Self::Mistakes(_) => self,
            Self::Told(texts) => Self::Told(texts.into_iter().map(named).collect()),
            Self::Input(text) => Self::Input(named(text)),
            Self::Environment(text) => Self::Environment(named(text)),
            Self::Fault(text) => Self::Fault(named(text)),
        }
    }

    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Mistakes(_) | Self::Told(_) | Self::Input(_) => Ending::WrongInput,
            Self::Environment(_) => Ending::Lacking,
            Self::Fault(_) => Ending::Findings,
        }
    }
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Self::Mistakes(vec![errors])
    }
}
