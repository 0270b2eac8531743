//! Reading `exec`: real programs with what must come of them.

use std::time::Duration;

use policy::yaml::{self, Fields, Node};
use policy::{FlowService, Name};

use super::super::{Action, Exec};
use super::doing::Item;
use super::steps::Fold;
use super::{Reader, keys};

/// How long a program may take where the item does not say.
const CUSTOMARY: Duration = Duration::from_secs(60);
/// … and the most that it may say, in seconds.
pub(crate) const LONGEST: u64 = 600;

impl Reader<'_> {
    /// `exec: {vm: a, run: [curl, -sf, "http://10.98.0.2/"], exits: 0, prints: TEXT}`; with `meanwhile: NAME` the program goes
    /// on until `end: NAME`.
    pub(super) fn exec_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "exec: {vm: NAME, run: [PROGRAM, ARGUMENT]}")?;
        let fields = self.fields(node, "an `exec`", &keys::EXEC, &["stdin", "env"])?;
        let at = self.endpoint(&fields, "vm", fold);
        let run = fields.require("run", &mut self.problems).and_then(|node| self.command(node));
        let exits = self.exit_code(&fields);
        let prints = fields.get("prints").and_then(|node| yaml::text(node, "a text", &mut self.problems));
        let within = fields.get("within").map_or(Some(CUSTOMARY), |node| self.seconds(node));
        let raw = fields.get("raw").is_some_and(|node| yaml::flag(node, &mut self.problems) == Some(true));
        let name = fields.get("meanwhile").and_then(|node| yaml::text(node, "a name", &mut self.problems));
        let listens = fields.get("listens").map(|node| self.listening(node));
        if let (Some(node), None) = (fields.get("listens"), name) {
            self.wrong(node.span, "a program that listens goes on: give it a name, by `meanwhile: NAME`");
        }
        let listens = if let Some(listens) = listens { Some(listens?) } else { None };
        let (at, (program, arguments), exits, within): (Name, _, _, _) = (at?, run?, exits?, within?);
        // What is ended on the way ends by a signal: its code says something only where the item asks for it.
        let exits = exits.or((name.is_none() && fields.get("exits").is_none()).then_some(0));
        let (prints, name) = (prints.map(|text| text.as_str().to_owned()), name.map(|name| name.as_str().to_owned()));
        Some(Action::Exec(Exec { at, program, arguments, exits, prints, within, raw, name, listens }))
    }

    /// `exits: 7`, or `exits: any`; the outer `None`: it cannot be read.
    fn exit_code(&mut self, fields: &Fields<'_>) -> Option<Option<i32>> {
        let Some(node) = fields.get("exits") else { return Some(None) };
        match yaml::text(node, "an exit code, or `any`", &mut self.problems)?.as_str() {
            "any" => Some(None),
            text => match text.parse::<u8>() {
                Ok(code) => Some(Some(i32::from(code))),
                Err(_) => {
                    self.wrong(node.span, "expected an exit code from 0 to 255, or `any`");
                    None
                }
            },
        }
    }

    fn seconds(&mut self, node: &Node) -> Option<Duration> {
        let text = yaml::text(node, "a time such as 30s", &mut self.problems)?;
        let seconds = text.as_str().strip_suffix('s').and_then(|number| number.parse::<u64>().ok());
        let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
        if seconds.is_none() {
            self.wrong(text.span(), format!("expected a time from 1s to {LONGEST}s"));
        }
        seconds.map(Duration::from_secs)
    }

    fn listening(&mut self, node: &Node) -> Option<FlowService> {
        let text = yaml::text(node, "a port, such as tcp/8000", &mut self.problems)?;
        match text.as_str().parse() {
            Ok(service @ (FlowService::Tcp(_) | FlowService::Udp(_))) => Some(service),
            Ok(FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_)) | Err(_) => {
                self.wrong(text.span(), "expected a port of TCP or UDP, such as tcp/8000");
                None
            }
        }
    }
}
