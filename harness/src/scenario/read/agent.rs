//! Reading who enforces at a VM: our agent with its options, nobody, or somebody else.

use policy::Problem;
use policy::yaml::{self, Fields, Node, Value};

use super::super::{AgentKind, Foreign};
use super::{Reader, keys};

/// What stands in a VM for its agent, in a word: ours, or none.
pub(crate) const AGENTS: [(&str, bool); 2] = [("eastwest", true), ("none", false)];
const EXPECTED: &str = "expected `eastwest`, `none`, `{spool: RECORDS}`, `{ruleset: FILE}` or `{exec: [PROGRAM]}`";
/// What only our agent knows how to do.
const OURS: [&str; 4] = ["allowed", "mode", "clock", "eager"];

/// How a real agent is started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AgentOptions {
    pub(super) spool: Option<u32>,
    pub(super) protocol: Option<u32>,
}

impl Reader<'_> {
    /// `eastwest`, `none`, `{spool: 500, protocol: 1}`: the real agent with options of its own; `{ruleset: FILE}` or
    /// `{exec: [PROGRAM, ARGUMENT]}`: somebody else's enforcement.
    pub(super) fn agent(&mut self, node: &Node) -> Option<(AgentKind, AgentOptions)> {
        let Value::Mapping(entries) = &node.value else {
            let ours = yaml::word(node, &AGENTS, &mut self.problems)?;
            let kind = if ours { AgentKind::Eastwest } else { AgentKind::None };
            return Some((kind, AgentOptions::default()));
        };
        if entries.is_empty() {
            self.wrong(node.span, EXPECTED);
        }
        let fields = self.fields(node, "an agent", &keys::AGENT, &[])?;
        if ["ruleset", "exec"].iter().any(|key| fields.get(key).is_some()) {
            return Some((AgentKind::Foreign(self.foreign(&fields)?), AgentOptions::default()));
        }
        self.no_needs(&fields);
        Some((AgentKind::Eastwest, self.options(&fields)))
    }

    fn options(&mut self, fields: &Fields<'_>) -> AgentOptions {
        let mut number = |key, what| {
            let node = fields.get(key)?;
            Some((node.span, yaml::parsed::<u32>(node, what, &mut self.problems)?))
        };
        let (spool, protocol) = (number("spool", "a number of records"), number("protocol", "a version"));
        if let Some((span, 0)) = spool {
            self.wrong(span, "an agent keeps at least one record");
        }
        if let Some((span, _)) = protocol.filter(|(_, version)| *version + 1 != wire::PROTOCOL) {
            self.wrong(span, format!("an older build speaks version {}", wire::PROTOCOL - 1));
        }
        AgentOptions { spool: spool.map(|(_, n)| n), protocol: protocol.map(|(_, n)| n) }
    }

    fn foreign(&mut self, fields: &Fields<'_>) -> Option<Foreign> {
        for node in ["spool", "protocol"].iter().filter_map(|key| fields.get(key)) {
            self.wrong(node.span, "this is an option of our agent, and another enforces here");
        }
        match (fields.get("ruleset"), fields.get("exec")) {
            (Some(ruleset), None) => {
                self.no_needs(fields);
                self.ruleset(ruleset)
            }
            (None, Some(exec)) => self.exec(exec, fields.get("needs")),
            (Some(_), Some(exec)) => {
                let problem = Problem::new(exec.span, "`ruleset` and `exec` cannot both enforce at a VM");
                self.problems.report(problem.help("a program can load rules itself: `nft -f FILE`"));
                None
            }
            (None, None) => None,
        }
    }

    fn ruleset(&mut self, node: &Node) -> Option<Foreign> {
        let name = yaml::text(node, "the name of a file with nftables rules", &mut self.problems)?;
        if let Err(error) = (self.open)(name.as_str()) {
            let problem = Problem::new(name.span(), format!("cannot read the ruleset `{}`: {error}", name.as_str()));
            self.problems.report(problem.help("rulesets are looked for beside the scenario"));
            return None;
        }
        Some(Foreign::Ruleset(name.as_str().to_owned()))
    }

    fn exec(&mut self, node: &Node, needs: Option<&Node>) -> Option<Foreign> {
        let needs = needs.map(|needs| self.programs(needs)).unwrap_or_default();
        self.command(node).map(|(program, arguments)| Foreign::Exec { program, arguments, needs })
    }

    /// The names of programs that must be installed.
    fn programs(&mut self, node: &Node) -> Vec<String> {
        let mut programs = Vec::new();
        for item in yaml::one_or_many(node) {
            let Some(name) = yaml::text(item, "the name of a program", &mut self.problems) else { continue };
            match name.as_str() {
                "" => self.wrong(name.span(), "expected the name of a program, such as `ufw`"),
                path if path.contains('/') => self.wrong(name.span(), "a program is looked for by its name alone"),
                name => programs.push(name.to_owned()),
            }
        }
        programs
    }

    /// Only a program needs other ones.
    fn no_needs(&mut self, fields: &Fields<'_>) {
        if let Some(node) = fields.get("needs") {
            self.wrong(node.span, "`needs` stands beside `exec`, whose program cannot do without these");
        }
    }

    /// A program with its arguments.
    pub(super) fn command(&mut self, node: &Node) -> Option<(String, Vec<String>)> {
        let mut words = Vec::new();
        for item in yaml::one_or_many(node) {
            let what = "a program or an argument of it";
            words.push(yaml::text(item, what, &mut self.problems)?.as_str().to_owned());
        }
        let mut words = words.into_iter();
        match words.next().filter(|program| !program.is_empty()) {
            Some(program) => Some((program, words.collect())),
            None => {
                self.wrong(node.span, "expected a program, such as `[\"./program\", \"argument\"]`");
                None
            }
        }
    }

    /// What a VM's keys ask of our agent cannot be asked of others'.
    pub(super) fn only_of_ours(&mut self, fields: &Fields<'_>, agent: &AgentKind) {
        let asked = OURS.iter().filter(|_| matches!(agent, AgentKind::Foreign(_)));
        for (key, node) in asked.filter_map(|key| Some((key, fields.get(key)?))) {
            self.wrong(node.span, format!("`{key}` is for a VM with our agent, and another enforces at this one"));
        }
    }
}
