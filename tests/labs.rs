//! Living labs: raised, asked, changed, ended; and nothing of them stays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod two;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use two::SCENARIO;

const DRAFT: &str = "\
eastwest: policy/v1
rules:
  - {name: hr-shell, reject: tcp/22, from: dept = hr}
default: allow
";

const STEP: &str = "\
name: hr is cut off
do:
  - partition: {a: [hr], b: [web]}
expect:
  - hr -> web tcp/80: unreachable
";

/// A row: the arguments, what comes on the standard input, the exit code, and what the output, both streams together, holds.
type Row<'a> = (&'a [&'a str], &'a str, i32, &'a [&'a str]);

fn check(folder: &Path, (args, input, code, holds): Row<'_>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).env("TMPDIR", folder).arg("lab").args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read its input is none the worse for it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "`{args:?}` said:\n{text}");
    for part in holds {
        assert!(text.contains(part), "`{args:?}` does not say `{part}`:\n{text}");
    }
}

/// A folder of files and of labs. What a failed test leaves up is ended with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for lab in ["two", "one", "other"] {
            let mut down = Command::new(env!("CARGO_BIN_EXE_eastwest"));
            let down = down.env("TMPDIR", self.path()).args(["lab", "down", "--lab", lab]).stderr(Stdio::null());
            let _ = down.status();
        }
    }
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("two.yaml", SCENARIO), ("draft.yaml", DRAFT), ("step.yaml", STEP), ("broken.yaml", "rules: 7\n")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Folder(folder)
}

#[test]
fn a_lab_is_raised_asked_changed_and_ended() {
    let folder = folder();
    let rows: [Row<'_>; 21] = [
        (&["status"], "", 2, &["cannot find a lab: none is up; `eastwest lab up FILE` raises one"]),
        (&["up", "absent.yaml"], "", 2, &["cannot read absent.yaml"]),
        (&["up", "broken.yaml"], "", 2, &["broken.yaml:1"]),
        (&["up", "two.yaml", "--lab", "a/b"], "", 2, &["cannot call a lab `a/b`"]),
        (&["up", "two.yaml"], "", 0, &["`two`: two departments", "hr   10.98.0.1 fd98::1  dept=hr  agent online"]),
        (&["up", "two.yaml"], "", 2, &["it is up; `eastwest lab down --lab two` ends it"]),
        (&["probe", "hr", "web", "tcp/80"], "", 0, &["hr -> web tcp/80 v4: allowed by hr-web", "tcp/80 v6: allowed"]),
        (&["probe", "web", "hr", "tcp/80"], "", 0, &["denied by default at the source", "passed over hr-web"]),
        (&["probe", "web", "hrr", "tcp/80"], "", 2, &["cannot find `hrr`", "`hr`"]),
        (&["probe", "web", "hr", "tcp/80-90"], "", 2, &["cannot read the service"]),
        (&["exec", "hr", "--", "sh", "-c", "cat; echo in $EASTWEST_VM; exit 7"], "said\n", 7, &["said", "in hr"]),
        (&["exec", "hr", "--", "no-such-program"], "", 2, &["no-such-program"]),
        (&["publish", "broken.yaml"], "", 2, &["broken.yaml:1"]),
        (&["publish", "draft.yaml"], "", 0, &["1 passed"]),
        (&["probe", "hr", "web", "tcp/22"], "", 0, &["rejected by hr-shell at the source"]),
        (&["do", "kil: agent hr"], "", 2, &["kil"]),
        (&["do", "quarantine: web"], "", 0, &["1 passed"]),
        (&["probe", "hr", "web", "tcp/443"], "", 0, &["denied by eastwest/quarantine at the destination"]),
        (&["step", "step.yaml"], "", 0, &["1 passed"]),
        (&["step", "-"], "expect:\n  - web -> hr tcp/80: allow\n", 1, &["1 failed"]),
        (&["down"], "", 0, &[]),
    ];
    for row in rows {
        check(folder.path(), row);
    }
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| !name.ends_with(".yaml")).collect();
    assert_eq!(left, Vec::<String>::new(), "something of the lab stays");
}

#[test]
fn several_labs_do_not_notice_each_other() {
    let folder = folder();
    let rows: [Row<'_>; 8] = [
        (&["up", "two.yaml", "--lab", "one"], "", 0, &["`one`"]),
        (&["up", "two.yaml", "--lab", "other"], "", 0, &["`other`"]),
        (&["list"], "", 0, &["one\nother\n"]),
        (&["status"], "", 2, &["`--lab NAME` says which of `one`, `other`"]),
        (&["publish", "draft.yaml", "--lab", "one"], "", 0, &["1 passed"]),
        (&["probe", "hr", "web", "tcp/22", "--lab", "other"], "", 0, &["denied by default at the source"]),
        (&["down", "--lab", "one"], "", 0, &[]),
        (&["down"], "", 0, &[]),
    ];
    for row in rows {
        check(folder.path(), row);
    }
}
