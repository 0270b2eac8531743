//! Living labs: raised, asked, changed, ended; and nothing of them stays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod two;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
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
    let mut child = begin(folder, args);
    // A program that does not read its input is none the worse for it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (found, text) = end(child);
    assert_eq!(found, Some(code), "`{args:?}` said:\n{text}");
    for part in holds {
        assert!(text.contains(part), "`{args:?}` does not say `{part}`:\n{text}");
    }
}

/// Starts a command.
fn begin(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    command.current_dir(folder).env("TMPDIR", folder).arg("lab").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its exit code, and all that it has still said.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

/// Waits until a command has written something to one of its streams; gives what it has written up to there.
fn hear(stream: &mut impl Read, awaited: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(awaited) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "not said: {awaited}");
        text.extend(byte);
    }
    String::from_utf8_lossy(&text).into_owned()
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

#[test]
fn packets_are_captured_at_the_wire() {
    let folder = folder();
    let whole = folder.path().join("hr.pcapng");
    let rows: [Row<'_>; 3] = [
        (&["up", "two.yaml"], "", 0, &["`two`"]),
        (&["capture", "hrr"], "", 2, &["cannot find `hrr`", "`hr`"]),
        (&["capture", "hr", "-w", "no/such/folder"], "", 2, &["cannot write no/such/folder"]),
    ];
    rows.into_iter().for_each(|row| check(folder.path(), row));
    let probe: Row<'_> = (&["probe", "hr", "web", "tcp/80"], "", 0, &["allowed by hr-web"]);
    let begun = |args: &[&str]| {
        let mut capture = begin(folder.path(), args);
        hear(capture.stderr.as_mut().unwrap(), "capturing at the wire of `hr`; Ctrl-C ends it\n");
        check(folder.path(), probe);
        capture
    };
    let (code, text) = end(begun(&["capture", "hr", "--count", "4"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" out hr 10.98.0.1:10"), "{text}");
    assert!(text.contains(" > web 10.98.0.2:80 tcp S "), "{text}");
    assert!(text.ends_with("4 packets; the kernel lost 0\n"), "{text}");
    // What ends it is an interrupt.
    let capture = begun(&["capture", "hr", "-w", "hr.pcapng"]);
    let pid = nix::unistd::Pid::from_raw(capture.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let (code, text) = end(capture);
    assert_eq!(code, Some(0), "{text}");
    let file = fs::read(whole).unwrap();
    assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a], "it begins as pcapng does");
    assert!(file.windows(6).any(|six| six == b"\x02\0\x02\0hr"), "its interface has a name");
    assert!(file.windows(8).any(|eight| eight == b"EWP1ask?"), "the probe's question is in it");
    check(folder.path(), (&["capture", "web", "--for", "1s", "-w", "-"], "", 0, &["; the kernel lost 0"]));
}

#[test]
fn faults_have_a_short_spelling() {
    let folder = folder();
    let rows: [Row<'_>; 12] = [
        (&["up", "two.yaml"], "", 0, &["`two`"]),
        (&["fault", "kill", "agent", "hr"], "", 0, &["1 passed"]),
        (&["probe", "web", "hr", "tcp/80"], "", 0, &["denied by default at the source"]),
        (&["fault", "start", "agent", "hr"], "", 0, &["1 passed"]),
        (&["fault", "kill", "hr"], "", 2, &["cannot read `kill hr`: it is `kill agent VM` or `kill center`"]),
        (&["fault", "kill", "agent", "hrr"], "", 2, &["hrr", "`hr`"]),
        (&["fault", "slow", "hr", "quick"], "", 2, &["from 8kbit to 1000mbit a second"]),
        (&["fault", "partition", "hr", "web"], "", 0, &["1 passed"]),
        (&["probe", "hr", "web", "tcp/80"], "", 1, &["unreachable"]),
        (&["fault", "heal"], "", 0, &["1 passed"]),
        (&["probe", "hr", "web", "tcp/80"], "", 0, &["allowed by hr-web"]),
        (&["fault", "explode"], "", 2, &["unrecognized subcommand"]),
    ];
    rows.into_iter().for_each(|row| check(folder.path(), row));
}

/// Sends to a port that the policy closes, until it is told to end.
const NOISE: &str = "echo begun; while ! read -t 0.01 line; do echo x >/dev/udp/10.98.0.2/22; done; exit 0";

#[test]
fn what_is_sent_beside_steps_is_not_judged() {
    let folder = folder();
    let step = "expect:\n  - hr -> web tcp/80: allow\n  - hr -> web udp/22: deny\n  - web -> hr any: deny\n";
    let rows: [Row<'_>; 4] = [
        (&["up", "two.yaml"], "", 0, &["`two`"]),
        (&["traffic", "stop"], "", 0, &["no traffic\n"]),
        (&["traffic", "start", "--rate", "0"], "", 2, &["1..=50"]),
        (&["traffic", "start", "--rate", "50", "--seed", "7"], "", 0, &["50 a second of 4 flows in turn"]),
    ];
    rows.into_iter().for_each(|row| check(folder.path(), row));
    for _ in 0..5 {
        let sent =
            |text: &str| !text.contains("turn\n") && !text.contains(" 0 answered") && !text.contains(" 0 unanswered");
        let told = (0..1000).map(|_| end(begin(folder.path(), &["traffic"])).1).find(|text| sent(text)).unwrap();
        assert!(told.contains("0 refused") && !told.contains("could not"), "{told}");
        check(folder.path(), (&["step", "-"], step, 0, &["1 passed"]));
    }
    check(folder.path(), (&["traffic", "stop"], "", 0, &["no traffic; "]));
    let mut noise = begin(folder.path(), &["exec", "hr", "--", "bash", "-c", NOISE]);
    hear(noise.stdout.as_mut().unwrap(), "begun\n");
    // A step is over so soon that nothing may have been sent meanwhile.
    let steps = (0..1000).map(|_| {
        let mut one = begin(folder.path(), &["step", "-"]);
        one.stdin.take().unwrap().write_all(step.as_bytes()).unwrap();
        end(one)
    });
    let mut told = steps.inspect(|(code, text)| assert_eq!(*code, Some(0), "{text}")).map(|(_, text)| text);
    assert!(told.any(|text| text.contains("own traffic: ") && text.contains("told of, and not judged")));
    let rows: [Row<'_>; 2] = [
        (&["probe", "hr", "web", "udp/22"], "", 0, &["denied by default at the source"]),
        (&["step", "-"], "do:\n  - policy: draft.yaml\nexpect:\n  - hr -> web tcp/22: reject\n", 0, &["1 passed"]),
    ];
    rows.into_iter().for_each(|row| check(folder.path(), row));
    noise.stdin.take().unwrap().write_all(b"enough\n").unwrap();
    assert_eq!(end(noise).0, Some(0));
}

#[test]
fn operators_reach_a_labs_center_and_nothing_else() {
    let folder = folder();
    let status = end(begin(folder.path(), &["up", "two.yaml"])).1;
    let state = status.split("eastwest center --state ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let ask = |args: &[&str], code: i32, holds: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
        let output = command.args(["center", "--state", state]).args(args).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), text.contains(holds)), (Some(code), true), "{text}");
    };
    ask(&["vm", "list"], 0, "online     acknowledged 2\n");
    ask(&["token", "nobody"], 2, "nobody");
    check(folder.path(), (&["fault", "kill", "center"], "", 0, &["1 passed"]));
    ask(&["vm", "list"], 3, "cannot reach the center");
    check(folder.path(), (&["fault", "start", "center"], "", 0, &["1 passed"]));
    ask(&["policy", "show"], 0, "hr-web");
    check(folder.path(), (&["down"], "", 0, &[]));
    ask(&["vm", "list"], 3, "cannot reach the center");
}

#[test]
fn a_shell_has_a_terminal_of_its_own() {
    let folder = folder();
    // As a script does beside itself, deaf to the keys that interrupt: the shell is not to be.
    let up = "trap '' HUP INT QUIT TSTP; exec \"$0\" lab up two.yaml";
    let mut raise = Command::new("/bin/sh");
    raise.args(["-c", up, env!("CARGO_BIN_EXE_eastwest")]).current_dir(folder.path()).env("TMPDIR", folder.path());
    assert!(raise.status().unwrap().success());
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let near = openpt(flags).unwrap();
    unlockpt(&near).unwrap();
    let far = ioctl_tiocgptpeer(&near, flags).unwrap();
    tcsetwinsize(&near, Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let modes = || tcgetattr(&far).unwrap().local_modes;
    let before = modes();
    let begun = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eastwest"));
        command.args(["lab", "shell", "hr"]).env("TMPDIR", folder.path()).env("SHELL", "/bin/sh");
        let stream = || Stdio::from(far.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap()
    };
    let (mut typed, mut shown) = (File::from(near.try_clone().unwrap()), File::from(near.try_clone().unwrap()));
    let mut say = |text: &str, awaited: &str| {
        typed.write_all(text.as_bytes()).unwrap();
        if awaited.is_empty() { String::new() } else { hear(&mut shown, awaited) }
    };
    let mut shell = begun();
    say("stty size; echo in $EASTWEST_VM\n", "31 97\r\n");
    assert!(modes() != before, "keys are handed on");
    // What is typed is shown as well, and is not to be taken for what is said. An interrupt is the program's, not the shell's and not ours.
    say("sh -c 'echo wa\"\"its; exec sleep 1000'\n", "waits\r\n");
    say("\u{3}echo ba''ck\n", "back\r\n");
    say("exit 7\n", "");
    assert_eq!(shell.wait().unwrap().code(), Some(7));
    assert!(modes() == before, "the terminal is as it was");
    let mut shell = begun();
    say("echo ag''ain\n", "again\r\n");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shell.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(shell.wait().unwrap().code(), Some(143));
    assert!(modes() == before, "the terminal is as it was, after SIGTERM too");
}
