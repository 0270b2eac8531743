//! What the machine must give for a lab, each thing tried: some read from outside, the rest in a throw-away jail.

mod inside;
mod outside;
mod paths;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};
use crate::jail::{self, JailContext, Purpose};

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is there.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if it is there.
    pub remedy: String,
}

impl Check {
    /// From what was found or, if it is not there, why.
    fn of(name: &str, found: std::result::Result<String, String>, remedy: &str) -> Check {
        let ok = found.is_ok();
        Check {
            name: name.to_owned(),
            ok,
            detail: found.unwrap_or_else(|why| why),
            remedy: if ok { String::new() } else { remedy.to_owned() },
        }
    }
}

/// Tries everything. The arguments are those by which this program's main function comes to [`jail::enter`].
#[must_use]
pub fn doctor(jail_arguments: &[&str]) -> Vec<Check> {
    let mut checks = outside::checks();
    let told = visit(jail_arguments);
    if told.as_ref().map_or(true, Vec::is_empty) {
        let why = told.as_ref().err().map_or_else(|| "it ended without a word".to_owned(), ToString::to_string);
        checks.push(no_jail(why));
    }
    checks.extend(told.unwrap_or_default());
    checks
}

fn visit(jail_arguments: &[&str]) -> Result<Vec<Check>> {
    let mut jail = jail::launch(jail_arguments, Purpose::Doctor)?;
    let told = BufReader::new(&jail.control)
        .lines()
        .map_while(std::result::Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect();
    jail.process.wait().doing("wait for a jail")?;
    Ok(told)
}

/// The jail's side of [`doctor`].
pub(crate) fn answer(mut context: JailContext) -> Result<ExitCode> {
    for check in inside::checks() {
        tell(&mut context.control, &check)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the doctor outside that there is no jail to try anything in.
pub(crate) fn tell_failure(control: &mut UnixStream, why: &str) -> Result<()> {
    tell(control, &no_jail(format!("cannot {why}")))
}

fn no_jail(why: String) -> Check {
    let remedy = "permit user namespaces to ordinary users, or run as root with CAP_SYS_ADMIN (in a container: \
                  --privileged)";
    Check::of(inside::JAIL, Err(why), remedy)
}

fn tell(control: &mut UnixStream, check: &Check) -> Result<()> {
    let mut line = serde_json::to_vec(check).map_err(std::io::Error::from).doing("write a check")?;
    line.push(b'\n');
    control.write_all(&line).doing("tell a check")
}
