//! Who reads a page: a folder, a shell, and an eye that compares what is shown with what is said.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const EASTWEST: &str = env!("CARGO_BIN_EXE_eastwest");
/// A command that takes longer has gone wrong.
const LONGEST: Duration = Duration::from_secs(120);
/// In a checkout the README's `cargo run --release --` is the command; here it stands for what is built already.
const CARGO: &str = "#!/bin/sh
[ \"$1 $2 $3\" = 'run --release --' ] || { echo 'nothing but `cargo run --release --` is known here'; exit 99; }
shift 3
exec eastwest \"$@\"
";

/// Whether what is said so far is enough.
type Enough<'a> = &'a dyn Fn(&str) -> bool;

/// A folder of its own, with a home, and room for labs, which end with it.
pub(crate) struct Reader {
    root: tempfile::TempDir,
    at: PathBuf,
    /// Other machines: VMs of the lab that is up, each with the process that holds a `/var/lib` of its own.
    machines: BTreeMap<String, String>,
    /// What goes on in the background.
    going: Vec<Child>,
    /// The newest token to join with; `ewt1.…` stands for it.
    token: String,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (programs, at) = (folder("bin"), folder("here"));
        for name in ["home", "tmp"] {
            folder(name);
        }
        symlink(EASTWEST, programs.join("eastwest")).unwrap();
        fs::write(programs.join("cargo"), CARGO).unwrap();
        fs::set_permissions(programs.join("cargo"), PermissionsExt::from_mode(0o755)).unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &at.join("scenarios"));
        Self { root, at, machines: BTreeMap::new(), going: Vec::new(), token: String::new() }
    }

    /// Where the shell stands.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn command(&self, program: &str) -> Command {
        let root = self.root.path();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths([root.join("bin")].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut command = Command::new(program);
        command.current_dir(&self.at).env("PATH", path).env("HOME", root.join("home")).env("TMPDIR", root.join("tmp"));
        command.env("GITHUB_STEP_SUMMARY", root.join("summary")).env_remove("EASTWEST_LOG");
        command
    }

    /// The shell that is given a text, here or in another machine.
    fn shell(&mut self, machine: Option<&str>, text: &str) -> Result<Command, String> {
        let text = text.replace("ewt1.…", &self.token);
        let Some(name) = machine else {
            let mut command = self.command("bash");
            command.args(["-c", &text]).process_group(0);
            return Ok(command);
        };
        if !self.machines.contains_key(name) {
            let mut holder = self.command(EASTWEST);
            let own = "mount -t tmpfs none /var/lib && echo $$ && exec tail -f /dev/null";
            holder.args(["lab", "exec", name, "--", "unshare", "--mount", "bash", "-c", own]).process_group(0);
            let process = self.listen(holder, &|said| !said.is_empty())?.trim().to_owned();
            self.machines.insert(name.to_owned(), process);
        }
        let mut command = self.command(EASTWEST);
        command.args(["lab", "exec", name, "--", "nsenter", "--mount", "--target", &self.machines[name], "bash", "-c"]);
        command.arg(format!("cd '{}'\n{text}", self.at.display())).process_group(0);
        Ok(command)
    }

    /// How a command ends, and what it says on both streams. The shell stays where the command has gone.
    pub(crate) fn run(&mut self, machine: Option<&str>, text: &str, typed: &str) -> Result<(i32, String), String> {
        let at = self.root.path().join("at");
        let script = format!("trap 'pwd > \"{}\"' EXIT\n{text}\n", at.display());
        let (mut said, input) = (self.file(""), self.file(typed));
        let mut command = self.shell(machine, &script)?;
        command.stdin(input).stdout(said.try_clone().unwrap()).stderr(said.try_clone().unwrap());
        let ended = end(command.spawn().unwrap());
        let mut output = Vec::new();
        said.rewind().unwrap();
        said.read_to_end(&mut output).unwrap();
        let output = String::from_utf8_lossy(&output).into_owned();
        let code = ended.ok_or_else(|| format!("did not end within {LONGEST:?}, and said:\n{output}"))?;
        self.at = fs::read_to_string(at).map_or_else(|_| self.at.clone(), |at| PathBuf::from(at.trim_end()));
        self.token = output.lines().find(|line| line.starts_with("ewt1.")).map_or(self.token.clone(), str::to_owned);
        Ok((code, output))
    }

    /// Begins a command that goes on, and waits until it has said enough.
    pub(crate) fn begin(&mut self, machine: Option<&str>, text: &str, enough: Enough<'_>) -> Result<(), String> {
        let command = self.shell(machine, &format!("exec 2>&1\n{text}\n"))?;
        self.listen(command, enough).map(drop)
    }

    fn listen(&mut self, mut command: Command, enough: Enough<'_>) -> Result<String, String> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.going.push(child);
        let (tell, hear) = mpsc::channel();
        // What it says later is read as well, for nobody: it must not stand still.
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        let (begun, mut said) = (Instant::now(), String::new());
        while !enough(&said) {
            let left = LONGEST.saturating_sub(begun.elapsed());
            let line = hear.recv_timeout(left).map_err(|error| format!("says no more ({error}) than:\n{said}"))?;
            said.extend([line.as_str(), "\n"]);
        }
        Ok(said)
    }

    /// A file without a name that holds a text; what is written to it comes behind.
    fn file(&self, text: &str) -> File {
        let mut file = tempfile::tempfile_in(self.root.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    }

    /// The labs that are up.
    pub(crate) fn labs(&self) -> String {
        let listed = self.command(EASTWEST).args(["lab", "list"]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).into_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.at = self.root.path().to_owned();
        for lab in self.labs().lines() {
            let mut down = self.command(EASTWEST);
            let _ = down.args(["lab", "down", "--lab", lab]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        for child in &mut self.going {
            let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// The exit code of a child; `None` where it had to be killed, with its group.
fn end(mut child: Child) -> Option<i32> {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (tell, hear) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let ended = child.wait().unwrap();
        let _ = tell.send(());
        ended.code()
    });
    let in_time = hear.recv_timeout(LONGEST).is_ok();
    if !in_time {
        let _ = killpg(group, Signal::SIGKILL);
    }
    waiting.join().unwrap().filter(|_| in_time)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// What stands for any number of lines or words.
pub(crate) fn is_anything(part: &str) -> bool {
    ["…", "..."].contains(&part)
}

/// Whether what is shown fits what is said, part by part; `…` and `...` stand for any number of parts.
pub(crate) fn fits(shown: &[&str], real: &[&str], same: fn(&str, &str) -> bool) -> bool {
    match shown.split_first() {
        None => real.is_empty(),
        Some((any, rest)) if is_anything(any) => (0..=real.len()).any(|left_out| fits(rest, &real[left_out..], same)),
        Some((first, rest)) => {
            real.split_first().is_some_and(|(said, others)| same(first, said) && fits(rest, others, same))
        }
    }
}

/// Whether two lines are the same, word by word: how far apart words stand is of no account.
pub(crate) fn same_line(shown: &str, real: &str) -> bool {
    let (shown, real): (Vec<&str>, Vec<&str>) = (shown.split_whitespace().collect(), real.split_whitespace().collect());
    fits(&shown, &real, same_word)
}

/// A word is the same; or `…` in it stands for anything; or both are numbers, and both or neither are 0.
pub(crate) fn same_word(shown: &str, real: &str) -> bool {
    let wild = shown
        .split_once('…')
        .is_some_and(|(begin, end)| real.strip_prefix(begin).is_some_and(|rest| rest.ends_with(end)));
    shown == real || wild || number(shown).is_some_and(|number_shown| number(real) == Some(number_shown))
}

/// What stands around a number in a word, and whether it is 0. A word with letters is a name, and none.
fn number(word: &str) -> Option<(&str, bool, &str)> {
    let digit = |letter: char| letter.is_ascii_digit();
    let (begin, end) = (word.find(digit)?, word.rfind(digit)? + 1);
    let plain = |text: &str| text.chars().all(|letter| !letter.is_alphanumeric());
    let (before, after) = (&word[..begin], &word[end..]);
    let value: f64 = word[begin..end].parse().ok().filter(|_| plain(before) && plain(after))?;
    Some((before, value == 0.0, after))
}

/// What a page of HTML says; other text is as it was.
pub(crate) fn prose(text: &str) -> String {
    if !text.trim_start().starts_with("<!") {
        return text.to_owned();
    }
    let said = text.split('<').map(|part| part.split_once('>').map_or(part, |(_, said)| said)).collect::<Vec<_>>();
    let said = said.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    said.replace("&amp;", "&")
}
