//! Completions and manual pages: they are there, and name every subcommand.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::Command;

fn eastwest(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_eastwest")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The subcommands below one, by what `--help` says of it, each with all the words that lead to it.
fn below(path: &[String]) -> Vec<Vec<String>> {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = eastwest(&args);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let mut all = Vec::new();
    for name in names {
        let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
        all.push(path.clone());
        all.extend(below(&path));
    }
    all
}

#[test]
fn completions_name_every_subcommand() {
    let commands = below(&[]);
    assert!(commands.len() > 30, "only {commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = eastwest(&["completions", shell]);
        for name in commands.iter().filter_map(|path| path.last()) {
            assert!(script.contains(name.as_str()), "{shell} does not complete `{name}`");
        }
    }
}

#[test]
fn each_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("deep/man1");
    eastwest(&["man", pages.to_str().unwrap()]);
    let commands = below(&[]);
    for path in [&[][..]].into_iter().chain(commands.iter().map(Vec::as_slice)) {
        let name = ["eastwest"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_default();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}.1: {page:.200}");
    }
    let written = fs::read_dir(&pages).unwrap().count();
    assert_eq!(written, commands.len() + 1, "pages of commands that `--help` does not name");
}
