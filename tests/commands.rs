//! Every command that the README and the book show is run, and does what is shown.
//!
//! Each page with commands is a trial: one reader, who goes through it from top to bottom with one shell in a folder that holds
//! a copy of `scenarios`. `docs/README.md` says how a block is written; what cannot be run is in `NOT_RUN`, with its reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod book;
mod reader;

use std::fs;
use std::path::Path;

use book::{Block, Page};
use libtest_mimic::{Arguments, Failed, Trial};
use reader::{Reader, fits, is_anything, same_line};

/// Commands that are not run: the page, how their lines begin, how many there are, and why.
const NOT_RUN: [(&str, &str, usize, &str); 6] = [
    ("README.md", "$ cargo test ", 1, "it would run this very test"),
    ("docs/ci.md", "$ eastwest run scenarios --until-failure", 1, "it runs until something fails"),
    ("docs/operate.md", "root# ", 4, "it sets up a service of systemd"),
    ("docs/reports.md", "$ xdg-open ", 1, "it opens a browser"),
    ("docs/tutorial.md", "$ cargo build ", 1, "it is built already"),
    ("docs/tutorial.md", "$ xdg-open ", 1, "it opens a browser"),
];

/// A command with its place, the machine that it is given to, what is typed at its own prompt, what is shown of its output, and
/// how it ends.
struct Command {
    place: String,
    machine: Option<String>,
    text: String,
    typed: String,
    shown: Vec<String>,
    code: i32,
}

impl Command {
    /// Whether it is given a text whose end has not come.
    fn is_open(&self) -> bool {
        self.text.contains("<<'END'") && !self.text.ends_with("\nEND")
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let pages: Vec<Page> = book::pages();
    let mut trials: Vec<Trial> = NOT_RUN.iter().map(|row| not_run(&pages, *row)).collect();
    for page in pages {
        let blocks = page.blocks();
        if blocks.iter().any(|block| block.language == "console") {
            trials.push(Trial::test(page.name.clone(), move || read(&page.name, &blocks)));
        } else {
            trials.extend(blocks.iter().filter(|block| is_session(block)).map(|block| misplaced(&page.name, block)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A trial that says what is not run, and fails where there is more or less of it.
fn not_run(pages: &[Page], (name, begin, count, reason): (&str, &str, usize, &str)) -> Trial {
    let blocks = pages.iter().filter(|page| page.name == name).flat_map(Page::blocks);
    let found = blocks.map(|block| block.text.lines().filter(|line| line.starts_with(begin)).count()).sum::<usize>();
    Trial::test(format!("{name}: not run, {count}: `{begin}…`: {reason}"), move || {
        if found == count { Ok(()) } else { Err(format!("`NOT_RUN` says {count}, and {found} lines begin so").into()) }
    })
}

fn is_session(block: &Block) -> bool {
    block.language != "console" && block.text.lines().any(|line| line.starts_with("$ "))
}

fn misplaced(page: &str, block: &Block) -> Trial {
    let said = format!("{page}:{}: commands stand in a block of `console`", block.line);
    Trial::test(said.clone(), move || Err(said.clone().into()))
}

/// Goes through a page: writes the files that it shows, runs its commands, compares what they say and how they end.
fn read(page: &str, blocks: &[Block]) -> Result<(), Failed> {
    let mut reader = Reader::new();
    for block in blocks {
        if is_session(block) {
            return Err(format!("{page}:{}: commands stand in a block of `console`", block.line).into());
        }
        if block.language == "console" {
            commands(page, block)?.iter().try_for_each(|command| try_command(&mut reader, command))?;
        } else if let Some(name) = block.file() {
            let path = reader.at().join(name);
            if block.language == "text" { holds(page, block, &path)? } else { fs::write(path, &block.text).unwrap() }
        }
    }
    let left = reader.labs();
    if left.is_empty() { Ok(()) } else { Err(format!("{page} ends with labs that are up: {left}").into()) }
}

/// A block of `text` shows what stands in a file: each of its lines, in this order.
fn holds(page: &str, block: &Block, path: &Path) -> Result<(), Failed> {
    let place = format!("{page}:{}", block.line);
    let text = fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
    let text = reader::prose(&text);
    let mut rest: Vec<&str> = text.split_whitespace().collect();
    for line in block.text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().chain(["…"]).collect();
        let found = (0..rest.len()).find(|begin| fits(&words, &rest[*begin..], reader::same_word));
        let found =
            found.ok_or_else(|| format!("{place}: `{line}` does not stand there, behind what is shown before it"))?;
        rest.drain(..=found);
    }
    Ok(())
}

fn try_command(reader: &mut Reader, command: &Command) -> Result<(), Failed> {
    let place = format!("{}: `{}`", command.place, command.text);
    let machine = command.machine.as_deref();
    if let Some(text) = command.text.strip_suffix(" &") {
        let enough = |said: &str| shows(command, said);
        return reader.begin(machine, text, &enough).map_err(|error| format!("{place} {error}").into());
    }
    let ended = reader.run(machine, &command.text, &command.typed);
    let (code, output) = ended.map_err(|error| format!("{place} {error}"))?;
    if code != command.code {
        return Err(format!("{place} ended with {code} instead of {}:\n{output}", command.code).into());
    }
    if command.shown.is_empty() || shows(command, &output) {
        return Ok(());
    }
    let is_said = |shown: &String| is_anything(shown) || output.lines().any(|said| same_line(shown, said));
    let unlike = command.shown.iter().find(|shown| !is_said(shown)).map_or_else(
        || "each line is there, and not alone or in another order".to_owned(),
        |line| format!("no line is like `{line}`"),
    );
    Err(format!("{place} is shown with\n{}\nand says\n{output}\n{unlike}", command.shown.join("\n")).into())
}

/// Whether a command is shown with what it says.
fn shows(command: &Command, said: &str) -> bool {
    let shown: Vec<&str> = command.shown.iter().map(String::as_str).collect();
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    fits(&shown, &said, same_line)
}

/// The commands of a block that are to be run.
fn commands(page: &str, block: &Block) -> Result<Vec<Command>, Failed> {
    let mut commands: Vec<Command> = Vec::new();
    let mut skipping = false;
    let mut found = false;
    for (number, line) in (block.line..).zip(block.text.lines()) {
        let place = format!("{page}:{number}");
        let is_more = commands.last().is_some_and(Command::is_open);
        let prompt = prompt(line).filter(|_| !is_more);
        if prompt.is_some() {
            found = true;
            skipping = NOT_RUN.iter().any(|(name, begin, _, _)| *name == page && line.starts_with(begin));
        }
        match (prompt, commands.last_mut()) {
            _ if skipping => {}
            (Some((machine, text)), _) => {
                let code = text.rsplit_once("# exit code ").map(|(_, code)| code.trim().parse());
                let code = code.unwrap_or(Ok(0)).map_err(|error| format!("{place}: the exit code: {error}"))?;
                let (machine, text) = (machine.map(str::to_owned), text.to_owned());
                commands.push(Command { place, machine, text, typed: String::new(), shown: Vec::new(), code });
            }
            (None, Some(command)) => output(command, line),
            (None, None) => return Err(format!("{place}: `{line}` follows no command").into()),
        }
    }
    let place = format!("{page}:{}", block.line);
    if found { Ok(commands) } else { Err(format!("{place}: a block of `console` without a command").into()) }
}

/// A line behind a command: more of it, what is typed at its own prompt, or what it says.
fn output(command: &mut Command, line: &str) {
    match line.split_once("> ") {
        _ if command.is_open() => command.text.extend(["\n", line]),
        Some(("eastwest", typed)) => command.typed.extend([typed, "\n"]),
        _ if line.trim().is_empty() => {}
        _ => command.shown.push(line.trim().to_owned()),
    }
}

/// The command behind a prompt: `$ `, or `NAME# ` of another machine.
fn prompt(line: &str) -> Option<(Option<&str>, &str)> {
    let named =
        |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let here = line.strip_prefix("$ ").map(|text| (None, text));
    here.or_else(|| line.split_once("# ").filter(|(name, _)| named(name)).map(|(name, text)| (Some(name), text)))
}
